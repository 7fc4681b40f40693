"""DI-FGSM: gradients through randomly resized and padded inputs (Xie et al., CVPR 2019)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.torchattacks_call import run


@attack("difgsm", targeted=True, stochastic=True, library="torchattacks", paper="arXiv:1803.06978")
def difgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 0.0,
    resize_rate: Annotated[float, Field(gt=0, lt=1)] = 0.9,
    diversity_prob: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> Tensor:
    """Diverse inputs iterative FGSM; each step is eps / steps."""
    del generator
    eps = as_float(strength)
    return run(
        "DIFGSM", surrogate, images, labels, targets, eps=eps, alpha=iterations_step(eps, steps),
        steps=steps, decay=decay, resize_rate=resize_rate, diversity_prob=diversity_prob,
    )  # fmt: skip
