"""Inverted colours: a degradation that looks at no model (InvertColor of Alecci et al., RAID 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, attack


@attack("invert_color", norm=None, strength=None, uses="nothing", paper="Alecci et al., RAID 2023")
def invert_color(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
) -> Tensor:
    """The negative of the image, 1 - x."""
    del surrogate, labels, strength, generator, targets
    return 1 - images
