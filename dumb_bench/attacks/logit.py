"""Logit attack: long ascent of the target's logit (Zhao, Liu, Larson; NeurIPS 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.iterative import Estimate, Gradient, gradient_of, iterate
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import TARGETED, InputName, views


def summed(decay: float) -> Estimate:
    """Return the gradient stage g <- decay * g + gradient: momentum without the normalisation of MI-FGSM."""
    total: Tensor | None = None

    def estimate(images: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        nonlocal total
        del momentum
        found = gradient(images)
        total = found if total is None else decay * total + found
        return total

    return estimate


@attack("logit", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:2012.11207")
def logit(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 300,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.125,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    random_start: bool = False,
    inputs: tuple[InputName, ...] = ("di", "ti"),
) -> Tensor:
    """Ascend the target's logit, whose gradient, unlike the cross entropy's, does not vanish as the target wins.

    Without targets it descends the logit of the label, a form that is not in the paper. Each step is
    relative_step * eps, the paper's 2/255 of 16/255. The momentum sums raw gradients, as the authors' code does.
    `inputs`: "di" and "ti" have the authors' settings for targeted attacks (diversity_prob .7, Gaussian kernel of 5
    pixels), the others their own paper's.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, "logit"), generator, eps)
    seen = views(inputs, scene, TARGETED)
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), estimate=summed(decay), generator=generator,
        norm=norm, steps=steps, step=relative_step * eps, decay=0, random_start=random_start,
    )  # fmt: skip
