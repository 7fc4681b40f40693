"""VGG with batch normalisation, for 32x32 images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from dumb_bench.architectures.base import architecture
from dumb_bench.architectures.cifar import normalised
from dumb_bench.architectures.pooling import MaxPool2d

_WIDTHS = (64, 128, 256, 512, 512)
_CONVOLUTIONS: dict[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@architecture("vgg_cifar", min_side=32, paper="Simonyan, Zisserman, ICLR 2015, configurations D and E")
def vgg_cifar(
    num_classes: int,
    image_shape: tuple[int, int, int],
    *,
    depth: Literal[16, 19] = 16,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
) -> nn.Module:
    """VGG-16 or VGG-19 with batch normalisation for CIFAR: 13 or 16 convolutions, three linear layers.

    Maps images (N, C, H, W) in [0, 1] to logits (N, num_classes), H and W at least 32. The classifier is that of the
    public code of Gubri et al. (UAI 2022), which is SWAG's: two hidden layers of 512 units, each behind dropout, in
    place of the paper's 4,096; what is left of an image larger than 32x32 is averaged. 15.3 or 20.6 million weights.
    """
    layers: list[nn.Module] = []
    before = image_shape[0]
    for width, convolutions in zip(_WIDTHS, _CONVOLUTIONS[depth], strict=True):
        for _ in range(convolutions):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for _ in range(2):
        layers += [nn.Dropout(dropout), nn.Linear(before, before), nn.ReLU()]
    return normalised(nn.Sequential(*layers, nn.Linear(before, num_classes)), image_shape[0])
