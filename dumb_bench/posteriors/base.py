"""The contract of a posterior: from a training problem to weight samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.errors import InputError
from dumb_bench.recipes import Recipe

State = Mapping[str, Tensor]
"""A network's weights and buffers by name, as `state_dict` returns them: on the CPU, detached, sharing no memory."""

Kind = Literal["samples", "dropout", "gaussian"]
"""What weight samples are (`WeightSamples`)."""

Schedule = Callable[[int], float]
"""Learning rate of each optimiser step, counted from 0 over the whole run."""

StepHook = Callable[[int, float, nn.Module], None]
"""Called after each optimiser step with its number, its learning rate and the network, which it may change (SGLD)."""


class Epoch(NamedTuple):
    """What is known at the end of an epoch. number: from 1. loss: mean training loss. The rest: clean validation."""

    number: int
    loss: float
    validation_loss: float
    validation_f1: float


EpochHook = Callable[[Epoch, nn.Module], None]
"""Called at the end of each epoch: collects samples (`state_of(network)`), moments, curves."""


class History(NamedTuple):
    """A training run. selected: the epoch whose weights the network holds now; the last without early stopping."""

    epochs: tuple[Epoch, ...]
    selected: int


class TrainingProblem(Protocol):
    """What a posterior is given: the data, the network and the loss of one model, behind these five names."""

    @property
    def recipe(self) -> Recipe:
        """The recipe, fully resolved."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""

    @property
    def train_images(self) -> int:
        """Training images N, the size that a likelihood is scaled by."""

    def seed(self, purpose: str, member: int = 0) -> int:
        """Return the seed of a purpose ("init", "order", "noise", "langevin", ...) for a member of the model."""

    def build(self, member: int = 0) -> nn.Module:
        """Return a freshly initialised network, in train mode; the same weights whenever it is called."""

    def fit(
        self,
        network: nn.Module,
        *,
        member: int = 0,
        epochs: int | None = None,
        schedule: Schedule | None = None,
        early_stopping: bool = True,
        on_epoch_end: EpochHook | None = None,
        on_step_end: StepHook | None = None,
    ) -> History:
        """Train a network in place: the one training loop.

        epochs, schedule: the recipe's where None. early_stopping: stop by the recipe's patience and restore the best
        epoch's weights; without it all epochs run and the last weights stay. The network is left in eval mode.

        Raises:
            FloatingPointError: the loss is not finite.
        """


@dataclass(frozen=True)
class WeightSamples:
    """Weights drawn from a posterior, or what they are drawn from.

    states: one state per sample for `samples`; a single one for `dropout` (the network stays stochastic) and what the
    leaf documents for `gaussian` (mean, then deviations).
    """

    states: tuple[State, ...]
    kind: Kind = "samples"

    def prefix(self, count: int) -> WeightSamples:
        """Return the first `count` samples; other kinds are unchanged, since they are drawn from when used.

        Raises:
            InputError: there are fewer.
        """
        if self.kind != "samples":
            return self
        if not 1 <= count <= len(self.states):
            raise InputError(f"expected 1 to {len(self.states)} weight samples, got {count}")
        return dataclasses.replace(self, states=self.states[:count])


def state_of(network: nn.Module) -> State:
    """Return a copy of a network's weights and buffers, on the CPU."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in network.state_dict().items()}


def cosine(lr: float, steps: int) -> Schedule:
    """Return the schedule lr * (1 + cos(pi * step / steps)) / 2.

    Source: I. Loshchilov, F. Hutter, SGDR (ICLR 2017), equation 5 with one cycle and a minimum of 0.
    """
    return lambda step: lr * (1 + math.cos(math.pi * step / steps)) / 2


class PosteriorInfo(NamedTuple):
    """Where a posterior comes from."""

    paper: str


_Posterior = TypeVar("_Posterior", bound=Callable[..., WeightSamples])


def posterior(name: str, *, paper: str = "", version: int = 1) -> Callable[[_Posterior], _Posterior]:
    """Declare a function `(problem: TrainingProblem, *, **params) -> WeightSamples` as a posterior."""
    info = PosteriorInfo(paper)

    def decorate(call: _Posterior) -> _Posterior:
        return mark(call, PluginInfo("posteriors", name, version, info))

    return decorate
