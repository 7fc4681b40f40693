"""Floating-point operations of the work that cannot be avoided: counted once an architecture, times the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

Pass = Literal["forward", "gradient", "training"]
"""What an image goes through: a forward pass; that and the input's gradient; that and the weights' gradients."""


class Work(NamedTuple):
    """A kind of work. stage: training, crafting or scoring."""

    stage: str
    architecture: str
    kind: Pass


Images = Counter[Work]
"""How many images went through what."""


def flops_of(build: Callable[[], nn.Module], shape: tuple[int, int, int], kind: Pass, images: int = 2) -> float:
    """Return the FLOPs (multiplications and additions each count) of one image of a shape (C, H, W).

    Convolutions and matrix products alone, as PyTorch counts them: nothing for normalisation, pooling or activation.
    """
    with torch.random.fork_rng(devices=[]):
        network = build().train(kind == "training").requires_grad_(kind == "training")
        batch = torch.rand(images, *shape).requires_grad_(kind == "gradient")
    with FlopCounterMode(display=False) as counter:
        logits = network(batch)
        if kind != "forward":
            functional.cross_entropy(logits, torch.zeros(images, dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) / images


def total_flops(
    done: Images, builds: Mapping[str, Callable[[], nn.Module]], shape: tuple[int, int, int]
) -> dict[str, float]:
    """Return the FLOPs of all work, by stage."""
    return _by_stage(done, _each(done, builds, shape))


def least_seconds(
    done: Images,
    builds: Mapping[str, Callable[[], nn.Module]],
    shape: tuple[int, int, int],
    rates: Mapping[tuple[str, Pass], float],
) -> dict[str, float]:
    """Return the seconds of all work, by stage, if nothing but the passes took time. rates: their GFLOP/s alone."""
    known = _each(done, builds, shape)
    return _by_stage(done, {key: flops / 1e9 / rates[key] for key, flops in known.items()})


def _each(
    done: Images, builds: Mapping[str, Callable[[], nn.Module]], shape: tuple[int, int, int]
) -> dict[tuple[str, Pass], float]:
    """Return the FLOPs of one image of each kind of work."""
    return {key: flops_of(builds[key[0]], shape, key[1]) for key in {(work.architecture, work.kind) for work in done}}


def _by_stage(done: Images, each: Mapping[tuple[str, Pass], float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for work, images in done.items():
        found[work.stage] = found.get(work.stage, 0.0) + images * each[work.architecture, work.kind]
    return found
