"""Who meets whom: the tests of a grid as integer codes, so that variances can be summed by model and cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Codes = NDArray[np.int64]

MODEL = (
    "source",
    "subset",
    "architecture",
    "init",
    "balance",
    "balance_mode",
    "defence",
    "posterior",
    "samples",
    "recipe",
)
"""What, with its parameters, makes a cell; with its seed, a model. Aggregation and modifier are conditions."""
CONDITIONS = ("label", "setting", "image_source", "delivery", "surrogate_aggregation", "surrogate_modifier")
"""What else is fixed within a stratum."""


DESIGN = (
    *(f"{role}_{key}" for role in ("surrogate", "victim") for key in (*MODEL, "params", "seed")), *CONDITIONS, "copied",
)  # fmt: skip
"""Columns of tests that `design` looks at."""


class Design(NamedTuple):
    """Who meets whom, as integer codes, one entry a test (T,); `surrogate` is -1 for a surrogate-free row."""

    surrogate: Codes
    victim: Codes
    stratum: Codes
    condition: Codes
    cell: Codes
    source: Codes
    """`cell` and `source` have one entry a model: its combination of levels, its source."""


def design(tests: pd.DataFrame) -> Design:
    """Return the design of tests (rows in the frame's order). Columns that the frame lacks count as constant."""
    import pandas as pd

    rows = len(tests)
    cell = np.zeros(2 * rows, dtype=np.int64)
    for key in (*MODEL, "params"):
        cell = combined(cell, _both(tests, key))
    source = _both(tests, "source")
    node = combined(cell, _both(tests, "seed"))
    first = np.unique(node, return_index=True)[1]
    copied = tests["copied"].fillna(False).to_numpy(dtype=bool) if "copied" in tests else np.zeros(rows, dtype=bool)
    condition = np.zeros(rows, dtype=np.int64)
    for name in CONDITIONS:
        if name in tests:
            condition = combined(condition, pd.factorize(tests[name], sort=True, use_na_sentinel=False)[0])
    surrogate = np.where(copied, -1, node[:rows])
    white_box = surrogate == node[rows:]
    stratum = combined(combined(np.where(copied, 0, cell[:rows] + 1), cell[rows:]), combined(condition, white_box))
    return Design(surrogate, node[rows:], stratum, condition, cell[first], source[first])


def _both(tests: pd.DataFrame, key: str) -> Codes:
    """Return codes (2T,) of the surrogates' values of a column, then the victims'; an absent column is constant."""
    import pandas as pd

    if f"surrogate_{key}" not in tests or f"victim_{key}" not in tests:
        return np.zeros(2 * len(tests), dtype=np.int64)
    values = pd.concat([tests[f"surrogate_{key}"], tests[f"victim_{key}"]], ignore_index=True)
    if key in ("samples", "seed"):
        values = values.astype("float64")
    return np.asarray(pd.factorize(values, sort=True, use_na_sentinel=False)[0], dtype=np.int64)


def combined(first: Codes, second: NDArray[Any]) -> Codes:
    """Return one code, from 0 without gaps, for each distinct pair of codes (not below 0)."""
    joined = first.astype(np.int64) * (int(second.max(initial=0)) + 1) + second
    largest = int(joined.max(initial=0))
    if largest > _DENSE * len(joined):
        return np.unique(joined, return_inverse=True)[1].reshape(-1).astype(np.int64)
    number = np.cumsum(occurring(joined, largest + 1)) - 1
    return np.asarray(number[joined], dtype=np.int64)


_DENSE = 16
"""Codes up to this many times their number are counted off in an array, which costs less than sorting them."""


def distinct(tests: pd.DataFrame, columns: Sequence[str]) -> tuple[Codes, Codes]:
    """Return the first row of each combination of columns (D,), and each row's combination (T,); nulls are alike."""
    import pandas as pd

    code = np.zeros(len(tests), dtype=np.int64)
    for name in columns:
        code = combined(code, pd.factorize(tests[name], use_na_sentinel=False)[0])
    return first_places(code), code


def occurring(codes: Codes, size: int) -> NDArray[np.bool_]:
    """Return which of the codes 0 to size - 1 occur."""
    found = np.zeros(size, dtype=np.bool_)
    found[codes] = True
    return found


def first_places(codes: Codes) -> Codes:
    """Return where each code stands first; codes from 0 without gaps."""
    found = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    found[codes[::-1]] = np.arange(len(codes))[::-1]  # of several the one assigned last stays: the first
    return found


def take(plan: Design, rows: Codes) -> Design:
    """Return the design of some tests; strata and conditions are numbered anew, models keep their code."""
    zero = np.zeros(len(rows), dtype=np.int64)
    stratum, condition = combined(plan.stratum[rows], zero), combined(plan.condition[rows], zero)
    return Design(plan.surrogate[rows], plan.victim[rows], stratum, condition, plan.cell, plan.source)


def roles(plan: Design) -> Codes:
    """Return each model's role: 1 surrogate, 2 victim; 3 for all models of a cell in which one plays both."""
    size = len(plan.cell)
    found = occurring(plan.surrogate[plan.surrogate >= 0], size) + 2 * occurring(plan.victim, size).astype(np.int64)
    return np.where(np.isin(plan.cell, plan.cell[found == 3]), 3, found)
