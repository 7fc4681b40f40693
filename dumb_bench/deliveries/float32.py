"""Delivery of the very numbers that the attack made."""

from __future__ import annotations

from torch import Tensor

from dumb_bench.deliveries.base import delivery


@delivery("float32", lossless=True)
def float32(images: Tensor) -> Tensor:
    """Leave the image as it is: what an attack without an 8-bit channel could do."""
    return images
