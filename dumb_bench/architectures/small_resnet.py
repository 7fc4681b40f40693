"""A small ResNet: residual blocks with batch normalisation, global average pooling."""

from __future__ import annotations

from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed, ResidualBlock, architecture


class _Block(ResidualBlock):
    """The basic block: two 3x3 convolutions around a shortcut, projected where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
        self.activation = nn.ReLU()

    def branch(self, features: Tensor) -> Tensor:
        """Map features (N, before, H, W) to (N, after, H / stride, W / stride)."""
        mapped: Tensor = self.second(self.first(features))
        return mapped

    def skip(self, features: Tensor) -> Tensor:
        """Map features (N, before, H, W) to (N, after, H / stride, W / stride)."""
        mapped: Tensor = self.shortcut(features)
        return mapped


@architecture("small_resnet", paper="He, Zhang, Ren, Sun, CVPR 2016, ResNet-18 scaled down")
def small_resnet(num_classes: int, image_shape: tuple[int, int, int], *, width: int = 16) -> nn.Module:
    """ResNet scaled down to 32x32 images: a strided stem and three basic blocks.

    Maps images (N, C, H, W) in [0, 1] to logits (N, num_classes), H and W at least 32. width: channels of the stem and
    the first block, doubled by each further block. Kaiming-normal weights from PyTorch's global generator.
    """
    channels = image_shape[0]
    network = nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        _Block(width, width, 1),
        _Block(width, 2 * width, 2),
        _Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, num_classes),
    )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    return Preprocessed(network, mean=(0.5,) * channels, std=(0.5,) * channels)
