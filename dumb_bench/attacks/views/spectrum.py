"""The discrete cosine transform in two dimensions, orthonormal, as a product with its matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosines(side: int, like: Tensor) -> Tensor:
    """Return the orthonormal DCT-II matrix (side, side), a row a frequency, in the type and on the device of `like`."""
    place = torch.arange(side, dtype=torch.float64, device=like.device)
    matrix = torch.cos(math.pi / side * (place[None] + 0.5) * place[:, None]) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like.dtype)


def dct(images: Tensor) -> Tensor:
    """Return the spectrum (N, C, H, W) of images (N, C, H, W); lengths and inner products are kept (Parseval)."""
    return cosines(images.shape[-2], images) @ images @ cosines(images.shape[-1], images).T


def inverse_dct(spectrum: Tensor) -> Tensor:
    """Return the images (N, C, H, W) that have this spectrum."""
    return cosines(spectrum.shape[-2], spectrum).T @ spectrum @ cosines(spectrum.shape[-1], spectrum)
