"""JPEG: Dziugaite, Ghahramani, Roy, A study of the effect of JPG compression on adversarial images, 2016."""

from __future__ import annotations

import io
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from dumb_bench.defences.base import Defence, defence
from dumb_bench.defences.inputs import InputDefence, straight_through
from dumb_bench.errors import InputError


def compressed(images: Tensor, quality: int) -> Tensor:
    """Return images (N, C, H, W) in [0, 1], C 1 or 3, as Pillow's JPEG coder leaves them after rounding to 8 bits.

    Raises:
        InputError: they have another number of channels.
    """
    channels = images.shape[1]
    if channels not in (1, 3):
        raise InputError(f"defence 'jpeg': expected images of 1 or 3 channels, got {channels}")
    levels = (images * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    found = np.stack([_round_trip(image, quality) for image in levels])
    return torch.from_numpy(found).to(images.device).permute(0, 3, 1, 2).to(images.dtype) / 255


def _round_trip(levels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(levels.squeeze(-1) if levels.shape[-1] == 1 else levels).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as image:
        return np.asarray(image, dtype=np.uint8).reshape(levels.shape)


@defence("jpeg", paper="arXiv:1608.00853", trains=False)
def jpeg(*, quality: Annotated[int, Field(ge=1, le=95)] = 75) -> Defence:
    """Images are compressed as JPEG by Pillow (its default subsampling) first; backward is the identity."""
    return InputDefence(straight_through(lambda images: compressed(images, quality)))
