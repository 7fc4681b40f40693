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


def equal_weights(groups: Sequence[object] | NDArray[np.object_]) -> NDArray[np.float64]:
    """Return one weight an entry (sum 1): every group counts the same, every entry of a group the same.

    Groups are image sources: a mean with these weights is the mean over image sources of the mean over tests.
    """
    if not len(groups):
        return np.zeros(0)
    codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].reshape(-1)
    counts = np.bincount(codes)
    return np.asarray(1.0 / (len(counts) * counts[codes]), dtype=np.float64)


def success_by(tests: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the mean success of each group of tests: columns `by`, rate, n_tests, n_images, n_surrogates, n_victims.

    Denominator of a test's rate (`asr`): the images that its victim classifies rightly when clean, under the same
    delivery and defence draw. The group's rate is the mean over image sources of the mean over tests; tests without
    such an image are left out. n_images: the median denominator of the tests.
    """
    import pandas as pd

    kept = tests[tests["asr"].notna()]
    rows = []
    for key, group in kept.groupby(by, sort=True, dropna=False):
        values = key if isinstance(key, tuple) else (key,)
        weight = equal_weights(group["image_source"].to_numpy(dtype=object))
        rows.append(
            {
                **dict(zip(by, values, strict=True)),
                "rate": float(weight @ group["asr"].to_numpy(dtype=np.float64)),
                "n_tests": len(group),
                "n_images": float(group["n_victim_correct"].median()),
                "n_surrogates": group["surrogate_id"].nunique(),
                "n_victims": group["victim_id"].nunique(),
            }
        )
    return pd.DataFrame(rows, columns=[*by, "rate", "n_tests", "n_images", "n_surrogates", "n_victims"])
