"""Which scored tests a plan asks for and which of them the store holds, as arrays: 30 bytes a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dumb_bench.store.ids import Flags, Ids, Places, as_bytes, ranges
from dumb_bench.store.planned import INFEASIBLE, PENDING, Chosen, Document, PlannedGroup, PlannedRow, planned_groups
from dumb_bench.store.store import Store
from dumb_bench.store.stream import Piece


class Matches(NamedTuple):
    """Rows of a piece and what they are for. rows: places in the piece. group, victim: numbers; each (M,)."""

    rows: Places
    group: npt.NDArray[np.int32]
    victim: npt.NDArray[np.int32]


class AskedTests:
    """Every scored test of a plan: its id, its group, its victim. One id may stand in several groups."""

    def __init__(self, plan: Document, chosen: Chosen) -> None:
        self.groups: list[PlannedGroup] = list(planned_groups(plan, chosen))
        ids: list[Any] = [np.empty(0, "S1")]
        counts = []
        for group in self.groups:
            found = group.test_ids()
            counts.append(len(found))
            if found:
                ids.append(as_bytes(found))
        joined = np.concatenate(ids)
        order = np.argsort(joined, kind="stable")
        self.ids = joined[order]
        del ids, joined
        sizes = np.array(counts, np.int64)
        self._group = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        self._victim = ranges(np.zeros_like(sizes), sizes).astype(np.int32)[order]
        self.plain: Flags = np.array([group.plain for group in self.groups], np.bool_)
        self._held: Flags = np.zeros(len(self.ids), np.bool_)

    def match(self, ids: npt.NDArray[np.bytes_]) -> Matches:
        """Return where ids are asked for, row by row, each as often as groups want it."""
        first = np.searchsorted(self.ids, ids)
        counts = np.searchsorted(self.ids, ids, side="right") - first
        entries = ranges(first, counts)
        return Matches(np.repeat(np.arange(len(ids)), counts), self._group[entries], self._victim[entries])

    def holds(self, ids: npt.NDArray[np.bytes_]) -> Flags:
        """Return for each id whether it is asked for, (N,)."""
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.asarray(self.ids[places] == ids, np.bool_) if len(self.ids) else np.zeros(len(ids), np.bool_)

    def note(self, ids: npt.NDArray[np.bytes_]) -> Flags:
        """Note that these are stored; return for each whether it is asked for, (N,)."""
        asked = self.holds(ids)
        first = np.searchsorted(self.ids, ids[asked])
        counts = np.searchsorted(self.ids, ids[asked], side="right") - first
        self._held[ranges(first, counts)] = True
        return asked

    @property
    def scored_rows(self) -> int:
        """The number of distinct scored tests that are asked for and stored."""
        return len(np.unique(self.ids[self._held]))

    @property
    def rows(self) -> int:
        """The number of rows of `tests` that the stored ones make, those without a score included."""
        holders = np.array([len(group.holders) for group in self.groups], np.int64)
        empty = sum(group.repeats for group in self.groups if group.rule == INFEASIBLE)
        return int(holders[self._group[self._held]].sum()) + empty

    @property
    def planned_rows(self) -> int:
        """The number of rows of `tests` that the plan asks for."""
        return sum(group.repeats for group in self.groups)

    def infeasible(self) -> Iterator[PlannedRow]:
        """Yield the rows that no strength is feasible for."""
        for group in self.groups:
            if group.rule == INFEASIBLE:
                yield from map(group.row, group.victims)

    def missing(self) -> Iterator[PlannedRow]:
        """Yield the rows that are asked for and not stored, or not known yet."""
        numbers, places = self._group[~self._held], self._victim[~self._held]
        order = np.lexsort((places, numbers))
        for number, place in zip(numbers[order].tolist(), places[order].tolist(), strict=True):
            yield self.groups[number].row(self.groups[number].victims[place])
        for group in self.groups:
            if group.rule == PENDING:
                yield from map(group.row, group.victims)


class Doubled:
    """Rows that several units happened to make: only those of the lowest unit key count."""

    def __init__(self, names: Ids, keepers: dict[bytes, str]) -> None:
        self._names = names
        self._keepers = keepers

    def kept(self, piece: Piece, ids: npt.NDArray[np.bytes_]) -> Flags:
        """Return for each row of a piece whether it counts, (N,)."""
        flags = np.ones(len(ids), np.bool_)
        if len(self._names):
            units = piece.units.to_numpy()
            for place in np.flatnonzero(self._names.holds_bytes(ids)).tolist():
                flags[place] = self._keepers[bytes(ids[place])] == piece.keys[units[place]]
        return flags


def doubled(store: Store, table: str, column: str, found: Iterable[npt.NDArray[np.bytes_]], keys: Any) -> Doubled:
    """Return which of the ids in `found` occur more than once, and the unit whose row counts."""
    ids, counts = np.unique(np.concatenate([np.empty(0, "S1"), *found]), return_counts=True)
    several = Ids.joined([ids[counts > 1]])
    keepers: dict[bytes, str] = {}
    if len(several):
        for piece in store.pieces(table, [column], keys=keys):
            names, units = as_bytes(piece.rows.column(column)), piece.units.to_numpy()
            for place in np.flatnonzero(several.holds_bytes(names)).tolist():
                name, unit = bytes(names[place]), piece.keys[units[place]]
                keepers[name] = min(unit, keepers.get(name, unit))
    return Doubled(several, keepers)


def among(table: pa.Table, flags: Flags) -> pa.Table:
    """Return the rows that are flagged; the table itself where all are."""
    return table if flags.all() else table.filter(pa.array(flags))
