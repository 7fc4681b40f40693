"""Two sorted streams of one table side by side: which rows both have, and where those differ.

A result folder keeps its tables sorted by their ids, so two of them are walked together with a few thousand rows of
each in memory. Tables with keys of several columns are small and are sorted here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dumb_bench.errors import DamagedFileError
from dumb_bench.store.ids import Bytes, as_bytes
from dumb_bench.store.schema import TABLES

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

KEYS: dict[str, tuple[str, ...]] = {
    "images": ("task", "image_source", "split", "unit_key", "index"),
    "models": ("model_id",),
    "attacks": ("attack_id",),
    "tunings": ("tuning_id",),
    "tests": ("test_id",),
    "predictions": ("test_id",),
    "failures": ("unit_key", "kind", "subject", "unit"),
}
"""What makes two rows of a table the same one."""


class Side(NamedTuple):
    """Some rows with their keys, sorted: (R,)."""

    keys: Bytes
    rows: pa.Table


class Pair(NamedTuple):
    """Rows of one range of keys on both sides. left_places, right_places: where the rows in common are, (C,) each."""

    left: Side
    right: Side
    left_places: Places
    right_places: Places

    @property
    def right_only(self) -> Flags:
        """The rows of the right side that the left one lacks, (R,)."""
        flags = np.ones(len(self.right.keys), np.bool_)
        flags[self.right_places] = False
        return flags


def keyed(name: str, pieces: Iterator[pa.Table], where: str, *, ordered: bool = True) -> Iterator[Side]:
    """Yield the rows of a table with their keys, sorted.

    ordered: the pieces come sorted by their key. where: the folder, for messages.

    Raises:
        DamagedFileError: they do not.
    """
    if len(KEYS[name]) > 1 or not ordered:
        table = pa.concat_tables([TABLES[name].empty_table(), *pieces])
        keys = _keys(table, KEYS[name])
        order = np.argsort(keys, kind="stable")
        yield Side(keys[order], table.take(pa.array(order)))
        return
    last = b""
    for piece in pieces:
        keys = _keys(piece, KEYS[name])
        if not len(keys):
            continue
        if keys[0] < last or (keys[1:] < keys[:-1]).any():
            raise DamagedFileError(f"{where}: tables/{name}", f"is not sorted by {KEYS[name][0]}")
        last = keys[-1]
        yield Side(keys, piece)


def _keys(table: pa.Table, names: Sequence[str]) -> Bytes:
    if len(names) == 1:
        return as_bytes(table.column(names[0]))
    columns = [pc.fill_null(pc.cast(table.column(name), pa.string()), "") for name in names]
    return as_bytes(pc.binary_join_element_wise(*columns, "\x1f").to_pylist())


def side_by_side(name: str, left: Iterator[Side], right: Iterator[Side]) -> Iterator[Pair]:
    """Yield both streams range by range of keys, every row once."""
    sides = [_Stream(name, left), _Stream(name, right)]
    while sum(stream.more() for stream in sides):  # not any(): both must be asked to hold rows
        bounds = [stream.last for stream in sides if stream.last is not None]
        taken = [stream.up_to(min(bounds)) if bounds else stream.rest() for stream in sides]
        one, other = taken
        _, first, second = np.intersect1d(one.keys, other.keys, return_indices=True)
        yield Pair(one, other, first.astype(np.int64), second.astype(np.int64))


class _Stream:
    """A stream of which the first rows are held."""

    def __init__(self, name: str, source: Iterator[Side]) -> None:
        self._source = source
        self._empty = Side(np.empty(0, "S1"), TABLES[name].empty_table())
        self._held = self._empty
        self._ended = False

    def more(self) -> bool:
        """Hold rows, if there are any left; return whether there are."""
        while not self._ended and not len(self._held.keys):
            found = next(self._source, None)
            self._ended = found is None
            self._held = found or self._empty
        return bool(len(self._held.keys))

    @property
    def last(self) -> bytes | None:
        """The largest key held; None without rows."""
        return bytes(self._held.keys[-1]) if len(self._held.keys) else None

    def up_to(self, bound: bytes) -> Side:
        """Hand out the rows held up to a key, that key included."""
        cut = int(np.searchsorted(self._held.keys, bound, side="right"))
        found = Side(self._held.keys[:cut], self._held.rows.slice(0, cut))
        self._held = Side(self._held.keys[cut:], self._held.rows.slice(cut))
        return found

    def rest(self) -> Side:
        """Hand out all rows held."""
        found, self._held = self._held, self._empty
        return found


def differing(left: pa.ChunkedArray | pa.Array, right: pa.ChunkedArray | pa.Array) -> Flags:
    """Return for each row of two columns of one type whether they differ, (R,). Null equals null, NaN equals NaN."""
    one, other = (_whole(column) for column in (left, right))
    if one.equals(other):
        return np.zeros(len(one), np.bool_)
    missing, absent = (np.asarray(column.is_null(), np.bool_) for column in (one, other))
    differs: Flags = missing != absent
    both = np.flatnonzero(~missing & ~absent)
    one, other = one.take(pa.array(both)), other.take(pa.array(both))
    if pa.types.is_list(one.type):
        differs[both] |= _lists_differ(one, other)
    elif pa.types.is_floating(one.type):
        a, b = one.to_numpy(zero_copy_only=False), other.to_numpy(zero_copy_only=False)
        differs[both] |= (a != b) & ~(np.isnan(a) & np.isnan(b))
    else:
        differs[both] |= np.asarray(pc.not_equal(one, other), np.bool_)
    return differs


def parameters_differ(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Flags:
    """Return for each row of two columns of JSON objects whether a key that both have differs, (R,).

    A key that one side lacks is a parameter that another version added: with equal ids it has the default that the
    older version worked with.
    """
    differs = differing(left, right)
    known: dict[tuple[str | None, str | None], bool] = {}
    for row in np.flatnonzero(differs).tolist():
        pair = (left[row].as_py(), right[row].as_py())
        if pair not in known:
            known[pair] = _objects_differ(*pair)
        differs[row] = known[pair]
    return differs


def _objects_differ(one: str | None, other: str | None) -> bool:
    try:
        found = [json.loads(text or "null") for text in (one, other)]
    except ValueError:
        return True
    if not all(isinstance(entry, dict) for entry in found):
        return True
    return any(found[0][key] != found[1][key] for key in found[0].keys() & found[1].keys())


def _lists_differ(one: pa.Array, other: pa.Array) -> Flags:
    lengths = np.asarray(one.value_lengths())
    differs: Flags = lengths != np.asarray(other.value_lengths())
    same = np.flatnonzero(~differs)
    one, other = one.take(pa.array(same)), other.take(pa.array(same))
    entries = differing(one.flatten(), other.flatten())
    row = np.repeat(same, lengths[same])
    differs[row[entries]] = True
    return differs


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
