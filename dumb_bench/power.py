"""The smallest effect that a design can resolve, from who meets whom and stated variance components.

Under the model of the intervals (`report.effects`) with factor levels fixed and seeds random within a cell,

    y_ij = mu(cell of i, cell of j) + a_i + b_j + c_i(axis, side) + d_j(axis, side) + noise

where a side of an axis is: the other model is the same in it, or differs. A contrast sum_t w_t y_t has weights that are
equal within a pair of cells, so that its variance is a sum over cells of (number of models) * (contribution of one)^2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]

MIN_SEEDS = 3
"""Seeds a cell, in both roles, from which an effect may be called resolved: `benchmarks/coverage.md`."""
NEAR_ENDS, MIN_SEEDS_NEAR_ENDS = 0.1, 5
"""The same where mean success on a side of the effect is that near to 0 or to 1: rates are skewed there."""

ONE_SEED = "one seed in a cell"
FEW_SEEDS = f"fewer than {MIN_SEEDS} seeds in a cell"
FEW_NEAR_ENDS = f"success near 0 or 1 and fewer than {MIN_SEEDS_NEAR_ENDS} seeds in a cell"

POWER, LEVEL = 0.80, 0.95

MODEL_SD = 0.04
"""Standard deviation of a model's own effect on success, either role: that of the project's simulations."""
SLOPE_SD = 0.05
"""Standard deviation over models of [mean success where an axis differs - where not], either role, for every axis.

With it 2 sources x 3 architectures x 2 balances x 2, 3, 5 and 10 seeds a side resolve 4.3, 3.4, 2.6 and 1.8 points.
"""
RATE = 0.5
"""Success at which the binomial noise of a test is taken: where it is largest."""


class Meeting(NamedTuple):
    """Who meets whom: surrogate cells (K,) by victim cells (L,), each with its number of seeds.

    differs: axis -> bool (K, L), in one order of axes for all; shared (K, L): how many networks a pair of cells has in
    both roles (their white-box tests are not counted; such a pair is one cell). images: images scored a pair of models,
    over all image sources.
    """

    surrogates: Codes
    victims: Codes
    differs: dict[str, Bools]
    shared: Codes
    images: int


class Smallest(NamedTuple):
    """The smallest effect (a fraction; NaN where there is none) and its degrees of freedom; reason: why none is, or why
    the report would not call it resolved.
    """

    effect: float
    df: float
    reason: str = ""


def detectable(error: float, df: float) -> float:
    """Return the effect that a two-sided test at 5 % finds with 80 % power: (t_.975 + t_.8) * standard error.

    The quantile t_.8 of the central t distribution stands for the non-central one, as is usual (Bloom 1995).
    """
    from scipy.special import stdtrit

    return float((stdtrit(df, (1 + LEVEL) / 2) + stdtrit(df, POWER)) * error)


def smallest_effects(meeting: Meeting) -> dict[str, Smallest]:
    """Return the smallest effect of each axis; contrasts as in `report.axis_effects`, image sources alike."""
    return {axis: _smallest(meeting, axis) for axis in meeting.differs}


def _smallest(meeting: Meeting, axis: str) -> Smallest:
    pairs = meeting.surrogates[:, None] * meeting.victims[None, :] - meeting.shared
    weight = _weight(meeting, axis, pairs)
    if not weight.any():
        return Smallest(float("nan"), float("nan"), f"no tests that differ in the {axis} beside tests that do not")
    total = weight * pairs
    noise = weight**2 * pairs * (RATE * (1 - RATE) / meeting.images)
    own = _role(meeting, total, meeting.surrogates, noise, axis=1)
    theirs = _role(meeting, total, meeting.victims, noise, axis=0)
    counts = np.concatenate([meeting.surrogates[own > 0], meeting.victims[theirs > 0]])
    if counts.min() < 2:
        return Smallest(float("nan"), float("nan"), ONE_SEED)
    in_both = np.argwhere(meeting.shared > 0)
    joined = theirs.copy()
    joined[in_both[:, 1]] += own[in_both[:, 0]]
    alone = np.ones(len(own), dtype=bool)
    alone[in_both[:, 0]] = False
    variances = np.concatenate([own[alone], joined])
    freedom = np.concatenate([meeting.surrogates[alone], meeting.victims]) - 1
    spread = variances[freedom > 0] ** 2 / freedom[freedom > 0]
    df = float(variances.sum() ** 2 / spread.sum())
    error = float(np.sqrt(variances.sum() - noise.sum()))
    return Smallest(detectable(error, df), df, FEW_SEEDS if counts.min() < MIN_SEEDS else "")


def _weight(meeting: Meeting, axis: str, pairs: Codes) -> Reals:
    """Return the weight (K, L) of one test of each pair of cells."""
    others = [differs for name, differs in meeting.differs.items() if name != axis]
    combination = sum((differs * 2**number for number, differs in enumerate(others)), np.zeros_like(pairs))
    group = combination * 2 + meeting.differs[axis]
    tests = np.bincount(group.ravel(), weights=pairs.ravel(), minlength=2 ** (1 + len(others))).reshape(-1, 2)
    both: Bools = np.asarray((tests > 0).all(axis=1))
    sign = np.where(meeting.differs[axis], 1.0, -1.0) * (pairs > 0) * both[combination]
    return np.asarray(sign / (max(int(both.sum()), 1) * np.maximum(tests.ravel()[group], 1)))


def _role(meeting: Meeting, total: Reals, seeds: Codes, noise: Reals, *, axis: int) -> Reals:
    """Return the variance that each cell of a role brings, noise of its tests included; `axis` is summed over."""
    each = total.sum(axis=axis) / seeds
    variance = seeds * each**2 * MODEL_SD**2
    for differs in meeting.differs.values():
        for side in (differs, ~differs):
            variance = variance + seeds * ((total * side).sum(axis=axis) / seeds) ** 2 * SLOPE_SD**2 / 2
    return np.asarray(variance + noise.sum(axis=axis))
