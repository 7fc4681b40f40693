"""Box blur: a degradation that looks at no model (the non-mathematical attack BoxBlur of Alecci et al., RAID 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import Surrogate, as_float, attack

ONE = 2**24
"""Pillow's weights are whole multiples of 2^-24."""


@attack(
    "box_blur", norm=None, strength="radius", unit="pixel",
    default_strengths=tuple(0.5 * step for step in range(1, 21)), minimum=0.0, maximum=100.0, uses="nothing",
    zero_is_identity=True, paper="Alecci et al., RAID 2023",
)  # fmt: skip
def box_blur(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Tensor:
    """Mean over a box of side 2 radius + 1; a fractional radius weights the outermost pixels by its fraction.

    reference: as the published runs, by Pillow's `BoxBlur`, which rounds to 8 bits after the rows and after the
    columns: up to one level of 255 away.
    """
    del surrogate, labels, generator, targets
    radius = as_float(strength)
    if reference:
        levels = (images.double() * 255).round()
        columns = _blur_rows(_blur_rows(levels, radius).mT, radius)
        return (columns.mT / 255).to(images.dtype)
    whole = int(radius)
    weights = torch.ones(2 * whole + 3, dtype=images.dtype, device=images.device)
    weights[0] = weights[-1] = radius - whole
    weights = weights / weights.sum()
    channels, reach = images.shape[1], whole + 1
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, weights.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)
    blurred = functional.conv2d(across, weights.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
    return blurred.clamp(0, 1)


def _blur_rows(levels: Tensor, radius: float) -> Tensor:
    """Blur levels 0 to 255 (N, C, H, W) float64 along W, with Pillow's weights and rounding; every sum is exact."""
    whole = int(radius)
    inner = int(torch.tensor(float(ONE)) / torch.tensor(2 * radius + 1))  # divided in float32, then cut
    outer = (ONE - (2 * whole + 1) * inner) // 2
    width = levels.shape[-1]
    padded = functional.pad(levels, (whole + 1, whole + 1, 0, 0), mode="replicate")
    total = outer * (padded[..., :width] + padded[..., -width:])
    for shift in range(1, 2 * whole + 2):
        total += inner * padded[..., shift : shift + width]
    return ((total + ONE / 2) / ONE).floor()
