"""A point estimate: one network."""

from __future__ import annotations

from dumb_bench.posteriors.base import State, TrainingProblem, WeightSamples, posterior, state_of


@posterior("point")
def point(problem: TrainingProblem) -> WeightSamples:
    """One network, trained by the recipe and stopped early: a single sample."""
    return WeightSamples((problem.point(),))


def trained_point(problem: TrainingProblem, member: int = 0) -> State:
    """Train a network by the recipe with a member's seeds, and return its weights."""
    network = problem.build(member)
    problem.fit(network, member=member)
    return state_of(network)
