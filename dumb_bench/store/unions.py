"""The union of a table of two result folders, row by row, and what stands against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dumb_bench.store import clean_lists
from dumb_bench.store.joined import Flags, Pair, Side, differing, parameters_differ, side_by_side
from dumb_bench.store.ordering import VOLATILE
from dumb_bench.store.rows import as_table
from dumb_bench.store.schema import TABLES

OPTIONAL = {"predictions": ("margins",)}
"""Columns that a grid may leave out: compared where both sides have them."""

PARAMETERS = ("recipe_params", "attack_params")
"""Columns of JSON objects with all parameters, those at their default too: a newer version may know more of them."""


def excepted(name: str) -> tuple[str, ...]:
    """Return the columns in which two runs of one thing may differ: times, hosts, versions; of failures, all."""
    if name == "failures":
        return tuple(TABLES[name].names)
    return (*VOLATILE[name], *(column for column in ("library_versions",) if column in TABLES[name].names))


class Conflict(NamedTuple):
    """A row that two folders have with other content: the first column that differs, and both values."""

    key: str
    column: str
    first: Any
    second: Any


@dataclass
class Difference:
    """What was seen of one table on two sides. columns: how many rows in common differ in a column, if any do."""

    name: str
    common: int = 0
    left_only: int = 0
    right_only: int = 0
    conflicts: int = 0
    conflict: Conflict | None = None
    columns: dict[str, int] = field(default_factory=dict)

    @property
    def results_columns(self) -> dict[str, int]:
        """Those of `columns` that hold results; not times, hosts, versions."""
        return {column: rows for column, rows in self.columns.items() if column not in excepted(self.name)}

    def note(self, pair: Pair, skipped: frozenset[str] = frozenset()) -> None:
        """Count one range of rows. skipped: columns that one side does not have at all."""
        self.common += len(pair.left_places)
        self.left_only += len(pair.left.keys) - len(pair.left_places)
        self.right_only += len(pair.right.keys) - len(pair.right_places)
        left, right = in_common(pair)
        flags = self._flags(left, right, skipped)
        for column, differs in flags.items():
            if differs.any():
                self.columns[column] = self.columns.get(column, 0) + int(differs.sum())
        against = {column: differs for column, differs in flags.items() if column not in excepted(self.name)}
        if against:
            self._note_conflict(pair, left, right, against)

    def _flags(self, left: pa.Table, right: pa.Table, skipped: frozenset[str]) -> dict[str, Flags]:
        flags = {}
        for column in TABLES[self.name].names:
            if column in skipped or not left.num_rows:
                continue
            one, other = left.column(column), right.column(column)
            flags[column] = (parameters_differ if column in PARAMETERS else differing)(one, other)
            if column in OPTIONAL.get(self.name, ()):
                flags[column] &= np.asarray(one.is_valid()) & np.asarray(other.is_valid())
        return flags

    def _note_conflict(self, pair: Pair, left: pa.Table, right: pa.Table, flags: dict[str, Flags]) -> None:
        any_of: NDArray[np.bool_] = np.logical_or.reduce(list(flags.values()))
        self.conflicts += int(any_of.sum())
        if self.conflict is None and any_of.any():
            row = int(np.flatnonzero(any_of)[0])
            column = next(name for name, differs in flags.items() if differs[row])
            key = pair.left.keys[pair.left_places[row]].decode().replace("\x1f", "/")
            values = (side.column(column)[row].as_py() for side in (left, right))
            self.conflict = Conflict(key, *_first_entry(column, *values))


def _first_entry(column: str, first: Any, second: Any) -> tuple[str, Any, Any]:
    """Return where two values differ and how: of lists of one length, the first entry that differs."""
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            if one != other and not (one != one and other != other):
                return _first_entry(f"{column}[{place}]", one, other)
    return column, first, second


class MergedModels(Difference):
    """The same of `models` where grids may ask for other clean test sets: only those that both have must agree."""

    def _flags(self, left: pa.Table, right: pa.Table, skipped: frozenset[str]) -> dict[str, Flags]:
        flags = super()._flags(left, right, skipped)
        for row in np.flatnonzero(clean_lists.other_sets(left, right)).tolist():
            for column in (*clean_lists.SETS, *clean_lists.VALUES):
                if column in flags:
                    flags[column][row] = False
            pair = (side.slice(row, 1).to_pylist()[0] for side in (left, right))
            column_of = clean_lists.disagreement(*pair)
            if column_of in flags:
                flags[column_of][row] = True
        return flags


def in_common(pair: Pair) -> tuple[pa.Table, pa.Table]:
    """Return the rows that both sides have, in the same order."""
    return pair.left.rows.take(pa.array(pair.left_places)), pair.right.rows.take(pa.array(pair.right_places))


def union(
    name: str,
    left: Iterator[Side],
    right: Iterator[Side],
    *,
    seen: Difference | None = None,
    skipped: frozenset[str] = frozenset(),
) -> Iterator[Side]:
    """Yield the rows of both sides, sorted, those in common once: as the left side has them.

    What the left side does not know of such a row (a column of `skipped`, margins that its grid left out, clean test
    sets) comes from the right side. seen: takes note of what differs.
    """
    for pair in side_by_side(name, left, right):
        if seen is not None:
            seen.note(pair, skipped)
        rows = _completed(name, pair, skipped)
        fresh = pair.right_only
        keys = np.concatenate([pair.left.keys, pair.right.keys[fresh]])
        if fresh.any():
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            rows = pa.concat_tables([rows, pair.right.rows.filter(pa.array(fresh))]).take(pa.array(order))
        yield Side(keys, rows)


def _completed(name: str, pair: Pair, skipped: frozenset[str]) -> pa.Table:
    rows, right = pair.left.rows, pair.right.rows
    if not len(pair.left_places):
        return rows
    for column in sorted({*skipped, *OPTIONAL.get(name, ())}):
        source = np.arange(rows.num_rows)
        lacking = np.asarray(rows.column(column).is_null())[pair.left_places]
        source[pair.left_places[lacking]] = rows.num_rows + pair.right_places[lacking]
        both = pa.chunked_array([*rows.column(column).chunks, *right.column(column).chunks])
        place = rows.schema.get_field_index(column)
        if lacking.any():
            rows = rows.set_column(place, rows.schema.field(place), both.take(pa.array(source)))
    if name == "models":
        rows = _with_clean_sets(rows, pair)
    return rows


def _with_clean_sets(rows: pa.Table, pair: Pair) -> pa.Table:
    other = np.flatnonzero(clean_lists.other_sets(*in_common(pair)))
    if not len(other):
        return rows
    changed: dict[int, dict[str, Any]] = {}
    for number in other.tolist():
        place, beside = int(pair.left_places[number]), int(pair.right_places[number])
        one, two = rows.slice(place, 1).to_pylist()[0], pair.right.rows.slice(beside, 1).to_pylist()[0]
        changed[place] = clean_lists.united(one, two)
    made = as_table("models", list(changed.values()))
    source = np.arange(rows.num_rows)
    source[list(changed)] = rows.num_rows + np.arange(len(changed))
    return pa.concat_tables([rows, made]).take(pa.array(source))
