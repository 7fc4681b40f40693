"""Box blur: a degradation that looks at no model (the non-mathematical attack BoxBlur of Alecci et al., RAID 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import Surrogate, as_float, attack


@attack(
    "box_blur", norm=None, strength="radius", unit="pixel",
    default_strengths=tuple(0.5 * step for step in range(1, 21)), minimum=0.0, maximum=100.0, uses="nothing",
    paper="Alecci et al., RAID 2023",
)  # fmt: skip
def box_blur(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
) -> Tensor:
    """Mean over a box of side 2 radius + 1; a fractional radius weights the outermost pixels by its fraction."""
    del surrogate, labels, generator, targets
    radius = as_float(strength)
    whole = int(radius)
    weights = torch.ones(2 * whole + 3, dtype=images.dtype, device=images.device)
    weights[0] = weights[-1] = radius - whole
    weights = weights / weights.sum()
    channels, reach = images.shape[1], whole + 1
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, weights.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)
    blurred = functional.conv2d(across, weights.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
    return blurred.clamp(0, 1)
