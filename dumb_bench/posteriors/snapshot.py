"""Snapshot ensembles: G. Huang, Y. Li, G. Pleiss, Z. Liu, J. E. Hopcroft, K. Q. Weinberger, Snapshot Ensembles:
Train 1, Get M for Free, ICLR 2017.
"""

from __future__ import annotations

from dumb_bench.posteriors.base import TrainingProblem, WeightSamples, posterior
from dumb_bench.posteriors.chains import (
    Count,
    Momentum,
    Rate,
    count_of_cycles,
    epochs_of_cycles,
    run_cycles,
    samples_of_a_cycle,
)


@posterior(
    "snapshot",
    paper="Huang et al., ICLR 2017",
    count=count_of_cycles,
    epochs=epochs_of_cycles,
    length="cycles",
    part_samples=samples_of_a_cycle,
)
def snapshot(
    problem: TrainingProblem,
    *,
    cycles: Count = 5,
    samples_per_cycle: Count = 1,
    cycle_epochs: Count | None = None,
    max_lr: Rate | None = None,
    momentum: Momentum = 0.9,
) -> WeightSamples:
    """The minima at which cosine cycles of the learning rate end (equation 2).

    Args:
        problem: what is trained, by plain SGD whatever the recipe's optimiser is.
        cycles: number of cycles.
        samples_per_cycle: 1 in the paper; more are the ends of the cycle's last epochs, as in `csgld`.
        cycle_epochs: epochs of a cycle; None: the recipe's (and at least samples_per_cycle).
        max_lr: None: the recipe's, ten times that if it is Adam's.
        momentum: of SGD, 0..1.
    """
    return run_cycles(
        problem,
        cycles=cycles,
        samples_per_cycle=samples_per_cycle,
        cycle_epochs=cycle_epochs,
        max_lr=max_lr,
        momentum=momentum,
    )
