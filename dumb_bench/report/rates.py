"""Success rates with their denominators. A rate of a group is a mean of tests' rates, never of pooled images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


class Bounds(NamedTuple):
    """Lower and upper end of an interval, fractions."""

    low: float
    high: float


def wilson(successes: int, trials: int, level: float = 0.95) -> Bounds:
    """Return Wilson's score interval of one test's rate, successes / trials (Wilson 1927).

    Denominator: `trials`, the images that this one victim gets right when clean. It speaks about images like these, for
    this one pair of networks; it must not be used for a mean over tests. Without trials it is [0, 1].
    """
    from statistics import NormalDist

    if not 0 <= successes <= trials:
        raise ValueError(f"expected 0 <= successes <= trials, got {successes} of {trials}")
    if trials == 0:
        return Bounds(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate = successes / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials**2)))
    return Bounds(0.0 if successes == 0 else middle - half, 1.0 if successes == trials else middle + half)


class BoundsArray(NamedTuple):
    """Lower and upper ends of many intervals, fractions, (T,) each."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def wilson_bounds(
    successes: NDArray[np.integer[Any]], trials: NDArray[np.integer[Any]], level: float = 0.95
) -> BoundsArray:
    """Return `wilson` of many tests at once: successes (T,) of trials (T,); [0, 1] where a test has no trials.

    Denominator: `trials`, whatever images a definition of success counts (`definitions.DEFINITIONS`).

    Raises:
        ValueError: shapes differ, or successes are not between 0 and trials.
    """
    from statistics import NormalDist

    k, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if k.shape != n.shape or not ((k >= 0) & (k <= n)).all():
        raise ValueError("expected two arrays of one shape with 0 <= successes <= trials")
    z = NormalDist().inv_cdf((1 + level) / 2)
    some = np.maximum(n, 1.0)
    rate = k / some
    middle = (rate + z * z / (2 * some)) / (1 + z * z / some)
    half = z / (1 + z * z / some) * np.sqrt(rate * (1 - rate) / some + z * z / (4 * some**2))
    low, high = np.where(k == 0, 0.0, middle - half), np.where(k == n, 1.0, middle + half)
    return BoundsArray(np.where(n == 0, 0.0, low), np.where(n == 0, 1.0, high))


_MOST_CODES = 1_000
"""Codes below this are counted as they are."""


def equal_weights(groups: Sequence[object] | NDArray[Any]) -> NDArray[np.float64]:
    """Return one weight an entry (sum 1): every group counts the same, every entry of a group the same.

    Groups are image sources: a mean with these weights is the mean over image sources of the mean over tests.
    """
    if not len(groups):
        return np.zeros(0)
    known = np.asarray(groups)
    if known.dtype.kind in "iu" and known.min() >= 0 and known.max() < _MOST_CODES:
        counts = np.bincount(known)
        return np.asarray(1.0 / (np.count_nonzero(counts) * counts[known]), dtype=np.float64)
    codes = np.unique(known if known.dtype.kind in "iu" else known.astype(str), return_inverse=True)[1].reshape(-1)
    counts = np.bincount(codes)
    return np.asarray(1.0 / (len(counts) * counts[codes]), dtype=np.float64)


def success_by(tests: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the mean success of each group of tests: columns `by`, rate, n_tests, n_images, n_surrogates, n_victims.

    Denominator of a test's rate (`asr`): the images that its victim classifies rightly when clean, under the same
    delivery and defence draw. The group's rate is the mean over image sources of the mean over tests; tests without
    such an image are left out. n_images: the median denominator of the tests.
    """
    import pandas as pd

    names = list(dict.fromkeys([*by, "image_source", "asr", "n_victim_correct", "surrogate_id", "victim_id"]))
    kept = tests.loc[tests["asr"].notna(), names]
    grouped = kept.groupby(by, sort=True, dropna=False)
    group = grouped.ngroup().to_numpy(dtype=np.int64)
    if not len(group):
        return pd.DataFrame(columns=[*by, "rate", "n_tests", "n_images", "n_surrogates", "n_victims"])
    size = int(group.max()) + 1
    first = kept[by].iloc[np.unique(group, return_index=True)[1]].reset_index(drop=True)

    def different(name: str) -> NDArray[np.int64]:
        code = pd.factorize(kept[name])[0].astype(np.int64)
        pairs = np.unique(group * (int(code.max()) + 2) + code + 1)
        return np.bincount(pairs // (int(code.max()) + 2), minlength=size)

    source = pd.factorize(kept["image_source"], use_na_sentinel=False)[0]
    sources = int(source.max()) + 1
    cell = group * sources + source
    counts = np.bincount(cell, minlength=size * sources).reshape(size, sources)
    sums = np.bincount(cell, weights=kept["asr"].to_numpy(dtype=np.float64), minlength=size * sources)
    means = sums.reshape(size, sources) / np.maximum(counts, 1)
    return first.assign(
        rate=means.sum(axis=1) / (counts > 0).sum(axis=1), n_tests=counts.sum(axis=1),
        n_images=kept["n_victim_correct"].groupby(group).median().to_numpy(dtype=np.float64),
        n_surrogates=different("surrogate_id"), n_victims=different("victim_id"),
    )  # fmt: skip
