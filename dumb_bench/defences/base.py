"""The contract of a defence: how the defender trains a model, and what is put around it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.spec import ModelSpec


class Defence(Protocol):
    """What a defence function returns. It holds its parameters and no state."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the training loss of a batch, a scalar that `backward` is called on.

        images: (N, C, H, W) in [0, 1]. labels: (N,) int64. generator: on the CPU, the only source of randomness.
        """

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model as it is deployed, [0, 1] images in, logits out; its backward may be an approximation."""

    def parents(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        """Return the models that must be trained before the model of this spec."""


class DefenceInfo(NamedTuple):
    """Where a defence comes from."""

    paper: str


_Defence = TypeVar("_Defence", bound=Callable[..., Defence])


def defence(name: str, *, paper: str = "", version: int = 1) -> Callable[[_Defence], _Defence]:
    """Declare a function `(*, **params) -> Defence` as a defence."""
    info = DefenceInfo(paper)

    def decorate(call: _Defence) -> _Defence:
        return mark(call, PluginInfo("defences", name, version, info))

    return decorate
