"""Fast geometric ensembling: T. Garipov, P. Izmailov, D. Podoprikhin, D. Vetrov, A. G. Wilson, Loss Surfaces, Mode
Connectivity, and Fast Ensembling of DNNs, NeurIPS 2018.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dumb_bench.posteriors.base import Params, State, TrainingProblem, WeightSamples, posterior
from dumb_bench.posteriors.chains import (
    Count,
    Momentum,
    Rate,
    collected,
    fitted_point,
    peak_rate,
    plain_sgd,
    triangular,
)
from dumb_bench.recipes import Recipe

_LOWEST = 0.01


def _count(params: Params) -> int:
    found: int = params["cycles"]
    return found


def _cycling(params: Params) -> int:
    found: int = params["cycles"] * params["cycle_epochs"] - params["cycle_epochs"] // 2
    return found


def _epochs(recipe: Recipe, params: Params) -> int:
    return recipe.epochs + _cycling(params)


@posterior("fge", paper="Garipov et al., NeurIPS 2018", count=_count, epochs=_epochs, parents="start")
def fge(
    problem: TrainingProblem,
    *,
    cycles: Count = 5,
    cycle_epochs: Annotated[int, Field(ge=2, le=100_000, multiple_of=2)] = 2,
    max_lr: Rate | None = None,
    min_lr: Rate | None = None,
    momentum: Momentum = 0.9,
) -> WeightSamples:
    """From the point solution, short triangular cycles of the learning rate; a sample where it is lowest.

    The samples are the weights in the middle of each cycle; training ends with the last of them.

    Args:
        problem: what is trained: first by the recipe, then by plain SGD.
        cycles: number of cycles, one sample each.
        cycle_epochs: epochs of a cycle, even.
        max_lr: None: half the recipe's, five times that if it is Adam's.
        min_lr: None: a hundredth of max_lr.
        momentum: of SGD, 0..1.
    """
    network = fitted_point(problem)
    high = max_lr or peak_rate(problem.recipe) / 2
    states: list[State] = []
    problem.fit(
        network,
        member=1,
        epochs=_cycling({"cycles": cycles, "cycle_epochs": cycle_epochs}),
        schedule=triangular(high, min_lr or _LOWEST * high, cycle_epochs * problem.steps_per_epoch),
        optimiser=plain_sgd(problem.recipe, momentum),
        early_stopping=False,
        on_epoch_end=collected(states, lambda number: number % cycle_epochs == cycle_epochs // 2),
    )
    return WeightSamples(tuple(states))
