"""The contract of a posterior: from a training problem to weight samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.errors import InputError
from dumb_bench.parameters import parameters_of
from dumb_bench.recipes import Recipe

State = Mapping[str, Tensor]
"""A network's weights and buffers by name, as `state_dict` returns them: on the CPU, detached, sharing no memory."""

Kind = Literal["samples", "dropout", "gaussian"]
"""What weight samples are (`WeightSamples`)."""

Schedule = Callable[[int], float]
"""Learning rate of each optimiser step, counted from 0 over the whole run."""

StepHook = Callable[[int, float, nn.Module], None]
"""Called at each optimiser step with its number, its learning rate and the network, whose gradients (before the step:
SGLD's noise) or weights (after it) it may change."""

OptimiserOf = Callable[[nn.Module], Optimizer]
"""Makes the optimiser of a network; its learning rate is the schedule's at every step."""


class Epoch(NamedTuple):
    """What is known at the end of an epoch. number: from 1. loss: mean training loss. The rest: clean validation."""

    number: int
    loss: float
    validation_loss: float
    validation_f1: float


EpochHook = Callable[[Epoch, nn.Module], None]
"""Called at the end of each epoch: collects samples (`state_of(network)`), moments, curves."""


class History(NamedTuple):
    """A training run. selected: the epoch whose weights the network holds now; the last without early stopping.

    gradients: training images whose gradient was taken, each as often as it was.
    """

    epochs: tuple[Epoch, ...]
    selected: int
    gradients: int = 0


class TrainingProblem(Protocol):
    """What a posterior is given: the data, the network and the loss of one model, behind these names."""

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
        """Return the seed of a purpose ("init", "order", "noise", "langevin", ...) for a member of the model.

        Parts of a chain's run (its cycles, what follows the point solution) are numbered as members too.
        """

    def build(self, member: int = 0) -> nn.Module:
        """Return a freshly initialised network, in train mode; the same weights whenever it is called."""

    def fit(
        self,
        network: nn.Module,
        *,
        member: int = 0,
        epochs: int | None = None,
        schedule: Schedule | None = None,
        optimiser: OptimiserOf | None = None,
        early_stopping: bool = True,
        on_epoch_end: EpochHook | None = None,
        on_gradients: StepHook | None = None,
        on_step_end: StepHook | None = None,
    ) -> History:
        """Train a network in place: the one training loop.

        epochs, schedule, optimiser: the recipe's where None. early_stopping: stop by the recipe's patience and restore
        the best epoch's weights; without it all epochs run and the last weights stay. The network is left in eval mode.
        on_gradients, on_step_end: called just before and just after each optimiser step.

        Raises:
            FloatingPointError: the loss is not finite.
        """

    def part(self, number: int, work: Callable[[], Sequence[State]]) -> Sequence[State]:
        """Return the weights of part `number` of the run: the stored ones, or those that `work` returns and are stored.

        For a leaf that declares `length`: a run that was ended goes on where its last whole part ended. A part may
        depend on the weights of those before it and on its number, on nothing else.
        """

    def point(self, member: int = 0) -> State:
        """Return the weights that the posterior `point` ends with for a member: trained once for all who ask."""

    def refresh_statistics(self, network: nn.Module) -> None:
        """Re-estimate BatchNorm's running statistics in one pass over the training images; leaves eval mode.

        For weights that training never held (averages, draws): the statistics they come with belong to others.
        """

    def training_batches(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the training images (N, C, H, W) in [0, 1], without noise, and labels; `batch` at most, one order."""


@dataclass(frozen=True)
class WeightSamples:
    """Weights drawn from a posterior, or what they are drawn from.

    states: one state per sample for `samples`; a single one for `dropout` (the network stays stochastic); the means
    (with all buffers) and the deviations of the weights by name for `gaussian` (a pass draws all weights).
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


def stepwise(lr: float, factor: float, length: int) -> Schedule:
    """Return the schedule lr * factor^k, k the number of whole lengths passed. length: in optimiser steps."""
    return lambda step: lr * factor ** (step // length)


Params = Mapping[str, Any]
"""A posterior's parameters by name; those left out have the default of its signature."""

CountOf = Callable[[Params], int]
"""How many weight samples a posterior returns."""

EpochsOf = Callable[[Recipe, Params], int]
"""What a posterior's training costs at most, in epochs (early stopping may end it sooner)."""


Parents = Literal["none", "start", "members"]
"""The networks of the posterior `point` that a posterior needs: none; the one it starts from; its members, which are
all that it consists of."""


@dataclass(frozen=True)
class PosteriorInfo:
    """Where a posterior comes from, and what a planner must know of it before it is trained: `CountOf`, `EpochsOf`.

    length: the parameter that counts the parts of a run (`TrainingProblem.part`), each of which gives `part_samples`;
    a run with fewer parts is the beginning of one with more. Empty: the run is one part.
    """

    paper: str
    count: CountOf
    epochs: EpochsOf
    length: str = ""
    part_samples: CountOf = lambda params: 1
    parents: Parents = "none"


_Posterior = TypeVar("_Posterior", bound=Callable[..., WeightSamples])


def posterior(
    name: str,
    *,
    paper: str = "",
    version: int = 1,
    count: CountOf = lambda params: 1,
    epochs: EpochsOf = lambda recipe, params: recipe.epochs,
    length: str = "",
    part_samples: CountOf = lambda params: 1,
    parents: Parents = "none",
) -> Callable[[_Posterior], _Posterior]:
    """Declare a function `(problem: TrainingProblem, *, **params) -> WeightSamples` as a posterior.

    count, epochs: given all parameters, defaults included; without them one sample at the cost of the recipe. `epochs`
    counts everything from the initial weights on, the parents too. The rest as `PosteriorInfo`.
    """

    def decorate(call: _Posterior) -> _Posterior:
        def full(params: Params) -> Params:
            return {name: item.default for name, item in parameters_of(call).items()} | dict(params)

        info = PosteriorInfo(
            paper,
            lambda params: count(full(params)),
            lambda recipe, params: epochs(recipe, full(params)),
            length,
            lambda params: part_samples(full(params)),
            parents,
        )
        return mark(call, PluginInfo("posteriors", name, version, info))

    return decorate
