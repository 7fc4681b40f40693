"""The default delivery: 8 bits a channel, rounded (not truncated)."""

from __future__ import annotations

from torch import Tensor

from dumb_bench.deliveries.base import delivery


@delivery("uint8", lossless=True)
def uint8(images: Tensor) -> Tensor:
    """Round to the nearest of 256 levels: as a PNG file would arrive."""
    return (images * 255).round().clamp(0, 255) / 255
