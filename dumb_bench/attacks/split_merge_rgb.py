"""Swapped colour channels: a degradation that looks at no model (SplitMergeRGB of Alecci et al., RAID 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, attack


@attack(
    "split_merge_rgb", norm=None, strength=None, min_channels=3, uses="nothing", paper="Alecci et al., RAID 2023",
)  # fmt: skip
def split_merge_rgb(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
) -> Tensor:
    """The channels red, green, blue in the order green, red, blue; further channels stay."""
    del surrogate, labels, strength, generator, targets
    red, green = images[:, 0:1], images[:, 1:2]
    return torch.cat([green, red, images[:, 2:]], dim=1)
