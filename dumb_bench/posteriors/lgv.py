"""LGV: M. Gubri, M. Cordy, M. Papadakis, Y. Le Traon, K. Sen, LGV: Boosting Adversarial Example Transferability from
Large Geometric Vicinity, ECCV 2022.
"""

from __future__ import annotations

from torch import nn

from dumb_bench.errors import InputError
from dumb_bench.posteriors.base import Params, State, TrainingProblem, WeightSamples, posterior, state_of
from dumb_bench.posteriors.chains import Count, Momentum, Rate, constant, fitted_point, peak_rate, plain_sgd
from dumb_bench.recipes import Recipe


def _count(params: Params) -> int:
    found: int = params["epochs"] * params["samples_per_epoch"]
    return found


def _epochs(recipe: Recipe, params: Params) -> int:
    found: int = recipe.epochs + params["epochs"]
    return found


@posterior("lgv", paper="Gubri et al., ECCV 2022", count=_count, epochs=_epochs, parents="start")
def lgv(
    problem: TrainingProblem,
    *,
    epochs: Count = 10,
    samples_per_epoch: Count = 4,
    lr: Rate | None = None,
    momentum: Momentum = 0.9,
) -> WeightSamples:
    """From the point solution, SGD at a high constant learning rate; samples at even distances (algorithm 1).

    The samples keep the order in which they were passed; the paper's attack shuffles them, as the aggregation
    `cycle` does.

    Args:
        problem: what is trained: first by the recipe, then by plain SGD.
        epochs: epochs after the point solution.
        samples_per_epoch: at most the optimiser's steps in an epoch; the last is that at its end.
        lr: None: half the recipe's, five times that if it is Adam's.
        momentum: of SGD, 0..1.

    Raises:
        InputError: an epoch has fewer steps than samples.
    """
    steps = problem.steps_per_epoch
    if samples_per_epoch > steps:
        raise InputError(
            f"posterior 'lgv': expected samples_per_epoch of at most the steps of an epoch, {steps}, "
            f"got {samples_per_epoch}"
        )
    network = fitted_point(problem)
    states: list[State] = []

    def collect(step: int, rate: float, network: nn.Module) -> None:
        del rate
        if (step + 1) * samples_per_epoch // steps > step * samples_per_epoch // steps:
            states.append(state_of(network))

    problem.fit(
        network,
        member=1,
        epochs=epochs,
        schedule=constant(lr or peak_rate(problem.recipe) / 2),
        optimiser=plain_sgd(problem.recipe, momentum),
        early_stopping=False,
        on_step_end=collect,
    )
    return WeightSamples(tuple(states))
