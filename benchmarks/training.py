"""What training costs and how near the machine's limit it comes: CPU seconds, utilisation, where the time goes.

    uv run python benchmarks/training.py [--rounds 5] [--only small|large|shares] [--networks NAME ...]
        [--epochs 12] [--batches 16 32] [--steps 2] [--quick]

One thread. Each round runs every variant once, in turn, and measures the convolution peak beside them; printed are
medians [min, max] over rounds. FLOPs (2 a multiply-add) are those of convolutions and matrix products alone, counted by
`torch.utils.flop_counter` over a whole run, validation too; utilisation is FLOPs / CPU seconds / the fp32 peak of the
same round. `small`: `train_model` on the digits, recipe `small`, as many
epochs as given. `large`: `fit` at 224 pixels for a few
steps. `shares`: the profiler's time by kind of operator, and the utilisation inside convolutions alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dumb_bench.catalogue import Catalogue
from dumb_bench.defences.none import none
from dumb_bench.models.fitting import Images, batches_per_epoch, fit
from dumb_bench.models.training import train_model
from dumb_bench.recipes import RECIPES, resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin

SMALL = ("small_alexnet", "small_resnet", "small_vgg")
LARGE = ("alexnet", "resnet18", "vgg11_bn")
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "fused": {"fused": True},
    "channels_last": {"channels_last": True},
    "bf16": {"precision": "bf16"},
    "channels_last + fused": {"channels_last": True, "fused": True},
    "channels_last + fused + bf16": {"channels_last": True, "fused": True, "precision": "bf16"},
}
KINDS = {
    "convolution": ("convolution", "mkldnn_convolution"),
    "matrix products": ("mm", "addmm"),
    "batch norm": ("batch_norm",),
    "pooling": ("pool", "gather", "scatter"),
    "optimiser": ("Optimizer", "addcdiv", "addcmul", "lerp", "sqrt", "_fused"),
    "random numbers": ("normal_", "uniform_", "bernoulli_", "randperm", "random_"),
    "layout, copies": ("copy_", "reorder", "contiguous", "clone"),
}
"""Kind of operator -> parts of its operators' names, the first kind that fits; the rest is `elementwise`."""

Run = Callable[[], object]


def cpu_seconds(run: Run) -> float:
    """Return what a run costs this process."""
    started = time.process_time()
    run()
    return time.process_time() - started


def flops_of(run: Run) -> int:
    """Return the FLOPs of a run, which is thereby warmed up."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def peak(dtype: torch.dtype = torch.float32) -> float:
    """Return FLOP/s of a 3x3 convolution, 64 channels, 56 pixels, batch 32, channels last, forward: the best of 8."""
    layer = nn.Conv2d(64, 64, 3, padding=1).to(dtype=dtype, memory_format=torch.channels_last)
    images = torch.rand(32, 64, 56, 56, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        layer(images)
        best = min(cpu_seconds(lambda: layer(images)) for _ in range(8))
    return 2 * 32 * 64 * 64 * 9 * 56**2 / best


def trained(architecture: str, changes: Mapping[str, Any], catalogue: Catalogue) -> partial[object]:
    """Return a training of a small network on the digits, as a grid would order it."""
    recipe = resolve_recipe("small", changes)
    spec = ModelSpec("digits", Plugin("optdigits"), Plugin(architecture), "50/50", recipe, 0)
    return partial(train_model, spec=spec, catalogue=catalogue)


def pooled_by_pytorch(run: Run) -> Run:
    """Return a run without the package's own max pooling: the same bits, as PyTorch makes them."""

    def plainly() -> object:
        with mock.patch("dumb_bench.architectures.pooling._lies_plane_by_plane", return_value=False):
            return run()

    return plainly


def fitted(architecture: str, changes: Mapping[str, Any], catalogue: Catalogue, batch: int, steps: int) -> Run:
    """Return `steps` steps of a torchvision network at 224 pixels, two classes, random images, recipe `dumb_2023`."""
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch * steps, 3, 224, 224), dtype=torch.uint8, generator=drawn)
    data = Images(images, torch.arange(batch * steps) % 2)
    held = Images(images[:2], data.labels[:2])
    recipe = RECIPES["dumb_2023"].model_copy(update={"batch": batch, "epochs": 1, **changes})
    build = catalogue.get("architectures", architecture).call
    network = build(2, (3, 224, 224))
    return lambda: fit(network, data, held, recipe, none(), len, early_stopping=False)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return median [min, max]."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def compare(title: str, variants: Mapping[str, Run], rounds: int) -> None:
    """Run all variants in turn, and print a table with a line a variant."""
    flops = {name: flops_of(run) for name, run in variants.items()}
    spent: dict[str, list[float]] = {name: [] for name in variants}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for name, run in variants.items():
            spent[name].append(cpu_seconds(run))
    first = next(iter(variants))
    print(f"\n{title}: {flops[first] / 1e9:.1f} GFLOP, peak {spread([value / 1e9 for value in peaks], 0)} GFLOP/s\n")
    print(f"| variant | CPU seconds | {first} / variant | utilisation |\n|---|---|---|---|")
    for name, seconds in spent.items():
        ratios = [one / other for one, other in zip(spent[first], seconds, strict=True)]
        used = [flops[name] / took / top for took, top in zip(seconds, peaks, strict=True)]
        print(f"| {name} | {spread(seconds)} | {spread(ratios)} | {spread(used)} |", flush=True)


def kind_of(operator: str) -> str:
    """Return the kind of an operator's name."""
    return next((kind for kind, parts in KINDS.items() if any(part in operator for part in parts)), "elementwise")


def shares(title: str, run: Run, rounds: int) -> None:
    """Print where the time of a run goes, in shares, and the utilisation of the convolutions' own time."""
    flops = flops_of(run)
    found: dict[str, list[float]] = {kind: [] for kind in (*KINDS, "elementwise")}
    alone = []
    for _ in range(rounds):
        top = peak()
        plain = cpu_seconds(run)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            run()
        times = dict.fromkeys(found, 0.0)
        for event in profiler.key_averages():
            times[kind_of(event.key)] += event.self_cpu_time_total / 1e6
        for kind, seconds in times.items():
            found[kind].append(100 * seconds / sum(times.values()))
        counted = times["convolution"] + times["matrix products"]
        alone.append(flops / (counted / sum(times.values()) * plain) / top)
    parts = ", ".join(f"{kind} {spread(values, 0)} %" for kind, values in found.items())
    print(f"* {title}: {parts}. Utilisation inside convolutions and matrix products: {spread(alone)}.", flush=True)


def fixed_cost(architecture: str, rounds: int, catalogue: Catalogue) -> None:
    """Print the cost of a step on one image, mostly Python, dispatch and optimiser, in that of a step on 32."""
    alone, full = (trained(architecture, {"epochs": 1, "batch": batch}, catalogue) for batch in (1, 32))
    images = train_model(alone.keywords["spec"], catalogue).record["train_images"]
    steps = images, batches_per_epoch(images, 32)
    found = [(cpu_seconds(alone) / steps[0]) / (cpu_seconds(full) / steps[1]) for _ in range(rounds)]
    print(f"* {architecture}: a step on one image costs {spread(found)} of a step on 32.", flush=True)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["small", "large", "shares"])
    parser.add_argument("--networks", nargs="+", default=[*SMALL, *LARGE], choices=[*SMALL, *LARGE])
    parser.add_argument("--epochs", type=int, default=12, help="of `small`")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one epoch, one round: to see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    catalogue = Catalogue()
    rounds = 1 if given.quick else given.rounds
    short = {"epochs": 1 if given.quick else given.epochs}
    small, large = ([name for name in names if name in given.networks] for names in (SMALL, LARGE))
    print(f"peak: fp32 {peak() / 1e9:.0f}, bf16 {peak(torch.bfloat16) / 1e9:.0f} GFLOP/s; PyTorch {torch.__version__}")
    for name in small if given.only in (None, "small") else ():
        variants = {label: trained(name, short | changes, catalogue) for label, changes in VARIANTS.items()}
        variants["default, PyTorch's pooling"] = pooled_by_pytorch(variants["default"])
        variants["batch 256"] = trained(name, short | {"batch": 256}, catalogue)
        compare(f"{name}, 32 px, batch 32, {short['epochs']} epochs", variants, rounds)
    for name in small if given.only in (None, "shares") else ():
        fixed_cost(name, rounds, catalogue)
        for label in ("default", "channels_last + fused"):
            shares(f"{name}, {label}", trained(name, {"epochs": 2} | VARIANTS[label], catalogue), rounds)
    for name in large if given.only in (None, "large") and not given.quick else ():
        for batch in given.batches:
            runs = {label: fitted(name, changes, catalogue, batch, given.steps) for label, changes in VARIANTS.items()}
            compare(f"{name}, 224 px, batch {batch}, {given.steps} steps", runs, rounds)
            shares(f"{name}, batch {batch}, default", runs["default"], 1)


if __name__ == "__main__":
    main()
