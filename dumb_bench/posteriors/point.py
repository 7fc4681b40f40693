"""A point estimate: one network."""

from __future__ import annotations

from dumb_bench.posteriors.base import TrainingProblem, WeightSamples, posterior, state_of


@posterior("point")
def point(problem: TrainingProblem) -> WeightSamples:
    """One network, trained by the recipe and stopped early: a single sample."""
    network = problem.build()
    problem.fit(network)
    return WeightSamples((state_of(network),))
