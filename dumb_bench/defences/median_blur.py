"""Median filter: Xu, Evans, Qi, Feature Squeezing, NDSS 2018."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from dumb_bench.defences.base import Defence, defence
from dumb_bench.defences.inputs import InputDefence


def filtered(images: Tensor, window: int) -> Tensor:
    """Return the median of each pixel's window, channel by channel; at an edge the image is mirrored, edge included.

    images: (N, C, H, W). The gradient goes to the pixel that is the median.
    """
    half = window // 2
    rows, columns = (_mirrored(size, half, images.device) for size in images.shape[-2:])
    windows = images[:, :, rows][:, :, :, columns].unfold(2, window, 1).unfold(3, window, 1)
    return windows.flatten(4).median(4).values


def _mirrored(size: int, half: int, device: torch.device) -> Tensor:
    places = torch.arange(-half, size + half, device=device) % (2 * size)
    return torch.where(places < size, places, 2 * size - 1 - places)


def _odd(window: int) -> int:
    if window % 2 == 0:
        raise ValueError("expected an odd number")
    return window


@defence("median_blur", paper="arXiv:1704.01155", trains=False)
def median_blur(*, window: Annotated[int, Field(ge=3, le=31), AfterValidator(_odd)] = 3) -> Defence:
    """Each pixel becomes the median of the square of `window` pixels around it; differentiable almost everywhere."""
    return InputDefence(lambda images: filtered(images, window))
