"""A network of your own: `plain` is the one you trained, the architecture around it says how it sees images."""

from torch import nn

from dumb_bench.architectures.base import Preprocessed, architecture


def plain(classes: int) -> nn.Module:
    """Your network, as you wrote it."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, classes),
    )  # fmt: skip


@architecture("my_network")
def my_network(num_classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """Two convolutions and a linear layer, for RGB images normalised by .5 and .25."""
    return Preprocessed(plain(num_classes), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
