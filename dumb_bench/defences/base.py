"""The contract of a defence: how the defender trains a model, and what is put around it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.parameters import parameters_of
from dumb_bench.spec import ModelSpec


class Course(NamedTuple):
    """What a defence is told of the training beside the batch.

    progress: the share of the run's optimiser steps that are done, from 0 to below 1; a chain's cycle is a run of its
    own. parents: the networks of the models that `parents` named, in that order, in eval mode, frozen.
    """

    progress: float = 0.0
    parents: tuple[nn.Module, ...] = ()


BEGIN = Course()


class Defence(Protocol):
    """What a defence function returns. It holds its parameters and no state."""

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        """Return the training loss of a batch, a scalar that `backward` is called on.

        model: in train mode, and left so. images: (N, C, H, W) in [0, 1]. labels: (N,) int64. generator: on the CPU,
        the only source of randomness.
        """

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model as it is deployed, [0, 1] images in, logits out; its backward may be an approximation.

        What is random in it draws from PyTorch's global generator of the images' device, as much whatever the images
        show: whoever seeds that generator then gives clean and attacked images the same draw.
        """

    def parents(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        """Return the models, one network each, that must be trained before the model of this spec."""


class Ordinary:
    """Cross entropy on the training images, deployed as trained, without parents: what a defence does not change."""

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        """Return the mean cross entropy."""
        del generator, course
        return nn.functional.cross_entropy(model(images), labels)

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model."""
        return model

    def parents(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        """Return no model."""
        del spec
        return ()


Params = Mapping[str, Any]
"""A defence's parameters by name; those left out have the default of its signature."""

PassesOf = Callable[[Params], int]
"""How many passes of the network an image takes."""

Keeps = Literal["best", "last"]


class DefenceInfo(NamedTuple):
    """Where a defence comes from, and what a planner must know of it.

    trains: whether it changes the training; the weights under one that does not are those of the undefended model.
    stochastic: whether what is deployed draws random numbers. keeps: which epoch's weights training ends with, `best`
    of clean validation F1 (then it may stop early) or `last`. training_passes: passes forward and backward that a
    training image takes, at most. passes: forward passes that an image takes when deployed.
    """

    paper: str
    trains: bool = True
    stochastic: bool = False
    keeps: Keeps = "best"
    training_passes: PassesOf = lambda params: 1
    passes: PassesOf = lambda params: 1


_Defence = TypeVar("_Defence", bound=Callable[..., Defence])


def defence(
    name: str,
    *,
    paper: str = "",
    version: int = 1,
    trains: bool = True,
    stochastic: bool = False,
    keeps: Keeps = "best",
    training_passes: PassesOf = lambda params: 1,
    passes: PassesOf = lambda params: 1,
) -> Callable[[_Defence], _Defence]:
    """Declare a function `(*, **params) -> Defence` as a defence; the rest as `DefenceInfo`.

    training_passes, passes: given all parameters, defaults included.
    """

    def decorate(call: _Defence) -> _Defence:
        def full(params: Params) -> Params:
            return {key: item.default for key, item in parameters_of(call).items()} | dict(params)

        info = DefenceInfo(
            paper, trains, stochastic, keeps,
            lambda params: training_passes(full(params)), lambda params: passes(full(params)),
        )  # fmt: skip
        return mark(call, PluginInfo("defences", name, version, info))

    return decorate
