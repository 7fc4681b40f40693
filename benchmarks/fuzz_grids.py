"""Grids that are almost right: structure-aware mutations of good ones, then now and then of their bytes.

A mutation is drawn by a `random.Random` alone, so a case is made again from its seed.
"""

from __future__ import annotations

import copy
import datetime
import random
import tomllib
from typing import Any

import tomli_w

SMALL = """
name = "small"
task = "digits"
[models]
source = ["optdigits", "rendered"]
architecture = ["small_alexnet"]
balance = ["50/50"]
seed = [0]
[victims]
seed = [1]
[images]
per_class = 10
source = "all"
[training]
recipe = { name = "small", epochs = 1 }
balance_mode = "paper"
[output]
margins = false
[report]
primary = "fgsm@0.1"
title = "A title"
notes = ["one", "two"]
[[attacks]]
name = "fgsm"
strength = [0.1, "8/255"]
[[attacks]]
name = "box_blur"
strength = 1.0
"""

BLOCKS = """
name = "blocks"
task = ["digits"]
[models]
source = "optdigits"
balance = ["50/50", "20/80"]
[[surrogates]]
architecture = "small_resnet"
posterior = { name = "csgld", cycles = 2, samples_per_cycle = 2, cycle_epochs = 2, noise_epochs = 1 }
samples = [1, 3]
draw = [0, 2]
aggregation = ["cycle", "mean_probs"]
[[surrogates]]
architecture = "small_alexnet+small_vgg"
modifier = ["none", "ghost"]
posterior = ["point", { name = "deep_ensemble", members = 2 }]
[[victims]]
architecture = "small_vgg"
posterior = { name = "swag", epochs = 1, samples = 2 }
[[victims]]
architecture = [{ name = "small_alexnet" }]
seed = [7, 8]
recipe = { name = "dumb_2023", epochs = 1, patience = 1 }
[images]
per_class = 5
source = "victim"
deliveries = ["uint8", "float32"]
[training]
recipe = { name = "small", epochs = 2, lr = 1e-3, noise = 0.1, schedule = "cosine", augment = "crop_flip" }
balance_mode = "fixed_total"
[[attacks]]
name = "pgd"
strength = "4/255"
params = { steps = 5, restarts = 1 }
record_steps = [1, 3]
attack_seed = [0, 1]
[[attacks]]
name = "deepfool"
tune = { ssim = 0.4, over = "1:3:1", per_class = 5 }
[[attacks]]
name = "mifgsm"
targeted = true
chunk = 8
tune = { ssim = 0.4, over = [0.1, 0.2], search = "bisection", reference = true }
"""

LIBRARIES = """
name = "libraries"
task = "digits"
[models]
source = "rendered"
architecture = "small_vgg"
posterior = { name = "mc_dropout", samples = 2 }
[surrogates]
modifier = { name = "ghost", dropout = 0.1 }
[images]
per_class = 4
[[attacks]]
name = "torchattacks.PGD"
strength = "8/255"
params = { steps = 3 }
[[attacks]]
name = "tap"
strength = 0.1
[[attacks]]
name = "square"
strength = 0.1
params = { queries = 5 }
[[attacks]]
name = "salt_pepper"
"""

CIFAR = """
name = "cifar"
task = "cifar10"
[models]
source = "cifar10"
architecture = "vgg_cifar"
balance = "10/10/10/10/10/10/10/10/10/10"
[images]
per_class = 4
[[attacks]]
name = "bim"
strength = 0.5
params = { norm = "l2", steps = 3, relative_step = 0.1 }
"""

GRIDS = [tomllib.loads(text) for text in (SMALL, SMALL, BLOCKS, BLOCKS, LIBRARIES, CIFAR)]

WORDS = (
    "digits", "cifar10", "optdigits", "rendered", "small_alexnet", "small_resnet", "small_vgg", "preresnet", "point",
    "csgld", "swag", "fge", "lgv", "vi", "snapshot", "laplace", "mc_dropout", "deep_ensemble", "none", "ghost", "sgm",
    "linbp", "fgsm", "pgd", "tap", "fia", "ila", "naa", "logit", "square", "deepfool", "identity", "sign_noise",
    "grey_scale", "random_black_box", "foolbox.LinfPGD", "art.", "torchattacks.Nothing", "transferattack.MIFGSM",
    "uint8", "float32", "all", "surrogate", "victim", "half_a", "paper", "mean_logits", "cycle", "50/50", "99/1",
    "0.5/99.5", "33/67", "small", "dumb_2023", "name", "strength", "params", "seed", "steps", "epochs", "samples",
    "members", "cycles", "norm", "l2", "linf", "l0", "restarts", "tune", "over", "ssim", "draw", "pgd@4/255", "fgsm@",
    "fgsm@tuned", "@", "0.01:0.30:0.01", "1:0:1", "0:1:0.0001", "::", "1:2", "8/0", "1e400", "-1", "1/3", "inf", "nan",
)  # fmt: skip

ODD = (
    "", " ", "\n", "a\nb", "\x00", "\x1b[31mred\x1b[0m", "\x7f", "\x85", "\u2028", "\ufeff", "\u202eabc", "e\u0301",
    "\U0001f984", "Ω≈ç√", "ﬁ", "١٢٣", "½", "İ", "x" * 300, "x" * 20_000, "../../etc/passwd", "/etc/passwd",
    "..", ".", "a/b", "a\\b", "C:\\x", "file:///etc", "s3://bucket/x", "~root", "$HOME", "`id`", "%s%n", "{0}", "{x}",
    "<script>alert(1)</script>", "' OR 1=1", "__import__", "__class__", "os.system", "base", "craft", "con", "-", "--",
    "[bold]x[/bold]", "[/]", "=1+1", "None", "null", "true", "1", "0", "9" * 400, "1/" + "9" * 400, "a+a", "+", "a+",
    "torchattacks.", "torchattacks.attack", "torchattacks..", ".fgsm", "art.x.y", "foolbox.attacks", "50/50/0", "/",
    "100/0", "1e1/9e1", "50 / 50", "0.1/99.9", "50/5٠",
)  # fmt: skip

NUMBERS = (
    0, 1, -1, 2, 3, 7, 64, 100, 255, 4096, 10**6, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 10**400, 0.0,
    -0.0, 0.5, 1.5, 1e-9, 5e-324, 1e9, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), 0.1 + 0.2,
)  # fmt: skip


def nested(depth: int, table: bool) -> Any:
    """Return lists, or tables, inside one another."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if table else [value]
    return value


def odd_value(chance: random.Random) -> Any:
    """Return a value of any type."""
    match chance.randrange(12):
        case 0 | 1 | 2:
            return chance.choice(WORDS)
        case 3 | 4:
            return chance.choice(ODD)
        case 5 | 6 | 7:
            return chance.choice(NUMBERS)
        case 8:
            return chance.choice((True, False))
        case 9:
            return chance.choice((datetime.date(2020, 1, 1), datetime.datetime(1, 1, 1), datetime.time(23, 59)))
        case 10:
            return nested(chance.choice((1, 2, 5, 60)), chance.random() < 0.5)
        case _:
            many = chance.choice((0, 1, 2, 3, 50, 5000))
            one = odd_value(chance)
            return list(range(many)) if chance.random() < 0.5 else [copy.deepcopy(one) for _ in range(min(many, 200))]


Place = tuple[Any, Any]
"""A container and a key in it."""


def places(value: Any) -> list[Place]:
    """Return every place of a document where a value stands."""
    found: list[Place] = []
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


def mutate(document: dict[str, Any], chance: random.Random) -> str:
    """Change one thing in a document; return what."""
    everywhere = places(document)
    if not everywhere:
        document["name"] = odd_value(chance)
        return "set"
    holder, key = chance.choice(everywhere)
    value = holder[key]
    match chance.randrange(10):
        case 0:
            del holder[key]
            return "delete"
        case 1:
            if isinstance(holder, list):
                holder.insert(chance.randrange(len(holder) + 1), copy.deepcopy(value))
            else:
                holder[_name(key, chance)] = copy.deepcopy(value)
            return "duplicate"
        case 2:
            if isinstance(holder, dict):
                holder[_name(key, chance)] = holder.pop(key)
            return "rename"
        case 3:
            other, name = chance.choice(everywhere)
            holder[key] = copy.deepcopy(other[name])
            return "swap"
        case 4:
            holder[key] = chance.choice(([value], {"name": value}, [value, value], {"a": value}))
            return "wrap"
        case 5 | 6:
            holder[key] = _near(value, chance)
            return "near"
        case 7:
            target = value if isinstance(value, dict) else document
            target[chance.choice((*WORDS, *ODD))] = odd_value(chance)
            return "add"
        case _:
            holder[key] = odd_value(chance)
            return "replace"


def _name(key: Any, chance: random.Random) -> str:
    return chance.choice((f"{key}s", str(key)[:-1], str(key).upper(), chance.choice(WORDS), chance.choice(ODD)))


def _near(value: Any, chance: random.Random) -> Any:
    """Return a value of the same type, or nearly so."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return chance.choice(
            (
                -value,
                value * 10,
                value + 1,
                0.5,
                max(-(2.0**99), min(value, 2.0**99)) + 0.5,
                str(value),
                chance.choice(NUMBERS),
            )
        )
    if isinstance(value, str):
        place = chance.randrange(len(value) + 1)
        return chance.choice(
            (value[:place] + value[place + 1 :], value[:place] + chance.choice(ODD)[:50] + value[place:], value.upper(),
             value + " ", value * 2, chance.choice(WORDS), "../" + value, value + "+" + chance.choice(WORDS))
        )  # fmt: skip
    if isinstance(value, list):
        return chance.choice(
            (value[::-1], value * 2, [], [*value, odd_value(chance)], list(range(chance.choice((3, 500)))))
        )
    return odd_value(chance)


def spoil(data: bytes, chance: random.Random) -> bytes:
    """Change bytes: one flipped, a span gone, doubled or foreign, an end cut off."""
    if not data:
        return bytes([chance.randrange(256)])
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 1, 8, 200)))
    match chance.randrange(6):
        case 0 | 1:
            return data[:start] + bytes([data[start] ^ (1 << chance.randrange(8))]) + data[start + 1 :]
        case 2:
            return data[:start] + data[end:]
        case 3:
            return data[:end] + data[start:]
        case 4:
            return data[:start]
        case _:
            junk = (
                chance.randbytes(8),
                b"\xff\xfe",
                b"\x00",
                b"[" * 3000,
                b"'''",
                b'"""',
                b"\r",
                b"{a=" * 500,
                b"\xef\xbb\xbf",
            )
            return data[:start] + chance.choice(junk) + data[end if chance.random() < 0.5 else start :]


def mutated_grid(chance: random.Random) -> tuple[bytes, str]:
    """Return a grid file's bytes, and what was done to it."""
    document = copy.deepcopy(chance.choice(GRIDS))
    done = [mutate(document, chance) for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5)))]
    try:
        data = tomli_w.dumps(document).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError):
        data, done = repr(document).encode("utf-8", "replace"), ["repr"]
    if chance.random() < 0.15:
        data, done = spoil(data, chance), ["bytes"]
    return data, done[0] if len(done) == 1 else "several"
