"""PGD: projected steps from a random start (Madry, Makelov, Schmidt, Tsipras, Vladu; ICLR 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import PAPER_EPS, Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import averaged, chosen_step, iterate, per_image
from dumb_bench.errors import InputError


@attack(
    "pgd", targeted=True, default_strengths=PAPER_EPS, stochastic=True, paper="arXiv:1706.06083", version=2,
)  # fmt: skip
def pgd(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.25,
    random_start: bool = True,
    restarts: Annotated[int, Field(ge=1, le=1_000)] = 1,
    loss: LossName = "cross_entropy",
    reference: bool = False,
    eot: Annotated[int, Field(ge=1, le=1_000)] | None = None,
) -> Tensor:
    """Projected gradient descent; each step is relative_step * eps, so that ten steps can cross the ball.

    restarts: how many random starts; each image keeps the end of highest loss. reference: steps of 2/255 whatever eps
    is, as in the published DUMB runs. eot: each step's gradient is the mean over so many passes of a surrogate that
    draws random numbers (expectation over transformation: Athalye et al., ICML 2018, section 4.2); None for one pass.

    Raises:
        InputError: several restarts without a random start; reference in L2.
    """
    if restarts > 1 and not random_start:
        raise InputError(f"attack 'pgd': parameter 'restarts': expected 1 without random_start, got {restarts}")
    eps = as_float(strength)
    step = chosen_step("pgd", relative_step * eps, norm, reference=reference)
    objective = Objective(surrogate, labels, targets, loss)

    def ascend() -> Tensor:
        return iterate(
            images, eps, gradient=averaged(objective.gradient, eot or 1), generator=generator,
            norm=norm, steps=steps, step=step, decay=0.0, random_start=random_start,
        )  # fmt: skip

    def reached(ends: Tensor) -> Tensor:
        with torch.no_grad():
            return objective.values(surrogate(ends).double())

    best = ascend()
    if restarts == 1:
        return best
    highest = reached(best)
    for _ in range(restarts - 1):
        found = ascend()
        value = reached(found)
        better = value > highest
        best, highest = torch.where(per_image(better), found, best), torch.where(better, value, highest)
    return best
