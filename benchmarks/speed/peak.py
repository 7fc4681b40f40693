"""What one thread of this machine can do at most: convolutions and matrix products of good shapes, and bare passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.models.scoring_batches import batch_for

from .flops import Pass, flops_of
from .folding import folded

CONVOLUTIONS = ((16, 64, 64), (16, 128, 32), (32, 128, 16), (32, 256, 16), (32, 512, 8), (64, 256, 8))
"""(images, channels in and out, side) of 3 x 3 convolutions."""
PRODUCTS = (512, 1024, 2048)
BATCHES: dict[Pass, int] = {"forward": 128, "gradient": 64, "training": 32}


class Peak(NamedTuple):
    """GFLOP/s of the best shape, and that shape in words."""

    gflops: float
    shape: str


def rate(work: Callable[[], object], flops: float, seconds: float = 0.3) -> float:
    """Return GFLOP per CPU second, the best of several turns after one that does not count."""
    work()
    best = float("inf")
    until = time.process_time() + seconds
    while time.process_time() < until:
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return flops / best / 1e9


def convolution_peak(dtype: torch.dtype, shapes: tuple[tuple[int, int, int], ...] = CONVOLUTIONS) -> Peak:
    """Return the best rate of 3 x 3 convolutions, channels last."""
    found = []
    for images, channels, side in shapes:
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(dtype).to(memory_format=torch.channels_last)
        batch = torch.rand(images, channels, side, side).to(dtype).to(memory_format=torch.channels_last)
        flops = 2.0 * images * side * side * channels * channels * 9
        with torch.inference_mode():
            found.append(Peak(rate(lambda: layer(batch), flops), f"{images} x {channels} x {side} x {side}"))  # noqa: B023
    return max(found)


def product_peak(dtype: torch.dtype, sides: tuple[int, ...] = PRODUCTS) -> Peak:
    """Return the best rate of products of square matrices."""
    found = []
    for side in sides:
        left, right = (torch.rand(side, side).to(dtype) for _ in range(2))
        found.append(Peak(rate(lambda: left @ right, 2.0 * side**3), f"{side} x {side}"))  # noqa: B023
    return max(found)


def bare_rate(build: Callable[[], nn.Module], shape: tuple[int, int, int], kind: Pass, *, fast: bool) -> float:
    """Return the GFLOP/s of an architecture's passes alone, at the batch of its stage: what no loop can exceed."""
    with torch.random.fork_rng(devices=[]):
        network = build()
        network.train() if kind == "training" else network.eval().requires_grad_(False)
        images = torch.rand(_batch(network, shape, kind, fast=fast), *shape)
    asked = folded(network) if fast and kind != "training" else network
    labels = torch.zeros(len(images), dtype=torch.int64)
    flops = len(images) * flops_of(build, shape, kind)
    return rate(lambda: _pass(asked, images, labels, kind), flops)


def _batch(network: nn.Module, shape: tuple[int, int, int], kind: Pass, *, fast: bool) -> int:
    """Return the images of a pass; fast numerics choose fewer where networks work on large ones."""
    if kind == "training" or not fast:
        return BATCHES[kind]
    return min(BATCHES[kind], batch_for(torch.empty(1, *shape), "fast", [network]))


def _pass(network: nn.Module, images: Tensor, labels: Tensor, kind: Pass) -> None:
    if kind == "forward":
        with torch.inference_mode():
            network(images)
        return
    if kind == "gradient":
        point = images.detach().requires_grad_()
        torch.autograd.grad(functional.cross_entropy(network(point), labels), point)
        return
    network.zero_grad()
    functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
