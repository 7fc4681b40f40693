"""R+FGSM: a random step, then gradient steps (Tramer, Kurakin, Papernot, Goodfellow, Boneh, McDaniel; ICLR 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import PAPER_EPS, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import chosen_step, iterate


@attack("rfgsm", targeted=True, default_strengths=PAPER_EPS, stochastic=True, paper="arXiv:1705.07204")
def rfgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.25,
    loss: LossName = "cross_entropy",
    reference: bool = False,
) -> Tensor:
    """R+FGSM, iterated: x + a sign(N(0, 1)), then steps of a along the gradient's sign, where a = relative_step * eps.

    The paper's own form is one step: steps = 1, relative_step = .5. Iterated it is what the DUMB runs use.
    reference: a = 2/255 whatever eps is, for the random step too, as there: ten steps reach .086 at most.
    """
    eps = as_float(strength)
    step = chosen_step("rfgsm", relative_step * eps, "linf", reference=reference)
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return iterate(
        images, eps, gradient=Objective(surrogate, labels, targets, loss).gradient, generator=generator,
        steps=steps, step=step, decay=0.0, start=(images + step * noise.sign()).clamp(0, 1),
        shares=reference,
    )  # fmt: skip
