"""DI-FGSM: gradients through randomly resized and padded inputs (Xie et al., CVPR 2019)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import RelativeStep, gradient_of, iterate, sized
from dumb_bench.attacks.views.base import Scene, compose
from dumb_bench.attacks.views.di import di
from dumb_bench.attacks.views.named import InputName, views


@attack("difgsm", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:1803.06978", version=2)
def difgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    relative_step: RelativeStep | None = None,
    decay: Annotated[float, Field(ge=0)] = 0.0,
    random_start: bool = False,
    resize_rate: Annotated[float, Field(gt=0, lt=1)] = 0.9,
    diversity_prob: Annotated[float, Field(ge=0, le=1)] = 0.5,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Diverse inputs iterative FGSM (DI^2-FGSM; with decay 1 it is M-DI^2-FGSM); each step is eps / steps.

    relative_step: makes it relative_step * eps. `inputs` are further transformations, applied before the resizing.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([views(inputs, scene), di(resize_rate=resize_rate, diversity_prob=diversity_prob)(scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, step=sized(eps, steps, relative_step), decay=decay, random_start=random_start,
    )  # fmt: skip
