"""Delivery as JPEG files: what most channels do to an image."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from dumb_bench.deliveries.base import delivery
from dumb_bench.errors import InputError

_CHROMA_HALVED = 2
"""Pillow's number for 4:2:0: colour at half the resolution, brightness at full. The default of common encoders."""


@delivery("jpeg", lossless=False, number="quality")
def jpeg(images: Tensor, *, quality: Annotated[int, Field(ge=1, le=100)]) -> Tensor:
    """Round to 8 bits, write each image as a JPEG of this quality, and read it again.

    images: (N, C, H, W) in [0, 1], C 1 or 3. quality: 1..100 as libjpeg counts it, in grids `jpeg75`; chroma is halved
    (4:2:0), Huffman tables are the standard's. The published DUMB images were stored as JPEG of quality 75.

    Raises:
        InputError: images have neither 1 nor 3 channels.

    Source: ITU-T T.81 (1992); Dziugaite, Ghahramani, Roy, arXiv:1608.00853, on JPEG against adversarial images.
    """
    channels = images.shape[1]
    if channels not in (1, 3):
        raise InputError(f"JPEG: expected images of 1 or 3 channels, got {channels}")
    levels = (images.detach().cpu() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    read = np.stack([_through_file(image, quality) for image in levels])
    return torch.from_numpy(read).permute(0, 3, 1, 2).to(images.device).float() / 255


def _through_file(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """Return an image (H, W, C) as it comes out of a JPEG file."""
    grey = image.shape[2] == 1
    file = BytesIO()
    picture = Image.fromarray(image[:, :, 0] if grey else image)
    picture.save(file, "JPEG", quality=quality, subsampling=0 if grey else _CHROMA_HALVED)
    with Image.open(file) as opened:
        return np.asarray(opened, dtype=np.uint8).reshape(image.shape)
