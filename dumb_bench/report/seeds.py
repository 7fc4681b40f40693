"""How many seeds stand behind a weighted sum of tests, and whether they suffice for a claim."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.power import FEW_NEAR_ENDS, FEW_SEEDS, MIN_SEEDS, MIN_SEEDS_NEAR_ENDS, NEAR_ENDS
from dumb_bench.report.design import Design, occurring

Reals = NDArray[np.float64]


class Seeds(NamedTuple):
    """The fewest models in a cell of each role, over the tests of a weighted sum."""

    surrogate: int
    victim: int


def fewest_seeds(plan: Design, weight: Reals) -> Seeds:
    """Return the fewest models in a cell of each role among the tests that have a weight."""
    counts = []
    for models in (plan.surrogate, plan.victim):
        present = np.flatnonzero(occurring(models[(weight != 0) & (models >= 0)], len(plan.cell)))
        held = np.bincount(plan.cell[present]) if len(present) else np.zeros(1, dtype=np.int64)
        counts.append(int(held[held > 0].min()) if len(present) else 0)
    return Seeds(*counts)


def too_few_seeds(plan: Design, rates: Reals, weight: Reals) -> str:
    """Return why a weighted sum (T,) counts as unresolved whatever its interval, empty where seeds suffice.

    `power.MIN_SEEDS` in every cell of both roles, `power.MIN_SEEDS_NEAR_ENDS` where a side's mean is near 0 or 1: from
    there on the simulated coverage of the interval is near 95 % (`benchmarks/coverage.md`).
    """
    fewest = min(fewest_seeds(plan, weight))
    if fewest < MIN_SEEDS:
        return FEW_SEEDS
    means = [abs(float(weight[side] @ rates[side])) for side in (weight > 0, weight < 0) if side.any()]
    near = any(min(mean, 1 - mean) < NEAR_ENDS for mean in means)
    return FEW_NEAR_ENDS if near and fewest < MIN_SEEDS_NEAR_ENDS else ""
