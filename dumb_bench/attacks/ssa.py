"""SSA: spectrum simulation attack (Long et al., ECCV 2022)."""

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
from dumb_bench.attacks.views.ssa import ssa as simulated


@attack("ssa", targeted=True, stochastic=True, default_strengths=(16 / 255,), paper="arXiv:2207.05382")
def ssa(
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
    spectra: Annotated[int, Field(ge=1, le=1_000)] = 20,
    rho: Annotated[float, Field(ge=0, le=1)] = 0.5,
    sigma: Annotated[float, Field(ge=0, le=1)] = 16 / 255,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Spectrum simulation with momentum (S^2I-MI-FGSM); each step is eps / steps.

    The gradient is the mean over `spectra` images with Gaussian noise (sigma, in [0, 1] pixel units) whose cosine
    spectrum is multiplied by U(1 - rho, 1 + rho). `inputs` are further transformations, applied after that.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    seen = compose([simulated(spectra=spectra, rho=rho, sigma=sigma)(scene), views(inputs, scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
    )  # fmt: skip
