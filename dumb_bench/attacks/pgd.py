"""PGD in Linf from a random start (Madry, Makelov, Schmidt, Tsipras, Vladu; ICLR 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack
from dumb_bench.attacks.torchattacks_call import run


@attack("pgd", targeted=True, stochastic=True, library="torchattacks", paper="arXiv:1706.06083")
def pgd(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.25,
    random_start: bool = True,
) -> Tensor:
    """Projected gradient descent; each step is relative_step * eps, so that ten steps can cross the ball."""
    del generator
    eps = as_float(strength)
    return run(
        "PGD", surrogate, images, labels, targets,
        eps=eps, alpha=relative_step * eps, steps=steps, random_start=random_start,
    )  # fmt: skip
