"""Delivery in another size: a channel that scales images down, or up, and a receiver that scales them back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dumb_bench.deliveries.base import delivery
from dumb_bench.deliveries.uint8 import uint8


@delivery("resize", lossless=False, number="side")
def resize(images: Tensor, *, side: Annotated[int, Field(ge=2, le=4096)]) -> Tensor:
    """Scale to `side` x `side` pixels and back, rounding to 8 bits after each.

    images: (N, C, H, W) in [0, 1]; what arrives has their shape. In grids `resize24`. Bilinear with antialiasing, as
    Pillow and browsers scale photographs; a side as large as the image's changes nothing but the rounding.
    """
    height, width = images.shape[2:]
    sent = uint8(_scaled(images, side, side))
    return uint8(_scaled(sent, height, width))


def _scaled(images: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(images, (height, width), mode="bilinear", align_corners=False, antialias=True)
