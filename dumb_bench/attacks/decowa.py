"""DeCoWA: deformation-constrained warping attack (Lin et al., AAAI 2024)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene, compose
from dumb_bench.attacks.views.decowa import decowa as deformed
from dumb_bench.attacks.views.named import InputName, views


@attack("decowa", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:2402.03951")
def decowa(
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
    warps: Annotated[int, Field(ge=1, le=1_000)] = 20,
    mesh: Annotated[int, Field(ge=3, le=16)] = 3,
    spread: Annotated[float, Field(ge=0, le=2)] = 1.0,
    rate: Annotated[float, Field(ge=0)] = 0.01,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Deformation-constrained warping with momentum; each step is eps / steps.

    The gradient is the mean over `warps` thin plate deformations of the image: the inner points of a mesh x mesh
    lattice move by U(-spread, spread) half sides, then by one step of size `rate` that keeps what the network sees.
    `inputs` are further transformations, applied after that. Each warp costs two passes.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([deformed(warps=warps, mesh=mesh, spread=spread, rate=rate)(scene), views(inputs, scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
    )  # fmt: skip
