"""The checks that every attack must pass, built-in or a user's own; third parties can call them from their tests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dumb_bench.attacks.base import AttackInfo
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.catalogue import Catalogue, Entry
from dumb_bench.errors import AttackError, DamagedFileError
from dumb_bench.perturbation import TOLERANCE, norm_of
from dumb_bench.surrogate import LockedSurrogate

CLASSES = 2
SIDE = 32


class Check(NamedTuple):
    """One check: `passed`, `failed` or `skipped`, and why."""

    check: str
    verdict: str
    reason: str


class _SmallNetwork(nn.Module):
    """A smooth network with BatchNorm and Dropout: whatever touches modes or statistics is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.Softplus(), nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, CLASSES),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


def _surrogate() -> LockedSurrogate:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LockedSurrogate([_SmallNetwork()], CLASSES)


def _images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(0, 256, (12, 3, SIDE, SIDE), generator=generator)
    return levels.float() / 255, torch.arange(12) % CLASSES


def check_attack(catalogue: Catalogue, name: str) -> list[Check]:
    """Check an attack on a small network and 12 random images of 3 x 32 x 32.

    Raises:
        InputError: there is no such attack.
    """
    entry = catalogue.get("attacks", name)
    try:
        return list(_checks(entry))
    except (AttackError, DamagedFileError) as error:
        return [Check("runs within its contract", "failed", str(error))]
    except Exception as error:
        return [Check("runs", "failed", f"{type(error).__name__}: {error}")]


def _run(entry: Entry, strength: float | None, *, seed: int = 0, chunk: int = 64) -> tuple[Crafted, LockedSurrogate]:
    info: AttackInfo = entry.info
    images, labels = _images()
    surrogate = _surrogate()
    given = None if info.uses == "nothing" else surrogate
    (crafted,) = craft(entry, given, images, labels, [strength], params={}, chunk=chunk, seed_key=("conformance", seed))
    return crafted, surrogate


def _global_state() -> tuple[object, bytes, int, bytes]:
    """Return the state of Python's, NumPy's and torch's global generators."""
    ours = np.random.get_state(legacy=False)["state"]
    return random.getstate(), ours["key"].tobytes(), ours["pos"], torch.get_rng_state().numpy().tobytes()


def _checks(entry: Entry) -> Iterator[Check]:
    info: AttackInfo = entry.info
    images, _ = _images()
    strength = info.default_strengths[-1] if info.default_strengths else None
    before = _global_state()
    crafted, _ = _run(entry, strength)
    yield Check("shape and finite", "passed", f"{tuple(crafted.images.shape)}, no NaN")
    yield Check("surrogate untouched", "passed", "weights, buffers, gradients and modes as before")
    same = _global_state() == before
    yield Check(
        "global randomness", "passed" if same else "failed", "as before" if same else "a global generator was changed"
    )
    box = crafted.box_violation
    yield Check("box [0, 1]", "passed" if box <= TOLERANCE else "failed", f"left by {box:.2g} at most")
    if info.norm is None or strength is None:
        yield Check("budget", "skipped", "declares no norm")
    else:
        kept = crafted.budget_violation <= TOLERANCE
        yield Check(
            "budget",
            "passed" if kept else "failed",
            f"{info.norm} {strength:.4g} exceeded by {crafted.budget_violation:.2g}",
        )
        largest = float(norm_of(info.norm, crafted.images, images).max())
        if info.reaches_budget:
            verdict = "passed" if crafted.budget_reached else "failed"
            yield Check("budget reached", verdict, f"promised; largest norm {largest:.6g} of {strength:.6g}")
        else:
            yield Check("budget reached", "skipped", f"not promised; largest norm {largest:.6g} of {strength:.6g}")
    again, _ = _run(entry, strength)
    equal = torch.equal(again.images, crafted.images)
    yield Check(
        "same seed, same bits", "passed" if equal else "failed", "two runs agree" if equal else "two runs differ"
    )
    other, _ = _run(entry, strength, seed=1)
    moved = not torch.equal(other.images, crafted.images)
    if info.stochastic:
        yield Check(
            "stochastic as declared",
            "passed" if moved else "failed",
            "another seed, other images" if moved else "another seed, same images",
        )
    else:
        yield Check(
            "deterministic as declared",
            "failed" if moved else "passed",
            "another seed, other images" if moved else "another seed, same images",
        )
    if info.norm is None or info.strength is None or info.minimum > 0:
        yield Check("identity at 0", "skipped", "declares no norm, or no strength 0")
    else:
        still, _ = _run(entry, 0.0)
        clean = float((still.images - images).abs().max()) <= TOLERANCE
        yield Check(
            "identity at 0",
            "passed" if clean else "failed",
            "strength 0 leaves the image" if clean else "strength 0 changes the image",
        )
