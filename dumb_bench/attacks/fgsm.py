"""FGSM: one step along the sign of the loss gradient (Goodfellow, Shlens, Szegedy; ICLR 2015)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dumb_bench.attacks.base import PAPER_EPS, Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import direction_in
from dumb_bench.perturbation import project


def along_gradient(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    loss: LossName = "cross_entropy",
) -> Callable[[float], Tensor]:
    """Return the images as a function of eps: the direction is that of the gradient at the clean images for all."""
    del generator
    towards = direction_in(norm)(Objective(surrogate, labels, targets, loss).gradient(images)).to(images.dtype)

    def at(eps: float) -> Tensor:
        return project(images + eps * towards, images, norm, eps)

    return at


@attack(
    "fgsm", targeted=True, default_strengths=PAPER_EPS, reaches_budget=True, path=along_gradient,
    paper="arXiv:1412.6572", version=2,
)  # fmt: skip
def fgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Fast gradient sign method: x + eps sign(grad J(x, y)); in L2 (FGM) x + eps grad J / |grad J|."""
    at = along_gradient(surrogate, images, labels, generator=generator, targets=targets, norm=norm, loss=loss)
    return at(as_float(strength))
