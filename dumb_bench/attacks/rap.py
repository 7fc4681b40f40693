"""RAP: flat maxima by a reverse adversarial perturbation (Qin, Fan, Liu, Shen, Zhang, Wang, Wu; NeurIPS 2022)."""

from __future__ import annotations

from itertools import count
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import Gradient, direction_in, gradient_of, iterate, start_in
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views
from dumb_bench.perturbation import project


@attack("rap", targeted=True, default_strengths=(16 / 255,), stochastic=True, paper="arXiv:2210.05968")
def rap(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 400,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.125,
    late_start: Annotated[float, Field(ge=0, le=1)] = 0.25,
    inner_steps: Annotated[int, Field(ge=0, le=1_000)] = 8,
    inner_radius: Annotated[float, Field(ge=0)] = 1.0,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    random_start: bool = False,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Reverse adversarial perturbation with late start (RAP-LS); each step is relative_step * eps.

    After the first late_start * steps steps the gradient is taken at x + n, where n is within inner_radius * eps and
    lowers the loss: from a random start, inner_steps steps of inner_radius * eps / inner_steps. At eps 16/255 all is as
    in the paper: late start at step 100 of 400, steps of 2/255, n within 16/255 in 8 steps. decay 0 adds it to I-FGSM,
    1 to MI-FGSM.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    radius = inner_radius * eps
    towards = direction_in(norm)
    left_alone = round(late_start * steps)
    numbers = count()

    def reversed_first(point: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        del momentum
        if next(numbers) < left_alone:
            return gradient(point)
        lowered = start_in(point, radius, norm, generator)
        for _ in range(inner_steps):
            down = (radius / inner_steps * towards(gradient(lowered))).to(point.dtype)
            lowered = project(lowered - down, point, norm, radius)
        return gradient(lowered)

    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator, norm=norm, steps=steps,
        step=relative_step * eps, decay=decay, random_start=random_start, estimate=reversed_first,
    )  # fmt: skip
