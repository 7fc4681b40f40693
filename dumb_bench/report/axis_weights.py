"""What an axis costs, as weights of tests: mean success where it differs minus where it is the same, like with like."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.case import CASES
from dumb_bench.report.design import combined

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]

AXES = {"source": 4, "architecture": 2, "balance": 1}
"""Axis -> what it adds to the case's number when surrogate and victim differ in it."""


class Contrast(NamedTuple):
    """Two sides of tests that are compared within combinations, as arrays (T,); see `weights`.

    match: what tests of one combination and image source weigh equally; None: each test is its own.
    """

    axis: str
    level: str
    differs: Bools
    combination: Codes
    match: Codes | None = None

    def weights(self, image_source: Codes, rows: Bools) -> Reals:
        """Return weights (T,) over the tests `rows`, 0 elsewhere.

        The mean over combinations of [mean where `differs` - mean where not]. Combinations that one side lacks are left
        out; those of both sides weigh the same. Within a combination and side image sources weigh the same, within one
        the matches, within a match the tests. All 0 where no combination has both sides.
        """
        weight = np.zeros(len(rows))
        here = np.flatnonzero(rows & (self.combination >= 0))
        if not len(here):
            return weight
        differs, combination, source = self.differs[here], self.combination[here], image_source[here]
        share = np.ones(len(here))
        if self.match is not None:
            alike = combined(self.match[here], differs)
            share = 1.0 / np.bincount(alike)[alike]
        width = int(source.max()) + 1
        group = combination * 2 + differs
        place = group * width + source
        matches = np.bincount(place, weights=share, minlength=2 * width * (int(combination.max()) + 1))
        sources = (matches.reshape(-1, width) > 0).sum(axis=1)
        both = (sources.reshape(-1, 2) > 0).all(axis=1)
        if both.any():
            sign = np.where(differs, 1.0, -1.0) * both[combination]
            weight[here] = sign * share / (both.sum() * np.maximum(sources[group], 1) * matches[place])
        return weight


def case_codes(cases: NDArray[np.object_]) -> Codes:
    """Return 0 to 7 for `C1` to `C8`, and -1 for anything else."""
    code = {case: number for number, case in enumerate(CASES)}
    return np.array([code.get(case, -1) for case in cases], dtype=np.int64)


def axis_contrast(cases: Codes, axis: str) -> Contrast:
    """Return the contrast of an axis of `AXES` over the combinations of the other two; `cases` of `case_codes`."""
    bit = AXES[axis]
    known = cases >= 0
    return Contrast(axis, "", known & ((cases & bit) > 0), np.where(known, cases & ~bit, -1))
