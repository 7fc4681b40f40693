"""Pooling that the memory layout does not hold up: PyTorch's own, bit for bit, several times faster on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def largest(features: Tensor, window: tuple[int, int]) -> Tensor:
    """Return the largest number of each window of (N, C, H, W), windows side by side, (N, C, H // h, W // w).

    Bits and gradients are those of `nn.functional.max_pool2d(features, window)`, whose kernel for this order of memory
    compares one number at a time, while that for channels last compares a vector. So the N * C planes are laid out as
    channels, that kernel says which pixel of each window is the largest (the first among equals, as ever), and the
    pixel is taken from the features as they lie.
    """
    count, channels, height, width = features.shape
    planes = count * channels
    with torch.no_grad():
        beside = features.reshape(planes, height * width).t().contiguous()
        as_channels = beside.view(1, height, width, planes).permute(0, 3, 1, 2)
        _, where = nn.functional.max_pool2d(as_channels, window, return_indices=True)
        rows, columns = where.shape[-2:]
        where = where.permute(0, 2, 3, 1).reshape(rows * columns, planes).t().contiguous()
    taken = features.flatten(2).gather(2, where.view(count, channels, -1))
    return taken.view(count, channels, rows, columns)


def _lies_plane_by_plane(features: Tensor) -> bool:
    return features.device.type == "cpu" and features.dim() == 4 and features.is_contiguous()


class MaxPool2d(nn.MaxPool2d):
    """`nn.MaxPool2d(side)`."""

    def __init__(self, side: int) -> None:
        super().__init__(side)
        self._window = (side, side)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, C, H, W) to (N, C, H // side, W // side)."""
        if _lies_plane_by_plane(features):
            return largest(features, self._window)
        pooled: Tensor = super().forward(features)
        return pooled


class AdaptiveMaxPool2d(nn.AdaptiveMaxPool2d):
    """`nn.AdaptiveMaxPool2d(sides)`; the fast way where an image is cut into equal windows."""

    def __init__(self, sides: int) -> None:
        super().__init__(sides)
        self._sides = sides

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, C, H, W) to (N, C, sides, sides)."""
        height, width = features.shape[-2:]
        even = height % self._sides == width % self._sides == 0
        if even and _lies_plane_by_plane(features):
            return largest(features, (height // self._sides, width // self._sides))
        pooled: Tensor = super().forward(features)
        return pooled


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """`nn.AdaptiveAvgPool2d(sides)`; nothing is done where each mean would be that of one number."""

    def __init__(self, sides: int) -> None:
        super().__init__(sides)
        self._sides = sides

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, C, H, W) to (N, C, sides, sides)."""
        if features.shape[-2:] == (self._sides, self._sides):
            return features
        pooled: Tensor = super().forward(features)
        return pooled
