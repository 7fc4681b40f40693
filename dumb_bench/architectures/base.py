"""The contract of an architecture: [0, 1] images in, logits out; resizing and normalising are layers of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from dumb_bench.catalogue import PluginInfo, mark

_Architecture = TypeVar("_Architecture", bound=Callable[..., nn.Module])


class ArchitectureInfo(NamedTuple):
    """min_side: the smallest image side that the network takes, in pixels."""

    min_side: int
    paper: str


def architecture(
    name: str, *, min_side: int = 32, paper: str = "", version: int = 1
) -> Callable[[_Architecture], _Architecture]:
    """Declare a function `(num_classes, image_shape, *, **params) -> nn.Module` as an architecture."""
    info = ArchitectureInfo(min_side, paper)

    def decorate(call: _Architecture) -> _Architecture:
        return mark(call, PluginInfo("architectures", name, version, info))

    return decorate


class Preprocessed(nn.Module):
    """A network behind its own preprocessing, so that attacks and victims see [0, 1] images and nothing else.

    Resizes (bilinear, antialiased) where `side` is given and differs from the image's, then (x - mean) / std.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...], side: int | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.side = side
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        if self.side is not None and images.shape[-2:] != (self.side, self.side):
            images = nn.functional.interpolate(
                images, size=(self.side, self.side), mode="bilinear", align_corners=False, antialias=True
            )
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
