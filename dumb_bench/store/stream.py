"""One table of the store, a few thousand rows at a time: what is too large for memory is read in pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Generator, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from dumb_bench.errors import DamagedFileError
from dumb_bench.store.batch import UNIT, Batch, merge
from dumb_bench.store.parquet import ROW_GROUP, Wanted, groups, names_of
from dumb_bench.store.reader import Reader, StoreChangedError
from dumb_bench.store.segments import Manifest, manifest_path, table_path

_ATTEMPTS = 50


class Piece(NamedTuple):
    """Rows of one table. units: the number of each row's unit in `keys`."""

    keys: tuple[str, ...]
    units: pa.ChunkedArray
    rows: pa.Table


def pieces(
    reader: Reader, name: str, columns: Sequence[str] | None = None, keys: Collection[str] | None = None
) -> Iterator[Piece]:
    """Yield the rows of a table of all done units (or of those in `keys`), each unit once, piece by piece.

    Damage met on the way is put in quarantine, as by `Reader.batches`; the rows of its units are missing then.

    Raises:
        InputError: the table or a column is unknown.
        SchemaError: a newer version wrote a file.
        OSError: the store never comes to rest.
    """
    wanted = {name: names_of(name, columns)}
    asked = None if keys is None else set(keys)
    taken: set[str] = set()
    for _ in range(_ATTEMPTS):
        try:
            yield from _pieces(reader, name, wanted, asked, taken)
        except StoreChangedError:
            continue
        return
    raise OSError(f"{reader.place.name}: its files keep moving; is the folder being copied or cleaned?")


def _pieces(reader: Reader, name: str, wanted: Wanted, asked: set[str] | None, taken: set[str]) -> Iterator[Piece]:
    layout = reader.layout()
    for manifest in layout.segments.values():
        fresh = set(manifest.keys) - taken
        if asked is not None:
            fresh &= asked
        if fresh:
            intact = yield from _of_segment(reader, manifest, name, wanted, fresh)
            taken |= fresh if intact else set()
    rest = layout.parts.keys() - taken if asked is None else asked.intersection(layout.parts) - taken
    gathered: list[Batch] = []
    count = 0
    for unit in reader.units((layout.parts[key] for key in sorted(rest)), wanted):
        gathered.append(unit)
        count += sum(table.num_rows for table in unit.tables.values())
        if count >= ROW_GROUP:
            yield from _of_units(gathered, name, taken)
            gathered, count = [], 0
    yield from _of_units(gathered, name, taken)


def _of_units(units: list[Batch], name: str, taken: set[str]) -> Iterator[Piece]:
    if not units:
        return
    batch = merge(units)
    taken.update(batch.keys)
    if name in batch.tables:
        yield _piece(batch.keys, batch.tables[name])


def _of_segment(
    reader: Reader, manifest: Manifest, name: str, wanted: Wanted, fresh: set[str]
) -> Generator[Piece, None, bool]:
    """Yield a segment's rows; return whether it is intact. All its files are verified the first time."""
    if reader.segment(manifest, {}) is None:
        return False
    if name not in manifest.tables:
        return True
    path = table_path(manifest.id, name)
    try:
        data = _verified(reader, manifest, name)
    except DamagedFileError as error:
        reader.put_aside(error, manifest.keys, manifest.paths)
        return False
    whole = len(fresh) == len(manifest.keys)
    keys = manifest.keys if whole else tuple(key for key in manifest.keys if key in fresh)
    try:
        for table in groups(name, data, wanted[name], hidden=(UNIT,)):
            yield _piece(keys, table if whole else Batch(manifest.keys, {name: table}).only(fresh).tables[name])
    except (pa.ArrowException, OSError, KeyError) as error:
        damage = DamagedFileError(path, f"cannot be parsed ({type(error).__name__})")
        reader.put_aside(damage, manifest.keys, manifest.paths)
    return True


def _verified(reader: Reader, manifest: Manifest, name: str) -> bytes:
    path, promised = table_path(manifest.id, name), manifest.tables[name]
    try:
        data = reader.place.read(path)
    except FileNotFoundError as error:
        if reader.place.exists(manifest_path(manifest.id)):
            raise DamagedFileError(path, "is missing, but the segment's manifest names it") from error
        raise StoreChangedError from error
    if len(data) != promised.bytes or hashlib.sha256(data).hexdigest() != promised.sha256:
        raise DamagedFileError(path, "torn or altered: its sha256 differs from the segment's manifest")
    return data


def _piece(keys: tuple[str, ...], table: pa.Table) -> Piece:
    return Piece(keys, table.column(UNIT), table.drop_columns([UNIT]))
