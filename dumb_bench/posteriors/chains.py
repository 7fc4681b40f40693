"""What chain-like posteriors share: learning-rate schedules, plain SGD, Langevin noise, samples taken on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.errors import InputError
from dumb_bench.posteriors.base import (
    Epoch,
    EpochHook,
    OptimiserOf,
    Params,
    Schedule,
    State,
    StepHook,
    TrainingProblem,
    WeightSamples,
    cosine,
    state_of,
)
from dumb_bench.posteriors.optimisers import SGD
from dumb_bench.recipes import Recipe

Count = Annotated[int, Field(ge=1, le=100_000)]
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Momentum = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]

_ADAM_TO_SGD = 10.0


def peak_rate(recipe: Recipe) -> float:
    """Return the largest learning rate that a chain uses where none is given: the recipe's, ten times that of Adam."""
    return recipe.lr if recipe.optimiser == "sgd" else min(10.0, _ADAM_TO_SGD * recipe.lr)


def plain_sgd(recipe: Recipe, momentum: float) -> OptimiserOf:
    """Return what makes SGD with momentum and the recipe's weight decay, whatever the recipe's own optimiser is."""
    fused = recipe.fused or None
    return lambda network: SGD(
        network.parameters(), lr=peak_rate(recipe), momentum=momentum, weight_decay=recipe.weight_decay, fused=fused
    )


def constant(lr: float) -> Schedule:
    """Return the schedule that stays at lr."""
    return lambda step: lr


def triangular(high: float, low: float, steps: int) -> Schedule:
    """Return the schedule that goes linearly from high to low in the middle of each cycle and back.

    steps: of a cycle, even. Source: Garipov et al., NeurIPS 2018, section 4 (steps counted from 1 there, 0 here).
    """

    def rate(step: int) -> float:
        place = (step % steps + 1) / steps
        share = 2 * place if place <= 0.5 else 2 - 2 * place
        return (1 - share) * high + share * low

    return rate


def langevin_noise_scale(lr: float, images: float, temperature: float = 1.0, momentum: float = 0.0) -> float:
    """Return the standard deviation of the noise that each gradient gets: sqrt(2 (1 - m) T / (N lr)).

    The loss L is the mean negative log likelihood of N training images, weight decay its prior, so the posterior at
    temperature T is exp(-N L / T). Langevin dynamics with step size h moves weights by -h N grad L + sqrt(2 h T) z;
    SGD moves them by -lr grad L, so h = lr / N and the noise of a step is sqrt(2 lr T / N) z, in the gradient
    sqrt(2 T / (N lr)) z. With momentum m (SGHMC: Chen, Fox, Guestrin, ICML 2014, equation 15, friction 1 - m) noise
    in the velocity moves the weights in the end by 1 / (1 - m) times its size, as does each gradient; hence the
    factor 1 - m of the variance. Noise put on the weights themselves is wrong there: the velocity reacts to it.

    lr: above 0. images: N. temperature: T, 1 for the posterior itself. momentum: m, 0..1.
    """
    return math.sqrt(2 * (1 - momentum) * temperature / (images * lr))


def add_noise(gradients: Iterable[Tensor], scale: float, generator: torch.Generator) -> None:
    """Add N(0, scale^2) to each gradient in place, drawn on the CPU so that it is the same on every device."""
    for gradient in gradients:
        drawn = torch.randn(gradient.shape, generator=generator, dtype=gradient.dtype)
        gradient.add_(drawn.to(gradient.device), alpha=scale)


def collected(states: list[State], wanted: Callable[[int], bool]) -> EpochHook:
    """Return the hook that appends the weights at the end of each epoch whose number, from 1, is wanted."""

    def collect(epoch: Epoch, network: nn.Module) -> None:
        if wanted(epoch.number):
            states.append(state_of(network))

    return collect


def fitted_point(problem: TrainingProblem) -> nn.Module:
    """Return the network that the posterior `point` ends with: where FGE, SWAG, LGV and Laplace start."""
    network = problem.build()
    network.load_state_dict(dict(problem.point()))
    return network.eval()


def cycle_length(recipe: Recipe, cycle_epochs: int | None, samples_per_cycle: int) -> int:
    """Return the epochs of a cycle; where not given the recipe's, or one a sample where the recipe has fewer.

    It does not depend on the number of cycles: a shorter chain is the beginning of a longer one.

    Raises:
        InputError: a cycle has fewer epochs than samples.
    """
    found = max(recipe.epochs, samples_per_cycle) if cycle_epochs is None else cycle_epochs
    if found < samples_per_cycle:
        raise InputError(
            f"posterior: expected samples_per_cycle of at most cycle_epochs, {found}, got {samples_per_cycle}: "
            "a sample is taken at the end of an epoch"
        )
    return found


def count_of_cycles(params: Params) -> int:
    """Return the samples of a chain of cycles."""
    found: int = params["cycles"] * params["samples_per_cycle"]
    return found


def samples_of_a_cycle(params: Params) -> int:
    """Return the samples of one cycle."""
    found: int = params["samples_per_cycle"]
    return found


def epochs_of_cycles(recipe: Recipe, params: Params) -> int:
    """Return the epochs of a chain of cycles."""
    found: int = params["cycles"] * cycle_length(recipe, params["cycle_epochs"], params["samples_per_cycle"])
    return found


def run_cycles(
    problem: TrainingProblem,
    *,
    cycles: int,
    samples_per_cycle: int,
    cycle_epochs: int | None,
    max_lr: float | None,
    momentum: float,
    noise_of: Callable[[int], StepHook] | None = None,
) -> WeightSamples:
    """Train one network through cycles of the cosine schedule; sample the last epochs of each.

    Returns cycles * samples_per_cycle samples in the order in which the chain passed them. noise_of: from the number of
    a cycle, from 0, to what it does with gradients; the rest as `csgld`.

    A cycle is a training run of its own that starts from the weights of the one before, with no velocity: PyTorch's
    SGD keeps velocity in units of the gradient, so the noise of a cycle's last, tiny steps would be blown up by the
    ratio of the learning rates when the next cycle starts. So a cycle depends on those weights and its number alone,
    and is a part of the run that is stored by itself (`TrainingProblem.part`).
    """
    network = problem.build()
    length = cycle_length(problem.recipe, cycle_epochs, samples_per_cycle)

    def passed(cycle: int) -> list[State]:
        states: list[State] = []
        problem.fit(
            network,
            member=cycle,
            epochs=length,
            schedule=cosine(max_lr or peak_rate(problem.recipe), length * problem.steps_per_epoch),
            optimiser=plain_sgd(problem.recipe, momentum),
            early_stopping=False,
            on_epoch_end=collected(states, lambda number: number > length - samples_per_cycle),
            on_gradients=noise_of(cycle) if noise_of else None,
        )
        return states

    found: list[State] = []
    for cycle in range(cycles):
        found += problem.part(cycle, partial(passed, cycle))
        network.load_state_dict(dict(found[-1]))
    return WeightSamples(tuple(found))
