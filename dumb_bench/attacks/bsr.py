"""BSR: block shuffle and rotation (Wang et al., CVPR 2024)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene, compose
from dumb_bench.attacks.views.bsr import bsr as shuffled
from dumb_bench.attacks.views.named import InputName, views


@attack("bsr", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:2308.10299")
def bsr(
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
    blocks: Annotated[int, Field(ge=1, le=16)] = 2,
    max_angle: Annotated[float, Field(ge=0, le=180)] = 24.0,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Block shuffle and rotation with momentum; each step is eps / steps.

    The gradient is the mean over `copies` images whose blocks x blocks random blocks are shuffled and rotated by up to
    max_angle degrees. `inputs` are further transformations, applied after that.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([shuffled(copies=copies, blocks=blocks, max_angle=max_angle)(scene), views(inputs, scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
    )  # fmt: skip
