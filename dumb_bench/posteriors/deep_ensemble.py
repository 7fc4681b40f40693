"""Deep ensembles: Lakshminarayanan, Pritzel, Blundell, NeurIPS 2017, without their adversarial training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dumb_bench.posteriors.base import TrainingProblem, WeightSamples, posterior


@posterior(
    "deep_ensemble",
    paper="Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty, NeurIPS 2017",
    count=lambda params: int(params["members"]),
    epochs=lambda recipe, params: int(params["members"]) * recipe.epochs,
    length="members",
    parents="members",
)
def deep_ensemble(problem: TrainingProblem, *, members: Annotated[int, Field(ge=1, le=1000)] = 5) -> WeightSamples:
    """Networks trained apart, each as `point` is, with its own initial weights and order: a sample each.

    Member k uses the seeds of member k, so the first is `point` and a shorter ensemble is a prefix. All see the same
    training images. members: networks. Cost: members times that of `point`.
    """
    return WeightSamples(tuple(problem.point(member) for member in range(members)))
