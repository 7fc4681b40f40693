"""The interval of `effects.interval` for several rates of the same tests at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import Design, take
from dumb_bench.report.effects import NO_TESTS, NO_VARIATION, crossed
from dumb_bench.report.rates import equal_weights

Rows = NDArray[np.int64]
Reals = NDArray[np.float64]


class Means(NamedTuple):
    """Means of several rates with their intervals, fractions, one entry a rate (R,); NaN where `reason` says why.

    n_tests: the tests whose rate is known.
    """

    rate: Reals
    low: Reals
    high: Reals
    reason: list[str]
    n_tests: Rows


def means(
    plan: Design, rates: Reals, sources: NDArray[np.object_], here: Rows, *, bare: str = "", level: float = 0.95
) -> Means:
    """Return the means over the tests `here`: equal weight for image sources, and for the tests of one.

    Args:
        plan: of all T tests that an interval may borrow from. rates: (T, R), NaN where unknown. sources: (T,) the
            tests' image sources. bare: why there shall be no interval.

    Tests whose rate is unknown are left out, of the mean and of its interval. Intervals as in `effects.interval`, at
    least 0 and at most 1; rates known for the same tests share the work.
    """
    size = rates.shape[1]
    nan = np.full(size, np.nan)
    found = Means(nan, nan.copy(), nan.copy(), [NO_TESTS] * size, np.zeros(size, dtype=np.int64))
    known = np.isfinite(rates)
    alike: dict[bytes, list[int]] = {}
    for column in range(size):
        alike.setdefault(np.packbits(known[:, column]).tobytes(), []).append(column)
    for columns in map(np.array, alike.values()):
        kept = np.flatnonzero(known[:, columns[0]])
        used = here[known[here, columns[0]]]
        found.n_tests[columns] = len(used)
        if not len(used):
            continue
        weight = np.zeros(len(rates))
        weight[used] = equal_weights(sources[used])
        some = rates[np.ix_(kept, columns)]
        found.rate[columns] = weight[kept] @ some
        if bare:
            _set(found.reason, columns, bare)
            continue
        _fill(found, columns, take(plan, kept), some, weight[kept], level)
    return found


def _fill(found: Means, columns: Rows, plan: Design, rates: Reals, weight: Reals, level: float) -> None:
    from scipy.special import stdtrit

    answer = crossed(plan, rates, weight)
    if answer.reason:
        _set(found.reason, columns, answer.reason)
        return
    varied = answer.variance > 1e-24
    half = stdtrit(answer.df, (1 + level) / 2) * np.sqrt(answer.variance)
    found.low[columns] = np.where(varied, np.maximum(answer.estimate - half, 0.0), np.nan)
    found.high[columns] = np.where(varied, np.minimum(answer.estimate + half, 1.0), np.nan)
    for column, some in zip(columns.tolist(), varied.tolist(), strict=True):
        found.reason[column] = "" if some else NO_VARIATION


def _set(reasons: list[str], columns: Rows, reason: str) -> None:
    for column in columns.tolist():
        reasons[column] = reason
