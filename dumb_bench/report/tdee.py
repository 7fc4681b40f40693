"""T-DEE, the deep-ensemble equivalent (Gubri, Cordy, Papadakis, Le Traon; UAI 2022, section 4).

With F(k) the success of an ensemble of k networks trained apart, linear between the sizes that were measured, the
T-DEE of a surrogate of success p is the smallest k at which F reaches p: how many networks do as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

STEP = 0.05
"""Distance of the sizes at which an interval is inverted, in networks."""


class Equivalent(NamedTuple):
    """A number of networks. `value` is NaN where `place` is not `inside`; `least` and `most` are the curve's ends."""

    value: float
    place: Literal["inside", "below", "above"]
    least: int
    most: int

    @property
    def text(self) -> str:
        """The number with one decimal, or `below 1`, `above 15`: an open end is never a number."""
        if self.place == "inside":
            return f"{self.value:.1f}"
        return f"below {self.least}" if self.place == "below" else f"above {self.most}"


class Span(NamedTuple):
    """The smallest and the largest number of networks that an interval leaves possible; ends may be open."""

    low: Equivalent
    high: Equivalent


def _checked(members: Sequence[int]) -> None:
    if not members or members[0] < 1 or any(b <= a for a, b in pairwise(members)):
        raise ValueError(f"expected rising ensemble sizes from 1 on, got {list(members)}")


def deep_ensemble_equivalent(members: Sequence[int], success: Sequence[float], rate: float) -> Equivalent:
    """Return the smallest k at which the curve through (members, success) reaches `rate`; T-DEE.

    members: rising ensemble sizes (K,), usually from 1 on. success: F at these sizes (K,), fractions, each a mean over
    subsets of the pool. rate: the success p of the surrogate. F need not rise: the first crossing counts. A rate below
    F(members[0]) is `below`, one that F reaches nowhere `above`; neither is a number.

    Raises:
        ValueError: sizes that do not rise, or not one rate a size.
    """
    _checked(members)
    if len(success) != len(members):
        raise ValueError(f"expected one rate a size, got {len(success)} for {len(members)}")
    least, most = members[0], members[-1]
    if rate < success[0]:
        return Equivalent(float("nan"), "below", least, most)
    if rate == success[0]:
        return Equivalent(float(least), "inside", least, most)
    for (a, b), (low, high) in zip(pairwise(members), pairwise(success), strict=True):
        if low < rate <= high:
            return Equivalent(a + (b - a) * (rate - low) / (high - low), "inside", least, most)
    return Equivalent(float("nan"), "above", least, most)


def sizes(members: Sequence[int]) -> Reals:
    """Return the sizes (G,) at which an interval is inverted: from the smallest ensemble to the largest by `STEP`."""
    _checked(members)
    count = round((members[-1] - members[0]) / STEP) + 1
    return np.asarray(members[0] + STEP * np.arange(count), dtype=np.float64)


def interpolation(members: Sequence[int], at: Reals) -> Reals:
    """Return the weights (K, G) of the measured sizes in the linear curve at the sizes `at` (G,)."""
    _checked(members)
    return np.stack([np.interp(at, members, row) for row in np.eye(len(members))])


def inverted(members: Sequence[int], at: Reals, possible: NDArray[np.bool_], estimate: Equivalent) -> Span:
    """Return the span of the sizes `at` (G,) that are possible: at which the interval of p - F(k) contains 0.

    An end of the curve that is possible leaves that side open. Where nothing is possible, the surrogate is resolved
    from all of the curve, and the span is the estimate.
    """
    least, most = members[0], members[-1]
    found = np.flatnonzero(possible)
    if not len(found):
        return Span(estimate, estimate)
    low = Equivalent(float(at[found[0]]), "inside", least, most)
    high = Equivalent(float(at[found[-1]]), "inside", least, most)
    return Span(
        low._replace(value=float("nan"), place="below") if possible[0] else low,
        high._replace(value=float("nan"), place="above") if possible[-1] else high,
    )
