"""SIA: structure invariant attack (Wang et al., ICCV 2023)."""

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
from dumb_bench.attacks.views.sia import sia as transformed


@attack("sia", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:2309.14700")
def sia(
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
    copies: Annotated[int, Field(ge=1, le=1_000)] = 20,
    blocks: Annotated[int, Field(ge=1, le=16)] = 3,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Structure invariant attack with momentum; each step is eps / steps.

    The gradient is the mean over `copies` images of blocks x blocks random blocks, each changed in one of ten ways.
    `inputs` are further transformations, applied after that.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([transformed(copies=copies, blocks=blocks)(scene), views(inputs, scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
    )  # fmt: skip
