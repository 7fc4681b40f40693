"""Rows of a result table in their final order, cut into parts, however many there are.

What does not fit in memory goes to scratch files of this machine, by ranges of the first sort key; then range after
range is sorted. Order and cuts depend on the rows alone, not on the order in which they come.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.store.allocators import give_back
from dumb_bench.store.ids import Bytes, as_bytes
from dumb_bench.store.ordering import SORT_KEYS
from dumb_bench.store.rows import conform
from dumb_bench.store.schema import STORED

PART_BYTES = 32 * 2**20
"""About what a part takes in memory."""
HELD_BYTES = 16 * 2**20
"""What is held before it goes to scratch files."""
RANGES = 64
_LEAST = 1024


class SortedParts:
    """Takes rows in any order, gives them back sorted. A context: the scratch files are deleted at its end.

    bounds: RANGES - 1 sorted keys that cut the rows into ranges of about one size; without them the first rows must be
    a fair sample of all, which rows that come sorted are not.
    """

    def __init__(
        self, name: str, *, held_bytes: int = HELD_BYTES, part_bytes: int = PART_BYTES, bounds: Bytes | None = None
    ) -> None:
        self.name = name
        self.rows = 0
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._limit = held_bytes
        self._part_bytes = part_bytes
        self._entries = 0
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._writers: list[Any] = []
        self._bounds = bounds

    def __enter__(self) -> SortedParts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end_writing()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._held = []
            give_back()

    def add(self, table: pa.Table) -> None:
        """Take rows. Raises SchemaError (they do not conform), OSError (no room for scratch files)."""
        table = conform(self.name, table)
        self.rows += table.num_rows
        self._entries += _entries(table)
        if table.num_rows:
            self._held.append(table)
            self._held_bytes += table.nbytes
        if self._held_bytes > self._limit:
            self._spill()

    def parts(self) -> Iterator[pa.Table]:
        """Yield all rows, sorted, in parts of equal length but for the last; one empty part where there are none."""
        size = self._rows_of_a_part()
        rest: list[pa.Table] = []
        count = 0
        for table in self._ranges():
            rest.append(ordered(self.name, table))
            count += table.num_rows
            while count > size:
                whole = pa.concat_tables(rest)
                yield whole.slice(0, size)
                count -= size
                rest = [_apart(whole.slice(size))]
                del whole
                give_back()
        yield pa.concat_tables(rest) if rest else STORED[self.name].empty_table()

    def _rows_of_a_part(self) -> int:
        """Return a number that depends on the rows alone: on their number, types and lengths of lists."""
        width = sum(24 if pa.types.is_string(field.type) else 8 for field in STORED[self.name])
        mean = width + 4 * self._entries // max(self.rows, 1)
        return max(_LEAST, self._part_bytes // mean)

    def _ranges(self) -> Iterator[pa.Table]:
        if self._scratch is None:
            if self._held:
                yield pa.concat_tables(self._held)
            self._held = []
            return
        self._spill()
        self._end_writing()
        for number in range(RANGES):
            path = self._path(number)
            with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
                table = reader.read_all()
            path.unlink()
            if table.num_rows:
                yield table

    def _path(self, number: int) -> Path:
        assert self._scratch is not None
        return Path(self._scratch.name) / f"range-{number}.arrows"

    def _end_writing(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers = []

    def _spill(self) -> None:
        if not self._held:
            return
        key = SORT_KEYS[self.name][0]
        table = pa.concat_tables(self._held).sort_by(key)
        self._held, self._held_bytes = [], 0
        values = as_bytes(table.column(key))
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="dumb-bench-")
            self._bounds = fair_bounds(values) if self._bounds is None else self._bounds
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writers = [
                pa.ipc.new_stream(str(self._path(number)), STORED[self.name], options=options)
                for number in range(RANGES)
            ]
        assert self._bounds is not None
        cuts = [0, *np.searchsorted(values, self._bounds).tolist(), len(values)]  # equal keys: in the same range
        for writer, start, end in zip(self._writers, cuts, cuts[1:], strict=False):
            if end > start:
                writer.write_table(table.slice(start, end - start).combine_chunks())
        del table, values
        give_back()


def fair_bounds(keys: Bytes) -> Bytes:
    """Return the RANGES - 1 keys that cut sorted keys (at least one) into ranges of about one size."""
    found: Bytes = keys[np.linspace(0, len(keys), RANGES, endpoint=False, dtype=np.int64)[1:]]
    return found


def ordered(name: str, table: pa.Table) -> pa.Table:
    """Return the rows of a table in one order, whatever order they came in."""
    table = table.combine_chunks()
    keys = list(SORT_KEYS[name])
    if table.num_rows and table.group_by(keys).aggregate([]).num_rows < table.num_rows:
        scalars = [entry.name for entry in table.schema if not pa.types.is_nested(entry.type)]
        keys += [column for column in scalars if column not in keys]  # ties: by everything that can be compared
    return table.sort_by([(key, "ascending") for key in keys])


def _entries(table: pa.Table) -> int:
    """Return the number of entries of all its lists."""
    nested = [column for column in table.columns if pa.types.is_list(column.type)]
    return sum(pc.sum(pc.list_value_length(column)).as_py() or 0 for column in nested)


def _apart(table: pa.Table) -> pa.Table:
    """Return a copy of a slice, so that what was cut off can be freed."""
    return table.take(pa.array(np.arange(table.num_rows)))
