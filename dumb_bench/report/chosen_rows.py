"""Some rows of a large table, found by their ids, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dumb_bench.errors import DamagedFileError
from dumb_bench.store.current import CurrentTables
from dumb_bench.store.ids import as_bytes

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

Rows = NDArray[np.int64]


class Found(NamedTuple):
    """Rows of a table and which of the ids they are: `places` (R,) in `Chosen.ids`."""

    places: Rows
    table: pa.Table


class Chosen:
    """Ids that are looked for, each perhaps several times.

    ids: sorted, each once, (M,). place: of every asked id its place in `ids`, (T,). order, starts: the asked rows of id
    m are order[starts[m]:starts[m + 1]].
    """

    def __init__(self, asked: NDArray[np.object_]) -> None:
        names = as_bytes(str(value) for value in asked)
        self.ids, places = np.unique(names, return_inverse=True)
        self.place: Rows = places.reshape(-1).astype(np.int64)
        self.order: Rows = np.argsort(self.place, kind="stable").astype(np.int64)
        counts = np.bincount(self.place, minlength=len(self.ids))
        self.starts: Rows = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def rows(self, tables: CurrentTables, name: str, key: str, columns: Sequence[str]) -> Iterator[Found]:
        """Yield the rows of a table whose `key` is among the ids, each id once; nothing where the table was left out.

        Raises:
            DamagedFileError: a file of it is torn or altered, or some of its files are missing.
        """
        if not len(self.ids):
            return
        for piece in _stored(tables, name, list(dict.fromkeys([key, *columns]))):
            ids = as_bytes(piece.column(key))
            places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
            here = np.flatnonzero(self.ids[places] == ids)
            if len(here):
                yield Found(places[here].astype(np.int64), piece.select(list(columns)).take(pa.array(here)))


def _stored(tables: CurrentTables, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a table's rows; none where the whole table was taken out of the folder."""
    try:
        yield from tables.pieces(name, columns)
    except DamagedFileError:
        if not tables.complete or tables.folder.place.names(f"tables/{name}"):
            raise


def label_lists(column: pa.ChunkedArray, into: NDArray[Any], rows: Rows) -> None:
    """Write the lists of a column (R entries) into rows of an array (M, N); a null list leaves its row as it is.

    A list longer than N is cut (clean labels hold the whole test split, of which the first N are attacked).
    """
    start = 0
    for chunk in column.chunks:
        lengths = chunk.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        values = chunk.flatten().to_numpy(zero_copy_only=False)
        where = rows[start : start + len(chunk)]
        start += len(chunk)
        width = into.shape[1]
        if len(lengths) and (lengths == lengths[0]).all():
            block = values.reshape(len(lengths), lengths[0])[:, :width]
            into[where, : block.shape[1]] = block
            continue
        row = np.repeat(np.arange(len(lengths)), lengths)
        at = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        kept = at < width
        into[where[row[kept]], at[kept]] = values[kept]


def count_lists(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Return the lists of a column (R entries) as an array (R, K), K the longest; 0 where a list is shorter or null."""
    lengths = [chunk.value_lengths().fill_null(0).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    width = max((int(found.max(initial=0)) for found in lengths), default=0)
    counts = np.zeros((len(column), width), dtype=np.int32)
    label_lists(column, counts, np.arange(len(column)))
    return counts


def scored_as(results: Results, tests: pd.DataFrame) -> NDArray[np.object_]:
    """Return the ids (T,) under which `predictions` holds the labels of tests: their own, but for copied rows."""
    own = tests["test_id"].to_numpy(dtype=object)
    if "scored_as" in tests:
        return np.where(tests["scored_as"].isna(), own, tests["scored_as"].to_numpy(dtype=object))
    copies = tests["copied"].fillna(False).to_numpy(dtype=bool) | (tests["strength_rule"] == "tuned").to_numpy()
    if not copies.any():
        return own
    found = own.copy()
    asked = Chosen(own[copies])
    held: dict[int, Any] = {}
    for rows in asked.rows(results.tables, "tests", "test_id", ["scored_as"]):
        held.update(zip(rows.places.tolist(), rows.table.column("scored_as").to_pylist(), strict=True))
    own_ids = own[copies]
    found[copies] = [held.get(place) or name for place, name in zip(asked.place.tolist(), own_ids, strict=True)]
    return found
