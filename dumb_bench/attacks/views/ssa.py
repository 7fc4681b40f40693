"""SSA: noise in the picture and in its spectrum (Long, Zhang, Zeng, Gao, Liu, Zhang, Song; ECCV 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.views.base import Scene, Transformation, View
from dumb_bench.attacks.views.spectrum import dct, inverse_dct


def ssa(*, spectra: int = 20, rho: float = 0.5, sigma: float = 16 / 255) -> Transformation:
    """Return the mean over `spectra` copies IDCT(DCT(x + xi) * M), xi ~ N(0, sigma^2), M ~ U(1 - rho, 1 + rho).

    The gradient is the one at the transformed image, as the authors' code takes it: it is not drawn back through the
    transformation, whose mean is the identity. sigma is in [0, 1] pixel units, the authors' 16/255 whatever the budget.
    """

    def made(scene: Scene) -> View:
        def apply(images: Tensor, copy: int) -> Tensor:
            del copy
            still = images.detach()
            noise = torch.empty_like(still).normal_(0, 1, generator=scene.generator)
            mask = torch.empty_like(still).uniform_(1 - rho, 1 + rho, generator=scene.generator)
            return images + (inverse_dct(dct(still + sigma * noise) * mask) - still)

        return View(copies=spectra, apply=apply)

    return made
