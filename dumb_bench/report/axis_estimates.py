"""Many weighted sums of one set of tests at once: estimates, crossed intervals, and those for new images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import Design
from dumb_bench.report.effects import NO_VARIATION, crossed
from dumb_bench.report.paired import FEW, TOO_FEW

Reals = NDArray[np.float64]
Key = TypeVar("Key")


class Estimate(NamedTuple):
    """A weighted sum with its 95 % interval and standard error, in fractions; NaN where `reason` says why."""

    estimate: float
    low: float
    high: float
    df: float
    p: float
    error: float
    reason: str


def estimates(plan: Design, rates: Reals, right: Reals, weights: Mapping[Key, Reals]) -> dict[Key, Estimate]:
    """Return the estimate of each weight (T,); those over the same tests share one pass.

    right (T,): images that the victim gets right, 0 for a control. Where fewer than `FEW` of the weighted attacks'
    images were fooled, or resisted, in all, there is no interval: equal rates of a few seeds are then chance.
    """
    alike: dict[bytes, list[Key]] = {}
    for key, weight in weights.items():
        alike.setdefault(np.packbits(weight != 0).tobytes(), []).append(key)
    found: dict[Key, Estimate] = {}
    for keys in alike.values():
        together = np.stack([weights[key] for key in keys], axis=1)
        used = together[:, 0] != 0
        fooled, all_right = float(rates[used] @ right[used]), float(right[used].sum())
        few = min(fooled, all_right - fooled) < FEW
        sums = crossed(plan, rates[:, None], together)
        reason = sums.reason or (TOO_FEW if few else "")
        for key, estimate, variance, df in zip(keys, sums.estimate, sums.variance, sums.df, strict=True):
            found[key] = _estimate(float(estimate) + 0.0, float(variance), float(df), reason)
    return found


def _estimate(estimate: float, variance: float, df: float, reason: str) -> Estimate:
    from scipy.special import stdtr

    if not reason and not variance > 1e-24:
        reason = NO_VARIATION
    if reason:
        nan = float("nan")
        return Estimate(estimate, nan, nan, nan, nan, nan, reason)
    error = float(np.sqrt(variance))
    low, high = _ends(estimate, error, df)
    return Estimate(estimate, low, high, df, float(2 * stdtr(df, -abs(estimate) / error)), error, "")


def _ends(estimate: float, error: float, df: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    half = float(stdtrit(df, 0.975)) * error
    return max(estimate - half, -1.0), min(estimate + half, 1.0)


def for_new_images(found: Estimate, variance: float) -> tuple[float, float]:
    """Return the interval for new seeds and new images, `variance` that of the images: both variances, the same t.

    The images' variance is known better than the seeds', so that their degrees of freedom are on the safe side.
    """
    if found.reason:
        return float("nan"), float("nan")
    return _ends(found.estimate, float(np.sqrt(found.error**2 + variance)), found.df)
