"""What the adversarial trainings share: the attack on the network in training, and the mode it is attacked in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.pgd import pgd

Eps = Annotated[float, Field(gt=0, le=1)]
"""The Linf radius of the training's perturbations, of pixels in [0, 1]."""

EPS = 8 / 255
"""The usual Linf radius on natural images."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Attack in eval mode: BatchNorm uses, and keeps, its running statistics; dropout is off. Modes are put back.

    As in the code of TRADES, and better than train mode in Pang et al., Bag of Tricks for Adversarial Training
    (ICLR 2021). The code of Madry et al. and of Wong et al. attacks in train mode.
    """
    modes = {child: child.training for child in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for child, mode in modes.items():
            child.training = mode


def beside(images: Tensor, generator: torch.Generator) -> torch.Generator:
    """Return a generator on the images' device: the given one on the CPU, else one that it seeds."""
    if images.device.type == generator.device.type:
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device=images.device).manual_seed(seed)


def attacked(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    eps: float,
    steps: int,
    relative_step: float,
    random_start: bool = True,
) -> Tensor:
    """Return what the package's attack `pgd` makes of images (N, C, H, W) on the network in eval mode, in Linf."""
    with evaluating(model):
        return pgd(
            cast(Surrogate, model), images, labels, eps, generator=beside(images, generator), steps=steps,
            relative_step=relative_step, random_start=random_start,
        )  # fmt: skip
