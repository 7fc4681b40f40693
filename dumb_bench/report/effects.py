"""Intervals for means over tests that share models, valid for new seeds on the same images.

The tests of a group share surrogates and victims, so they are not independent. Factor levels (source, architecture,
balance, defence, posterior, ...) are fixed; seeds are random within a *cell*, one combination of levels in one role. In

    y_ij = mu(cell of i, cell of j) + a_i + b_j + e_ij          surrogate i, victim j

an estimate is a weighted sum of tests, theta = sum_t w_t y_t (for a mean w = 1/n; for a difference of two means 1/n and
-1/n'). With y centred within its stratum (the two cells and everything else that is fixed), a model's contribution is

    g_i = sum of w_t y_t over the tests in which i is surrogate or victim (both, where one model plays both roles)

and, with m models in a cell k,

    V_k = m/(m-1) sum_i (g_i - mean g)^2,      G = sum_k V_k      (in two pools G = Vs + Vv)

Each e_ij sits in two contributions, so E[G] = V + Ve. In a block of two cells with N tested pairs, x_ij the weighted
sum of the pair's tests (both directions), r_ij its least-squares residual from row and column effects, and f their
degrees of freedom (pairs - rows - columns + connected parts; (m-1)(m'-1) where every pair was tested),

    Ve = sum over blocks N/f sum r_ij^2         V = max(G - Ve, G/2)

and nothing is subtracted for a block with f = 0. The t quantile has Satterthwaite's degrees of freedom in the
form that allows for V_k being estimates, df = G^2 / sum_k (V_k^2 / (d_k + 2)) - 2 with d_k = m - 1, kept within
[min d_k, sum d_k].

One pool in both roles, pairs inside a cell (case C1): the white-box pair is missing, so i's tests average over the
*other* models and the deviation of g_i is (m-2)/(m-1) of what it should be (diallel without selfs: Griffing 1956,
method 3). Contributions there are scaled by (m-1)/(m-2), so that a residual enters G with 2(m-1)/(m-2) times its
variance instead of once: m/(m-2) Ve of the block is subtracted, and G/2 stays the floor. With m = 2 the two tests
(1,2) and (2,1) hold both models and show nothing of their variance: a_i and b_j are then *borrowed*, the means of the
centred y of the same model's tests outside its cell under the same conditions (those of the same source where there are
any), and the residual comes from the difference of the two tests, 2 sum (w r)^2 with one degree of freedom a cell.
Borrowing may cancel the residual of the very tests borrowed from: there V is at least Ve. Without such tests: no
interval.

Surrogate-free rows (`copied` repeats, noise) have no surrogate effect: only their victims vary. One seed in any cell:
no interval, the estimate is descriptive. Nothing here speaks about new images or new architectures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import Codes, Design, combined, first_places, occurring, roles
from dumb_bench.report.residuals import free_pairs, swept

Reals = NDArray[np.float64]

ONE_SEED = "descriptive: one seed in a cell"
NO_TESTS = "no tests"
NO_VARIATION = "every seed gave the same rate"
TWO_OF_A_POOL = "descriptive: two seeds in both roles and no tests outside the cell"


class Interval(NamedTuple):
    """An estimate with its interval (`low`, `high` are NaN where `reason` says why there is none), in fractions."""

    estimate: float
    low: float
    high: float
    df: float
    p: float
    n_tests: int
    n_surrogates: int
    n_victims: int
    reason: str

    @property
    def resolved(self) -> bool:
        """Whether there is an interval."""
        return not self.reason


class Variance(NamedTuple):
    """Estimate, variance and degrees of freedom, one entry a replicate (R,); `reason` is empty where they hold."""

    estimate: Reals
    variance: Reals
    df: Reals
    reason: str


def _sums(codes: Codes, values: Reals, size: int) -> Reals:
    """Return the sums (size, R) of `values` (T, R) by code, added in the order of the rows; negative codes are left
    out.
    """
    from scipy.sparse import csr_array

    kept = np.flatnonzero(codes >= 0)
    if values.shape[1] == 1:
        codes, single = (codes, values[:, 0]) if len(kept) == len(codes) else (codes[kept], values[kept, 0])
        return np.asarray(np.bincount(codes, weights=single, minlength=size)[:, None], dtype=np.float64)
    picks = csr_array((np.ones(len(kept)), (codes[kept], kept)), shape=(size, len(codes)))
    return np.asarray(picks @ values)


def _means(codes: Codes, values: Reals) -> Reals:
    """Return for every entry of `values` (T, R) the mean of its group."""
    size = int(codes.max(initial=0)) + 1
    counts = np.bincount(codes, minlength=size)[:, None]
    return np.asarray((_sums(codes, values, size) / np.maximum(counts, 1))[codes])


def _residual_variance(low: Codes, high: Codes, cell_low: Codes, cell_high: Codes, values: Reals) -> Reals:
    """Return for every entry of `values` (T, R), weighted and centred, its part of Ve (formulae: `residuals`)."""
    dyad = combined(low, high)
    first = first_places(dyad)
    sums = _sums(dyad, values, len(first))
    block = combined(cell_low[first], cell_high[first])
    row, column = combined(low[first], block), combined(high[first], block)
    free = free_pairs(row, column, block)
    factor = np.where(free > 0, np.bincount(block) / np.maximum(free, 1), 0.0)[block]
    within = factor[:, None] * swept(row, column, sums, free[block] > 0) ** 2
    return np.asarray((within / np.bincount(dyad)[:, None])[dyad])


def _borrowed(plan: Design, centred: Reals, wanted: Codes) -> tuple[Reals, Reals, NDArray[np.bool_]]:
    """Return a_i and b_j (rows, R) for the rows `wanted`, from tests outside their cell, and which rows have both."""
    cell, source = plan.cell, plan.source
    outside = (plan.surrogate >= 0) & (cell[plan.surrogate] != cell[plan.victim])
    near = outside & (source[plan.surrogate] == source[plan.victim])
    size = len(cell) * (int(plan.condition.max(initial=0)) + 1)
    found = np.ones(len(wanted), dtype=bool)
    effects = []
    for models in (plan.surrogate, plan.victim):
        key = models * (size // len(cell)) + plan.condition
        asked = key[wanted]
        means = np.zeros((2, len(wanted), centred.shape[1]))
        counts = np.zeros((2, len(wanted)))
        for index, rows in enumerate((near, outside)):
            total = _sums(np.where(rows, key, -1), centred, size)
            counts[index] = np.bincount(key[rows], minlength=size)[asked]
            means[index] = total[asked] / np.maximum(counts[index], 1)[:, None]
        effects.append(np.where(counts[0][:, None] > 0, means[0], means[1]))
        found &= counts[1] > 0
    return effects[0], effects[1], found


def within_strata(plan: Design, rates: Reals) -> Reals:
    """Return rates (T, R) less the mean of their stratum."""
    return rates - _means(plan.stratum, rates)


def crossed(plan: Design, rates: Reals, weight: Reals, centred: Reals | None = None) -> Variance:
    """Return estimate and variance of sum_t w_t y_t (formulae: the module's docstring).

    `rates` (T, R): R replicates of one design (R = 1 for a real grid); `weight` (T,), or (T, R) with R = 1 replicate
    for R sums at once, over rows that all of them share. Rows of weight 0 take no part, but two seeds of one pool
    borrow from them.
    """
    estimate = weight @ rates if weight.ndim == 1 else weight.T @ rates[:, 0]
    weight = weight[:, None] if weight.ndim == 1 else weight
    used = np.flatnonzero(weight[:, 0] if weight.shape[1] == 1 else (weight != 0).any(axis=1))
    nothing = np.full(len(estimate), np.nan)
    if not len(used):
        return Variance(nothing, nothing, nothing, NO_TESTS)
    size = len(plan.cell)
    surrogate, victim = plan.surrogate[used], plan.victim[used]
    cell = plan.cell * 4 + roles(plan)
    present = np.flatnonzero(occurring(surrogate[surrogate >= 0], size) | occurring(victim, size))
    sizes = np.bincount(cell[present], minlength=int(cell.max()) + 1)
    if (sizes[cell[present]] < 2).any():
        return Variance(estimate, nothing, nothing, ONE_SEED)
    centred = within_strata(plan, rates) if centred is None else centred
    weighted = weight[used] * centred[used]
    inside = (surrogate >= 0) & (cell[surrogate] == cell[victim])
    members = sizes[cell[victim]]
    scale = np.where(inside & (members > 2), (members - 1) / np.maximum(members - 2, 1), 1.0)[:, None]
    of_surrogate, of_victim = weighted * scale, weighted * scale
    pair = np.flatnonzero(inside & (members == 2))
    extra = np.zeros((1, len(estimate)))
    if len(pair):
        a, b, found = _borrowed(plan, centred, used[pair])
        if not found.all():
            return Variance(estimate, nothing, nothing, TWO_OF_A_POOL)
        share = weight[used[pair]]
        of_surrogate[pair], of_victim[pair] = share * a, share * b
        residual = weighted[pair] - share * (a + b)
        ordered = combined(surrogate[pair], victim[pair])
        by_pair = 2 * _sums(ordered, residual, int(ordered.max()) + 1) ** 2
        first = first_places(ordered)
        of_cell = combined(cell[victim[pair[first]]], np.zeros(len(first), dtype=np.int64))
        extra = _sums(of_cell, by_pair, int(of_cell.max()) + 1)
    contribution = _sums(surrogate, of_surrogate, size) + _sums(victim, of_victim, size)
    group = np.unique(cell[present], return_inverse=True)[1].reshape(-1).astype(np.int64)
    m = sizes[np.unique(cell[present])][:, None]
    spread = (contribution[present] - _means(group, contribution[present])) ** 2
    by_cell = m / (m - 1) * _sums(group, spread, len(m))
    total = by_cell.sum(axis=0)
    outside = np.flatnonzero((surrogate >= 0) & ~inside)
    shared = np.zeros(len(estimate))
    if len(outside):
        i, j = surrogate[outside], victim[outside]
        swap = cell[i] > cell[j]
        low, high = np.where(swap, j, i), np.where(swap, i, j)
        shared = _residual_variance(low, high, cell[low], cell[high], weighted[outside]).sum(axis=0)
    pool = np.flatnonzero(inside & (members > 2))
    if len(pool):
        i, j, m_pool = surrogate[pool], victim[pool], members[pool]
        within = _residual_variance(i, j, cell[i], cell[j], weighted[pool])
        shared = shared + (m_pool / (m_pool - 2)) @ within
    variance = np.maximum(total - shared, total / 2)
    if len(pair):
        variance = np.maximum(variance, shared) + extra.sum(axis=0)
    spreads = (by_cell**2 / (m + 1)).sum(axis=0) + (extra**2 / 3).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (total + extra.sum(axis=0)) ** 2 / spreads - 2
    most = float((m - 1).sum() + (len(extra) if len(pair) else 0))
    return Variance(estimate, variance, np.clip(np.nan_to_num(df, nan=1.0), float((m - 1).min()), most), "")


def interval(
    plan: Design, rates: Reals, weight: Reals, *, low: float = -1.0, level: float = 0.95, centred: Reals | None = None
) -> Interval:
    """Return the interval of one weighted sum of rates (T,), clipped to [low, 1] (`low` = 0 for a mean of rates).

    The two-sided p value is that of the same t statistic against 0. centred: `within_strata` of the rates, where it is
    known.
    """
    from scipy.special import stdtr, stdtrit

    used = weight != 0
    counts = (
        int(used.sum()),
        int(occurring(plan.surrogate[used & (plan.surrogate >= 0)], len(plan.cell)).sum()),
        int(occurring(plan.victim[used], len(plan.cell)).sum()),
    )
    found = crossed(plan, rates[:, None], weight, centred)
    estimate = float(found.estimate[0])
    reason = found.reason
    if not reason and not found.variance[0] > 1e-24:
        reason = NO_VARIATION
    if reason:
        return Interval(estimate, np.nan, np.nan, np.nan, np.nan, *counts, reason)
    df, error = float(found.df[0]), float(np.sqrt(found.variance[0]))
    half = float(stdtrit(df, (1 + level) / 2)) * error
    p = float(2 * stdtr(df, -abs(estimate) / error))
    return Interval(estimate, max(estimate - half, low), min(estimate + half, 1.0), df, p, *counts, "")


def holm(values: list[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given; NaN stays NaN and is not counted."""
    order = sorted((value, index) for index, value in enumerate(values) if value == value)
    adjusted = [float("nan")] * len(values)
    largest = 0.0
    for rank, (value, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * value))
        adjusted[index] = largest
    return adjusted
