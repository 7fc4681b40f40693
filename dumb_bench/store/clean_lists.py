"""The clean test sets of one model in two result folders: grids ask for different ones, what both have must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dumb_bench.store.joined import differing
from dumb_bench.store.rows import as_table

SETS = ("test_source", "test_delivery")
VALUES = ("clean_accuracy", "clean_f1", "clean_predictions", "clean_logits")
"""Columns of `models` with one entry a clean test set."""


def other_sets(left: pa.Table, right: pa.Table) -> NDArray[np.bool_]:
    """Return for each pair of rows whether they name other test sets, or name them in another order, (R,)."""
    found: NDArray[np.bool_] = np.zeros(left.num_rows, np.bool_)
    for name in SETS:
        found |= differing(left.column(name), right.column(name))
    return found


def disagreement(left: dict[str, Any], right: dict[str, Any]) -> str | None:
    """Return the first column in which two rows of one model differ on a test set that both have."""
    one, other = _by_set(left), _by_set(right)
    for key in sorted(one.keys() & other.keys()):
        for name in VALUES:
            pair = as_table("models", [{name: [entries[key][name]]} for entries in (one, other)]).column(name)
            if differing(pair.slice(0, 1), pair.slice(1, 1)).any():
                return name
    return None


def united(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a model with the test sets of both rows; the left row's come first."""
    one, other = _by_set(left), _by_set(right)
    sets = {**other, **one}
    order = [*one, *(key for key in other if key not in one)]
    columns: dict[str, Any] = {name: [key[place] for key in order] for place, name in enumerate(SETS)}
    return {**left, **columns, **{name: [sets[key][name] for key in order] for name in VALUES}}


def _by_set(row: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    names = zip(*(row[name] or () for name in SETS), strict=True)
    return {key: {name: row[name][place] if row[name] else None for name in VALUES} for place, key in enumerate(names)}
