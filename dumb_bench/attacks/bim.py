"""BIM, also I-FGSM: FGSM in small steps (Kurakin, Goodfellow, Bengio; ICLR workshop 2017)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import PAPER_EPS, Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import RelativeStep, chosen_step, iterate, sized


@attack("bim", targeted=True, default_strengths=PAPER_EPS, paper="arXiv:1607.02533")
def bim(
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
    loss: LossName = "cross_entropy",
    reference: bool = False,
) -> Tensor:
    """Basic iterative method (section 2.2 there); each step is eps / steps, or relative_step * eps.

    reference: steps of 2/255 whatever eps is, as in the published DUMB runs: ten of them reach .078 at most.

    Raises:
        InputError: reference in L2.
    """
    eps = as_float(strength)
    return iterate(
        images, eps, gradient=Objective(surrogate, labels, targets, loss).gradient, generator=generator,
        norm=norm, steps=steps, step=chosen_step("bim", sized(eps, steps, relative_step), norm, reference=reference),
        decay=0.0, shares=reference,
    )  # fmt: skip
