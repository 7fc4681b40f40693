"""Many ids in little memory: a sorted array of bytes instead of a set of Python strings (20 bytes an id, not 150)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.bytes_]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def as_bytes(values: Iterable[str] | pa.ChunkedArray) -> Bytes:
    """Return text as a NumPy array of bytes of one width, (N,): plain strings, or a column without nulls."""
    if isinstance(values, pa.ChunkedArray):
        chunks = [_chunk(chunk) for chunk in values.chunks if len(chunk)]
        return np.concatenate(chunks) if chunks else np.empty(0, "S1")
    found = [value.encode() for value in values]
    return np.array(found, dtype=np.bytes_) if found else np.empty(0, "S1")


def _chunk(chunk: Any) -> Bytes:
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    width = int(offsets[1] - offsets[0])
    if width == 0 or chunk.null_count or (np.diff(offsets) != width).any():
        return as_bytes(str(value) for value in chunk.to_pylist())
    return np.frombuffer(chunk.buffers()[2], f"S{width}", count=len(chunk), offset=int(offsets[0]))


class Ids:
    """A set of ids that never changes."""

    def __init__(self, values: Iterable[str] | pa.ChunkedArray = ()) -> None:
        self._sorted = np.unique(as_bytes(values))

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, value: str) -> bool:
        return bool(self.holds([value])[0])

    @classmethod
    def joined(cls, values: Iterable[Bytes]) -> Ids:
        """Return what `as_bytes` made, several times, as one set."""
        made = cls()
        made._sorted = np.unique(np.concatenate([made._sorted, *values]))
        return made

    def holds(self, values: Iterable[str] | pa.ChunkedArray) -> Flags:
        """Return for each value whether it is one of the ids, (N,)."""
        return self.holds_bytes(as_bytes(values))

    def holds_bytes(self, asked: Bytes) -> Flags:
        """Return for each value that `as_bytes` made whether it is one of the ids, (N,)."""
        if not len(self._sorted) or not len(asked):
            return np.zeros(len(asked), np.bool_)
        places = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        return np.asarray(self._sorted[places] == asked, np.bool_)


def ranges(starts: Places, counts: Places) -> Places:
    """Return the numbers of several ranges one after the other: starts (2, 7), counts (2, 1) give 2, 3, 7."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(before - starts, counts)
