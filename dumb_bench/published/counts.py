"""Whole numbers of images behind published rates. A victim's denominators are common to all that attacked it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 150
"""Images of a class that the published runs attack."""
EXACT = 1e-9
"""How far a rate with all its digits may lie from k / n; two such fractions differ by 4e-5 at least."""
SINGLE = 2.0**-22
"""How far a rate in float32 may: 1 - accuracy was computed in it, and written with eight digits."""


class Rates(NamedTuple):
    """Rates of one victim's tests: success over both classes, float32, and in each class."""

    both: Sequence[float]
    first: Sequence[float]
    second: Sequence[float]


class Counts(NamedTuple):
    """Images of each class that count, and how many of them were successes in each test, (T, 2)."""

    n: tuple[int, int]
    k: NDArray[np.int64]


class ContradictionError(ValueError):
    """No denominators explain the rates; `row` is the position of a test that shows it."""

    def __init__(self, row: int) -> None:
        super().__init__("no number of images explains these rates")
        self.row = row


def recover(rates: Rates) -> Counts | None:
    """Return the only counts that explain the rates of one victim, or None where several do.

    Every rate in a class is k / n with one n of at most `MOST` for the victim, and the rate over both classes is
    (k_0 + k_1) / (n_0 + n_1) to float32.

    Raises:
        ContradictionError: none do.
    """
    both = np.asarray(rates.both)
    classes = [np.asarray(rates.first), np.asarray(rates.second)]
    possible = [_denominators(values) for values in classes]
    found = []
    for first in possible[0]:
        for second in possible[1]:
            k = np.stack([_numerators(classes[0], first), _numerators(classes[1], second)], axis=1)
            if (np.abs(k.sum(axis=1) / (first + second) - both) <= SINGLE).all():
                found.append(Counts((first, second), k))
    if not found:
        raise ContradictionError(_witness(both, classes, possible))
    return found[0] if len(found) == 1 else None


def _numerators(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    return np.rint(values * n).astype(np.int64)


def _fits(values: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
    fits: NDArray[np.bool_] = np.abs(_numerators(values, n) / n - values) <= EXACT
    return fits


def _denominators(values: NDArray[np.float64]) -> list[int]:
    return [n for n in range(1, MOST + 1) if _fits(values, n).all()]


def _witness(both: NDArray[np.float64], classes: list[NDArray[np.float64]], possible: list[list[int]]) -> int:
    """Return the test that the denominator which explains most others does not explain."""
    best: list[NDArray[np.bool_]] = []
    k = np.zeros(len(both))
    total = 0
    for values, numbers in zip(classes, possible, strict=True):
        n = numbers[-1] if numbers else _best(values)
        best.append(_fits(values, n))
        k, total = k + _numerators(values, n), total + n
    alone = best[0] & best[1]
    fits = alone & (np.abs(k / total - both) <= SINGLE)
    return int(np.argmin(alone if not alone.all() else fits))


def _best(values: NDArray[np.float64]) -> int:
    """Return the denominator that explains most of the rates."""
    return max(range(1, MOST + 1), key=lambda n: int(_fits(values, n).sum()))
