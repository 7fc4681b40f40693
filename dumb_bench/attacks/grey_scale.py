"""Grey scale: a degradation that looks at no model (GreyScale of Alecci et al., RAID 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, attack

WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in the luminance of ITU-R BT.601."""

PILLOW = (19595, 38470, 7471)
"""The same in Pillow's 16-bit arithmetic."""


def luminance(images: Tensor, *, reference: bool = False) -> Tensor:
    """Return the luminance (N, 1, H, W) of images (N, C, H, W) in [0, 1]; below three channels their mean.

    reference: as Pillow computes it, on 8-bit levels and rounded to one.
    """
    if images.shape[1] < 3:
        return images.mean(1, keepdim=True)
    if not reference:
        red, green, blue = (weight * images[:, place, None] for place, weight in enumerate(WEIGHTS))
        return (red + green + blue).clamp(0, 1)
    levels = (images.double() * 255).round()
    red, green, blue = (weight * levels[:, place, None] for place, weight in enumerate(PILLOW))
    return (((red + green + blue + 2**15) / 2**16).floor() / 255).to(images.dtype)


@attack(
    "grey_scale", norm=None, strength=None, min_channels=3, uses="nothing", paper="Alecci et al., RAID 2023",
)  # fmt: skip
def grey_scale(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Tensor:
    """Every channel becomes the luminance of the first three, .299 R + .587 G + .114 B.

    reference: as the published runs, by Pillow's `convert("L")`: rounded to 8 bits, with weights of 16 bits.
    """
    del surrogate, labels, strength, generator, targets
    return luminance(images, reference=reference).expand_as(images)
