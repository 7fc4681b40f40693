"""How much of the spread of success goes with each axis: a description of these tests, nothing more.

R2 of a linear model of success on all axes (dummies, no interactions), shared out among them by the mean of what each
adds over all orders of entry: Lindeman, Merenda and Gold (1980), the Shapley value of R2. The shares sum to the full
model's R2. They depend on which levels a grid has and how many tests of each, and say nothing about new models, causes
or significance: tests share models, so no interval or p value is given. Effects with intervals: `axis_effects`.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.axis_weights import AXES, case_codes
from dumb_bench.report.design import Codes, combined
from dumb_bench.report.groups import POPULATION

if TYPE_CHECKING:
    import pandas as pd

Reals = NDArray[np.float64]

COLUMNS = ("population", "reference", "axis", "levels", "share", "alone", "total", "n_tests")

_NEEDED = (
    "population", "reference", "case", "label", "setting", "surrogate_architecture", "victim_architecture", "asr",
)  # fmt: skip


def variance_shares(tests: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (population, axis): columns `COLUMNS`. `tests`: `groups.prepared`.

    Axes: source, architecture and balance mismatch, attack (with its strength), surrogate architecture, victim
    architecture, and defence, over the victims of all defences, under the name of the undefended population; an axis
    with one level is left out. Counted tests of attacks, each with the same weight; repeated rows are left out. share:
    of the total sum of squares; alone: R2 of the axis by itself; total: R2 of all, the sum of the shares.
    """
    import pandas as pd

    needed = [name for name in tests if name in (*POPULATION, *_NEEDED)]
    kept = tests.loc[tests["counted"] & ~tests["copied"] & (tests["role"] == "attack"), needed]
    held = [name for name in POPULATION if name in kept and name not in ("victim_defence", "defence_known")]
    varying = [name for name in held if kept[name].nunique(dropna=False) > 1]
    groups = [kept] if not varying else [group for _, group in kept.groupby(varying, sort=True, dropna=False)]
    rows: list[dict[str, Any]] = []
    for group in groups:
        if not len(group):
            continue
        axes = _axes(group)
        found = shares(group["asr"].to_numpy(dtype=np.float64), list(axes.values()))
        plain = group["population"].to_numpy(dtype=object), group["reference"].to_numpy(dtype=bool)
        first = 0
        if "victim_defence" in group:
            first = int(np.argmax((group["victim_defence"] == "none").to_numpy(dtype=bool)))
        for (axis, codes), (share, alone) in zip(axes.items(), found, strict=True):
            rows.append({
                "population": plain[0][first], "reference": bool(plain[1][first]), "axis": axis,
                "levels": len(np.unique(codes)), "share": share, "alone": alone,
                "total": sum(each[0] for each in found), "n_tests": len(group),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("population", kind="stable", ignore_index=True)


def _axes(group: pd.DataFrame) -> dict[str, Codes]:
    """Return the levels (T,) of each axis that has two or more."""
    import pandas as pd

    def codes(name: str) -> Codes:
        return np.asarray(pd.factorize(group[name], sort=True, use_na_sentinel=False)[0], dtype=np.int64)

    cases = case_codes(group["case"].to_numpy(dtype=object))
    found = {axis: np.asarray((cases & bit) > 0, dtype=np.int64) for axis, bit in AXES.items()}
    found |= {
        "attack": combined(codes("label"), codes("setting")), "surrogate architecture": codes("surrogate_architecture"),
        "victim architecture": codes("victim_architecture"),
    }  # fmt: skip
    if "victim_defence" in group:
        found["defence"] = codes("victim_defence")
    return {axis: levels for axis, levels in found.items() if (levels != levels[0]).any()}


def shares(values: Reals, factors: list[Codes]) -> list[tuple[float, float]]:
    """Return for each factor (codes (T,)) its Shapley share of R2 and its R2 alone; 0 where `values` (T,) are constant.

    R2 of every subset of factors comes from one cross-product matrix of their dummies, over the distinct rows.
    """
    total = float(((values - values.mean()) ** 2).sum())
    if not factors or total <= 1e-18:
        return [(0.0, 0.0)] * len(factors)
    cell = np.zeros(len(values), dtype=np.int64)
    for codes in factors:
        cell = combined(cell, codes)
    first, count = np.unique(cell, return_index=True, return_counts=True)[1:]
    means = np.bincount(cell, weights=values - values.mean()) / count
    dummies = [(codes[first][:, None] == np.unique(codes)[None, 1:]).astype(np.float64) for codes in factors]
    place = np.repeat(np.arange(len(factors)), [dummy.shape[1] for dummy in dummies])
    matrix = np.concatenate(dummies, axis=1)
    matrix = matrix - (count @ matrix) / count.sum()
    gram, side = matrix.T @ (count[:, None] * matrix), matrix.T @ (count * means)

    def explained(chosen: tuple[int, ...]) -> float:
        own = np.flatnonzero(np.isin(place, chosen))
        inner = np.linalg.pinv(gram[np.ix_(own, own)], rcond=1e-10, hermitian=True)
        return float(side[own] @ inner @ side[own]) / total

    number = len(factors)
    r2 = {chosen: explained(chosen) for size in range(number + 1) for chosen in combinations(range(number), size)}
    found = []
    for factor in range(number):
        share = 0.0
        for chosen, value in r2.items():
            if factor not in chosen:
                gained = r2[tuple(sorted((*chosen, factor)))] - value
                share += gained / (number * comb(number - 1, len(chosen)))
        found.append((share, r2[factor,]))
    return found
