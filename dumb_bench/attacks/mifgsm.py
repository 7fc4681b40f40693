"""MI-FGSM: iterative FGSM with momentum (Dong et al., CVPR 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import RelativeStep, gradient_of, iterate, sized
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


@attack("mifgsm", targeted=True, default_strengths=(16 / 255,), paper="arXiv:1710.06081", version=2)
def mifgsm(
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
    decay: Annotated[float, Field(ge=0)] = 1.0,
    random_start: bool = False,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Momentum iterative FGSM, equations 6 and 7; each step is eps / steps. Linf and L2 (section 3.3).

    relative_step: makes it relative_step * eps.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=steps, step=sized(eps, steps, relative_step), decay=decay, random_start=random_start,
    )  # fmt: skip
