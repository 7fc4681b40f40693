"""A small AlexNet: large first kernel, few convolutions, dropout in a wide classifier, no normalisation layers."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from dumb_bench.architectures.base import Preprocessed, architecture
from dumb_bench.architectures.pooling import AdaptiveMaxPool2d, MaxPool2d

_POOLED = 4


@architecture("small_alexnet", paper="Krizhevsky, Sutskever, Hinton, NeurIPS 2012, scaled down")
def small_alexnet(
    num_classes: int, image_shape: tuple[int, int, int], *, width: int = 16, dropout: float = 0.5
) -> nn.Module:
    """AlexNet scaled down to 32x32 images: 3 convolutions, 2 linear layers, dropout.

    Maps images (N, C, H, W) in [0, 1] to logits (N, num_classes), H and W at least 32. width: channels of the first
    convolution. dropout: probability, 0..1. Kaiming-normal weights from PyTorch's global generator.
    """
    channels = image_shape[0]
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 5, stride=2, padding=2), nn.ReLU(), MaxPool2d(2)]
    for before, after in pairwise((width, 2 * width, 3 * width)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    layers += [AdaptiveMaxPool2d(_POOLED), nn.Flatten()]
    layers += [nn.Dropout(dropout), nn.Linear(3 * width * _POOLED**2, 8 * width), nn.ReLU()]
    layers += [nn.Dropout(dropout), nn.Linear(8 * width, num_classes)]
    network = nn.Sequential(*layers)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return Preprocessed(network, mean=(0.5,) * channels, std=(0.5,) * channels)
