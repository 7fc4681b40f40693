"""SI-FGSM: gradients averaged over scaled copies of the input (Lin et al., ICLR 2020)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene, compose
from dumb_bench.attacks.views.named import InputName, views
from dumb_bench.attacks.views.si import si


@attack("sifgsm", targeted=True, default_strengths=(16 / 255,), paper="arXiv:1908.06281")
def sifgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    random_start: bool = False,
    scales: Annotated[int, Field(ge=1, le=30)] = 5,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Scale-invariant iterative FGSM with momentum (SI-MI-FGSM); each step is eps / steps.

    The gradient is the mean over x / 2^i, i = 0 .. scales - 1. `inputs` are further transformations, applied after the
    scaling. The paper's Nesterov look-ahead is the attack `nifgsm`, which takes `inputs = ["si"]`.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([si(scales=scales)(scene), views(inputs, scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
    )  # fmt: skip
