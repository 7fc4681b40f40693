"""Admix: gradients through mixtures with other images (Wang et al., ICCV 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.admix import admix as mixed
from dumb_bench.attacks.views.base import Scene, compose
from dumb_bench.attacks.views.named import InputName, views


@attack(
    "admix",
    targeted=True,
    stochastic=True,
    batch_independent=False,
    default_strengths=(16 / 255,),
    paper="arXiv:2102.00436",
)
def admix(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    random_start: bool = False,
    scales: Annotated[int, Field(ge=1, le=30)] = 5,
    mates: Annotated[int, Field(ge=1, le=100)] = 3,
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.2,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Admix with momentum; each step is eps / steps.

    The gradient is the mean over (x + ratio * x') / 2^i, for `mates` random images x' of another class of the batch and
    i = 0 .. scales - 1. `inputs` are further transformations, applied after the mixing.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([mixed(scales=scales, mates=mates, ratio=ratio)(scene), views(inputs, scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
    )  # fmt: skip
