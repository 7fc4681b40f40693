"""Logit margin attack: cross entropy of logits calibrated by their margin (Weng et al., IEEE TIFS 2023)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import TARGETED, InputName, views


@attack("logit_margin", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:2303.03680")
def logit_margin(
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
    """Descend the target's cross entropy of logits / (largest - second), the margin-based calibration of the paper.

    Without targets it ascends the label's, a form that is not in the paper. Each step is relative_step * eps, the
    paper's 2/255 of 16/255, with the momentum of MI-FGSM. `inputs`: "di" and "ti" have the authors' settings for
    targeted attacks (diversity_prob .7, Gaussian kernel of 5 pixels), the others their own paper's.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, "logit_margin"), generator, eps)
    seen = views(inputs, scene, TARGETED)
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, step=relative_step * eps, decay=decay, random_start=random_start,
    )  # fmt: skip
