"""What the networks for CIFAR-10 share: its normalisation, the pre-activation block, the initial weights."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed, ResidualBlock

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the 50,000 training images, for each of red, green and blue, in [0, 1]."""


class Convolution(NamedTuple):
    """One convolution of a block. kernel: its side, odd. width: channels that it gives."""

    kernel: int
    width: int
    stride: int = 1


class PreactivationBlock(ResidualBlock):
    """Branch: batch normalisation, ReLU, convolution, as often as there are convolutions; nothing after the sum.

    The shortcut is the identity, or where the shape changes a 1x1 convolution of the block's input as it is (He et al.
    put the first activation before it). dropout: between the convolutions, probability, 0..1.

    Source: K. He, X. Zhang, S. Ren, J. Sun, Identity mappings in deep residual networks (ECCV 2016), figure 4e.
    """

    def __init__(self, before: int, convolutions: tuple[Convolution, ...], dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (before, *(item.width for item in convolutions))
        for item, (inwards, outwards) in zip(convolutions, pairwise(widths), strict=True):
            if layers and dropout > 0:
                layers.append(nn.Dropout(dropout))
            layers += [nn.BatchNorm2d(inwards), nn.ReLU(), _convolution(inwards, outwards, item.kernel, item.stride)]
        self.layers = nn.Sequential(*layers)
        stride = math.prod(item.stride for item in convolutions)
        same = stride == 1 and before == widths[-1]
        self.shortcut = nn.Identity() if same else _convolution(before, widths[-1], 1, stride)
        self.activation = nn.Identity()

    def branch(self, features: Tensor) -> Tensor:
        """Map features (N, before, H, W) to (N, width, H / stride, W / stride)."""
        mapped: Tensor = self.layers(features)
        return mapped

    def skip(self, features: Tensor) -> Tensor:
        """Map features (N, before, H, W) to (N, width, H / stride, W / stride)."""
        mapped: Tensor = self.shortcut(features)
        return mapped


def preactivation_network(channels: int, width: int, blocks: list[PreactivationBlock], classes: int) -> nn.Module:
    """Return a whole network of such blocks behind CIFAR-10's normalisation.

    A 3x3 convolution to `width` channels, the blocks, batch normalisation, ReLU, global average pooling, one linear
    layer. Maps images (N, channels, H, W) in [0, 1] to logits (N, classes).
    """
    last = [layer for layer in blocks[-1].layers if isinstance(layer, nn.Conv2d)][-1].out_channels
    network = nn.Sequential(
        _convolution(channels, width, 3, 1),
        *blocks,
        nn.BatchNorm2d(last),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(last, classes),
    )
    return normalised(network, channels)


def normalised(network: nn.Module, channels: int) -> nn.Module:
    """Draw a network's initial convolutions and return it behind CIFAR-10's normalisation.

    Weights N(0, 2 / (kernel area * channels given)), biases 0; all else as PyTorch starts it. Images of other than
    three channels are normalised by the means over red, green and blue.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    mean, std = (
        values if channels == len(values) else (sum(values) / len(values),) * channels for values in (MEAN, STD)
    )
    return Preprocessed(network, mean=mean, std=std)


def _convolution(before: int, after: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
