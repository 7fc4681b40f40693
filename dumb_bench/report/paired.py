"""Differences between configurations on the same cells, victims and images, with their crossed intervals."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import Design, combined, design, take
from dumb_bench.report.effects import Interval, interval
from dumb_bench.report.seeds import too_few_seeds

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.int64]
Reals = NDArray[np.float64]


FEW = 20
TOO_FEW = f"fewer than {FEW} images were fooled, or resisted, in all"
NOTHING = Interval(np.nan, np.nan, np.nan, np.nan, np.nan, 0, 0, 0, "no cell, victim and images in common")


class Difference(NamedTuple):
    """A difference of two mean rates, `first` - `second`, over the rows `plus` and `minus` that match."""

    interval: Interval
    first: float
    second: float
    plus: Rows
    minus: Rows


def positions(frame: pd.DataFrame, by: list[str]) -> dict[tuple[Any, ...], Rows]:
    """Return for each combination of `by` (two columns or more, none of them null), sorted, its rows' positions."""
    found: dict[Any, Any] = frame.groupby(by).indices
    return {key: np.asarray(found[key], dtype=np.int64) for key in sorted(found)}


class Panel(NamedTuple):
    """The observations of some attack at some strength, as arrays (T,)."""

    plan: Design
    rates: Reals
    match: Rows
    image_source: Rows
    right: Reals

    @classmethod
    def of(cls, observed: pd.DataFrame) -> Panel:
        """Take the arrays out of a frame of `posteriors.observations` (rows in its order)."""
        import pandas as pd

        return cls(
            design(observed),
            observed["asr"].to_numpy(dtype=np.float64),
            observed["match"].to_numpy(dtype=np.int64),
            pd.factorize(observed["image_source"])[0].astype(np.int64),
            observed["n_victim_correct"].to_numpy(dtype=np.float64),
        )

    def shared(self, *parts: Rows) -> list[Rows]:
        """Return of each part the rows whose cell, victim and images all parts have."""
        common = reduce(np.intersect1d, [self.match[part] for part in parts])
        return [part[np.isin(self.match[part], common)] for part in parts]

    def weight(self, rows: Rows) -> Reals:
        """Return weights (T,) with sum 1 over `rows`: image sources equal, then matches, then seeds of one match."""
        weight = np.zeros(len(self.rates))
        if len(rows):
            alike = np.zeros(len(rows), dtype=np.int64)
            source, match = combined(self.image_source[rows], alike), combined(self.match[rows], alike)
            of_match = source[np.unique(match, return_index=True)[1]]
            matches = np.bincount(of_match)
            weight[rows] = 1.0 / (len(matches) * matches[source] * np.bincount(match)[match])
        return weight

    def few(self, rows: Rows) -> bool:
        """Return whether successes, or failures, are so few over all rows that equal rates of all seeds are chance."""
        fooled = float(self.rates[rows] @ self.right[rows])
        return min(fooled, float(self.right[rows].sum()) - fooled) < FEW

    def too_few_seeds(self, found: Difference) -> str:
        """Return why a difference counts as unresolved whatever its interval: `seeds.too_few_seeds`."""
        return too_few_seeds(self.plan, self.rates, self.weight(found.plus) - self.weight(found.minus))

    def difference(self, context: Rows, plus: Rows, minus: Rows) -> Difference:
        """Return both mean rates over what they share, and their difference with its interval."""
        plus, minus = self.shared(plus, minus)
        first, second = self.weight(plus), self.weight(minus)
        found = self.interval(context, first - second) if len(plus) else NOTHING
        if len(plus) and self.few(np.concatenate([plus, minus])):
            found = found._replace(low=np.nan, high=np.nan, df=np.nan, p=np.nan, reason=TOO_FEW)
        return Difference(found, float(first @ self.rates), float(second @ self.rates), plus, minus)

    def interval(self, context: Rows, weight: Reals, *, low: float = -1.0, bare: bool = False) -> Interval:
        """Return the interval of the weighted sum; `context`: rows to borrow from, all of the weight among them.

        bare: the estimate and counts alone.
        """
        small, rates, weight = take(self.plan, context), self.rates[context], weight[context]
        if not bare:
            return interval(small, rates, weight, low=low)
        used, nan = weight != 0, float("nan")
        counts = len(np.unique(small.surrogate[used])), len(np.unique(small.victim[used]))
        return Interval(float(weight @ rates), nan, nan, nan, nan, int(used.sum()), *counts, "not computed")
