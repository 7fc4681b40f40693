"""The control `identity`: the clean image itself. Its success must be exactly 0 for a lossless delivery."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, attack


@attack("identity", norm="linf", unit="[0, 1] pixel", default_strengths=(0.0,), maximum=0.0, uses="nothing")
def identity(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
) -> Tensor:
    """The clean image, unchanged (control)."""
    del surrogate, labels, strength, generator, targets
    return images
