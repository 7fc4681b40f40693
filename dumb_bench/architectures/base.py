"""The contract of an architecture: [0, 1] images in, logits out; resizing and normalising are layers of the model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from dumb_bench.catalogue import PluginInfo, mark

_Architecture = TypeVar("_Architecture", bound=Callable[..., nn.Module])


class NamedWeights(NamedTuple):
    """Initial weights that have a name, pinned by the file that holds them.

    url: of the file; its name ends in the first digits of its sha256, as in `resnet18-f37072fd.pth`. read: from the
    verified file to tensors, named as in the network (of a `Preprocessed` one: the inner network's names).
    """

    url: str
    read: Callable[[Path], Mapping[str, Tensor]]


class ArchitectureInfo(NamedTuple):
    """min_side: the smallest image side that the network takes, in pixels. inits: its named initial weights."""

    min_side: int
    paper: str
    inits: Mapping[str, NamedWeights] = {}


def architecture(
    name: str,
    *,
    min_side: int = 32,
    paper: str = "",
    version: int = 1,
    inits: Mapping[str, NamedWeights] | None = None,
) -> Callable[[_Architecture], _Architecture]:
    """Declare a function `(num_classes, image_shape, *, **params) -> nn.Module` as an architecture."""
    info = ArchitectureInfo(min_side, paper, inits or {})

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
        logits: Tensor = self.network(self.prepared(images))
        return logits

    def prepared(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [0, 1] resized and normalised, as the inner network takes them."""
        if self.side is not None and images.shape[-2:] != (self.side, self.side):
            images = nn.functional.interpolate(
                images, size=(self.side, self.side), mode="bilinear", align_corners=False, antialias=True
            )
        return (images - self.mean) / self.std


def head_of(network: nn.Module) -> str:
    """Return the name of the layer that gives the logits: the last linear layer or convolution, "" where none is."""
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return names[-1] if names else ""


class ResidualBlock(nn.Module):
    """A residual block: `activation(branch(features) + skip(features))`.

    A network built of these can be attacked by what looks at or alters residual branches (`attacks.features`,
    `attacks.modifiers`). A subclass sets `activation`, which it uses nowhere else, and defines both ways.
    """

    activation: nn.Module

    def branch(self, features: Tensor) -> Tensor:
        """Map features (N, C, H, W) to what the block adds, (N, C', H', W')."""
        raise NotImplementedError

    def skip(self, features: Tensor) -> Tensor:
        """Map features (N, C, H, W) to what the branch is added to, (N, C', H', W')."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, C, H, W) to (N, C', H', W')."""
        mapped: Tensor = self.activation(self.branch(features) + self.skip(features))
        return mapped


class _TorchvisionBlock(ResidualBlock):
    """A block of torchvision's ResNets, whose one ReLU serves inside the branch and after the sum, taken apart."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.activation = nn.ReLU()
        self.training = self.activation.training = block.training

    def branch(self, features: Tensor) -> Tensor:
        parts = ["conv1", "bn1", "relu", "conv2", "bn2", "relu", "conv3", "bn3"]
        for part in parts if hasattr(self.block, "conv3") else parts[:5]:
            features = self.block.get_submodule(part)(features)
        return features

    def skip(self, features: Tensor) -> Tensor:
        if self.block.downsample is not None:
            features = self.block.get_submodule("downsample")(features)
        return features


def _torchvision_blocks() -> tuple[type[nn.Module], ...]:
    """Return torchvision's two blocks; none while torchvision is not imported, since then no network holds one."""
    resnet = sys.modules.get("torchvision.models.resnet")
    return () if resnet is None else (resnet.BasicBlock, resnet.Bottleneck)


def is_residual(module: nn.Module) -> bool:
    """Whether a module is a residual block: a `ResidualBlock`, or one of torchvision's ResNets."""
    return isinstance(module, (ResidualBlock, *_torchvision_blocks()))


def as_residual(module: nn.Module) -> ResidualBlock | None:
    """Return a residual block as one whose branch and skip can be told apart, sharing its weights; None for others.

    A subclass of torchvision's blocks may compute something else: it is none.
    """
    if isinstance(module, ResidualBlock):
        return module
    return _TorchvisionBlock(module) if type(module) in _torchvision_blocks() else None
