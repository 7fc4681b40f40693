"""Gaussian noise: a degradation that looks at no model (GaussianNoise of Alecci et al., RAID 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack


def _path(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Callable[[float], Tensor]:
    del surrogate, labels, targets
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)

    def at(variance: float) -> Tensor:
        if not reference:
            return (images + math.sqrt(variance) * noise).clamp(0, 1)
        levels = (images.double() * 255).round()
        shifted = (levels / 255 + (variance + math.sqrt(variance) * noise.double())).clamp(0, 1)
        return ((255 * shifted).floor() / 255).to(images.dtype)

    return at


@attack(
    "gaussian_noise", norm=None, strength="amount", unit="variance",
    default_strengths=tuple(step / 200 for step in range(1, 21)), uses="nothing", stochastic=True,
    zero_is_identity=True, path=_path, paper="Alecci et al., RAID 2023",
)  # fmt: skip
def gaussian_noise(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Tensor:
    """Independent normal noise of mean 0 and variance `amount`, clipped to [0, 1]; all amounts scale one draw.

    reference: as the published runs, mean = variance = amount (the images get brighter), cut down to 8 bits.
    """
    at = _path(surrogate, images, labels, generator=generator, targets=targets, reference=reference)
    return at(as_float(strength))
