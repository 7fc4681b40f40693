"""FGSM: one step along the sign of the loss gradient (Goodfellow, Shlens, Szegedy; ICLR 2015)."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack
from dumb_bench.attacks.torchattacks_call import run


@attack("fgsm", targeted=True, reaches_budget=True, library="torchattacks", paper="arXiv:1412.6572")
def fgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
) -> Tensor:
    """Fast gradient sign method: x + eps sign(grad J(x, y))."""
    del generator
    return run("FGSM", surrogate, images, labels, targets, eps=as_float(strength))
