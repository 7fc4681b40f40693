"""What the input defences share: a transformation before the network, and the identity in its place on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dumb_bench.defences.base import Ordinary

Transform = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] -> images of the same shape in [0, 1]."""


class InputDefence(Ordinary):
    """Images pass a transformation before the network; training is the ordinary one."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the network behind the transformation."""
        return Transformed(model, self.transform)


class Transformed(nn.Module):
    """A network behind a transformation of its images."""

    def __init__(self, network: nn.Module, transform: Transform) -> None:
        super().__init__()
        self.network = network
        self.transform = transform
        self.passes = passes_of(network)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        logits: Tensor = self.network(self.transform(images))
        return logits


def passes_of(network: nn.Module) -> int:
    """Return how many passes of the network proper an image takes: its attribute `passes`, 1 without."""
    return int(getattr(network, "passes", 1))


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, transform: Transform) -> Tensor:
        del ctx
        return transform(images.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None]:
        del ctx
        return gradients[0], None


def straight_through(transform: Transform) -> Transform:
    """Return a transformation whose gradient is the identity's: BPDA (Athalye et al., ICML 2018, section 4.1)."""

    def call(images: Tensor) -> Tensor:
        found: Tensor = _StraightThrough.apply(images, transform)
        return found

    return call
