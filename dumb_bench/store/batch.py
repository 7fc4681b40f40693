"""Rows of finished units in memory, each row tied to its unit, whether or not its table has a `unit_key` column."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.store import schema
from dumb_bench.store.ordering import SORT_KEYS

UNIT = "__unit__"
"""The hidden first column of every table of a batch: the position of the row's unit in `Batch.keys`."""


@dataclass(frozen=True)
class Batch:
    """Finished units: distinct keys, and their rows by table (a table may be missing)."""

    keys: tuple[str, ...]
    tables: dict[str, pa.Table]

    def only(self, keys: Collection[str]) -> Batch:
        """Return the batch without the rows of units that are not in `keys`."""
        kept = [position for position, key in enumerate(self.keys) if key in keys]
        if len(kept) == len(self.keys):
            return self
        wanted = pa.array(kept, pa.int32())
        rows = {}
        for name, table in self.tables.items():
            numbers = pc.index_in(table[UNIT], value_set=wanted)  # the new position; null for a unit left out
            rows[name] = table.set_column(0, pa.field(UNIT, pa.int32()), numbers).filter(pc.is_valid(numbers))
        return Batch(tuple(self.keys[position] for position in kept), rows)


def of_unit(key: str, tables: Mapping[str, pa.Table]) -> Batch:
    """Return one unit's tables as a batch."""
    rows = {}
    for name, table in tables.items():
        number = pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)
        rows[name] = table.add_column(0, pa.field(UNIT, pa.int32()), number)
    return Batch((key,), rows)


def merge(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the rows of all, sorted by unit, then by the table's sort keys.

    The batches must share no unit (`Batch.only` first).
    """
    keys = tuple(sorted({key for batch in batches for key in batch.keys}))
    place = {key: position for position, key in enumerate(keys)}
    gathered: dict[str, list[pa.Table]] = {}
    for batch in batches:
        renumber = pa.array([place[key] for key in batch.keys], pa.int32())
        for name, table in batch.tables.items():
            if table.num_rows:
                numbers = pc.take(renumber, table[UNIT])
                gathered.setdefault(name, []).append(table.set_column(0, pa.field(UNIT, pa.int32()), numbers))
            else:
                gathered.setdefault(name, []).append(table)
    return Batch(keys, {name: _sorted(name, pa.concat_tables(parts)) for name, parts in sorted(gathered.items())})


def without_unit(name: str, batches: Sequence[Batch], columns: Sequence[str]) -> pa.Table:
    """Return the rows of one table of all batches, without the hidden column."""
    parts = [batch.tables[name].select(list(columns)) for batch in batches if name in batch.tables]
    if not parts:
        nothing = pa.Table.from_batches([], schema.STORED[name])  # `empty_table` would import pandas
        return nothing.select(list(columns))
    return pa.concat_tables(parts)


def _sorted(name: str, table: pa.Table) -> pa.Table:
    order = [(UNIT, "ascending"), *((column, "ascending") for column in SORT_KEYS[name])]
    return table.combine_chunks().sort_by(order)
