"""Deep ensembles: Lakshminarayanan, Pritzel, Blundell, NeurIPS 2017, without their adversarial training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dumb_bench.posteriors.base import State, TrainingProblem, WeightSamples, posterior, state_of


@posterior(
    "deep_ensemble",
    paper="Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty, NeurIPS 2017",
    count=lambda params: int(params["members"]),
    epochs=lambda recipe, params: int(params["members"]) * recipe.epochs,
)
def deep_ensemble(problem: TrainingProblem, *, members: Annotated[int, Field(ge=1, le=1000)] = 5) -> WeightSamples:
    """Networks trained apart, each as `point` is, with its own initial weights and order: a sample each.

    Member k uses the seeds of member k, so the first is `point` and a shorter ensemble is a prefix. All see the same
    training images. members: networks. Cost: members times that of `point`.
    """
    return WeightSamples(tuple(trained_member(problem, member) for member in range(members)))


def trained_member(problem: TrainingProblem, member: int) -> State:
    """Return the weights of one member, which depend on no other."""
    network = problem.build(member)
    problem.fit(network, member=member)
    return state_of(network)
