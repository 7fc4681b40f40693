"""A small VGG: pairs of 3x3 convolutions with batch normalisation, halved by max pooling."""

from __future__ import annotations

from torch import nn

from dumb_bench.architectures.base import Preprocessed, architecture
from dumb_bench.architectures.pooling import AdaptiveAvgPool2d, MaxPool2d

_CONVOLUTIONS = (1, 1, 2)


@architecture(
    "small_vgg", paper="Simonyan, Zisserman, ICLR 2015, configuration A with batch normalisation, scaled down"
)
def small_vgg(num_classes: int, image_shape: tuple[int, int, int], *, width: int = 8) -> nn.Module:
    """VGG with batch normalisation scaled down to 32x32 images: 4 convolutions, 2 linear layers.

    Maps images (N, C, H, W) in [0, 1] to logits (N, num_classes), H and W at least 32. width: channels of the first
    block, doubled by each block. Kaiming-normal weights from PyTorch's global generator.
    """
    channels = image_shape[0]
    layers: list[nn.Module] = []
    before = channels
    for block, convolutions in enumerate(_CONVOLUTIONS):
        for _ in range(convolutions):
            after = width * 2**block
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        layers.append(MaxPool2d(2))
    layers += [AdaptiveAvgPool2d(4), nn.Flatten()]
    layers += [nn.Linear(before * 16, 8 * width), nn.ReLU(), nn.Linear(8 * width, num_classes)]
    network = nn.Sequential(*layers)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    return Preprocessed(network, mean=(0.5,) * channels, std=(0.5,) * channels)
