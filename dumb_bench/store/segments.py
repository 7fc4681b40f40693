"""Segments: many units in a few sorted Parquet files, immutable, each with a name of its own: one that two writers
shared could be deleted by the one while the other writes it.

`segments/<id>/<table>.parquet` first, the sealed `manifest.json` last: a segment exists if and only if its
manifest does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from dumb_bench.errors import DamagedFileError, SchemaError
from dumb_bench.spec import digest
from dumb_bench.store.batch import UNIT, Batch
from dumb_bench.store.limits import TooLargeError
from dumb_bench.store.parquet import Wanted, dumps, loads
from dumb_bench.store.parts import UNIT_TABLES
from dumb_bench.store.place import Place
from dumb_bench.store.result_manifest import is_table_entry
from dumb_bench.store.sealed import seal, unseal

FOLDER = "segments"
_MANIFEST = "manifest.json"


class TableFile(NamedTuple):
    """What the manifest promises of one table's file."""

    rows: int
    bytes: int
    sha256: str


class Manifest(NamedTuple):
    """A segment: its id, the units that it holds, its files by table."""

    id: str
    keys: tuple[str, ...]
    tables: dict[str, TableFile]

    @property
    def size(self) -> int:
        """Bytes of all its tables."""
        return sum(entry.bytes for entry in self.tables.values())

    @property
    def rows(self) -> int:
        """Rows of its longest table."""
        return max((entry.rows for entry in self.tables.values()), default=0)

    @property
    def paths(self) -> list[str]:
        """All its files, the manifest first: in this order it is taken away."""
        return [manifest_path(self.id), *(table_path(self.id, name) for name in self.tables)]


def manifest_path(segment: str) -> str:
    """Return where a segment's manifest lives."""
    return f"{FOLDER}/{segment}/{_MANIFEST}"


def table_path(segment: str, table: str) -> str:
    """Return where a segment's table lives."""
    return f"{FOLDER}/{segment}/{table}.parquet"


def id_of(path: str) -> str | None:
    """Return the segment whose manifest is at `path`; None for any other file."""
    steps = path.split("/")
    return steps[1] if len(steps) == 3 and steps[0] == FOLDER and steps[2] == _MANIFEST else None


def write(place: Place, batch: Batch) -> Manifest:
    """Write a merged batch as a segment: its tables, then the manifest.

    Raises:
        OSError: the place does not take it; what was written before is no segment yet.
    """
    encoded = {name: dumps(table, compact=True) for name, table in batch.tables.items()}
    tables = {
        name: TableFile(batch.tables[name].num_rows, len(data), hashlib.sha256(data).hexdigest())
        for name, data in encoded.items()
    }
    content = {"keys": batch.keys, "tables": {name: entry._asdict() for name, entry in tables.items()}}
    segment = digest({**content, "writer": secrets.token_hex(8)})
    for name, data in encoded.items():
        place.write(table_path(segment, name), data)
    place.write(manifest_path(segment), seal({"segment": segment, **content}))
    return Manifest(segment, batch.keys, tables)


def read_manifest(place: Place, segment: str) -> Manifest:
    """Return a segment's manifest.

    Raises:
        FileNotFoundError: there is none (any more).
        DamagedFileError: it is torn or altered.
    """
    path = manifest_path(segment)
    document = unseal(path, place.read(path))
    try:
        found: dict[str, Any] = document["tables"]
        manifest = Manifest(
            str(document["segment"]),
            tuple(document["keys"]),
            {name: TableFile(entry["rows"], entry["bytes"], entry["sha256"]) for name, entry in found.items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(path, f"not a segment's manifest ({type(error).__name__})") from error
    plain = all(name.isidentifier() and is_table_entry(entry) for name, entry in found.items())
    if not plain or not all(isinstance(key, str) for key in manifest.keys):
        raise DamagedFileError(path, "is sealed, but is not a segment's manifest")
    if manifest.id != segment:
        raise DamagedFileError(path, f"is the manifest of segment {manifest.id}")
    return manifest


def read(place: Place, manifest: Manifest, wanted: Wanted | None = None, *, others: bool = True) -> Batch:
    """Return the segment's tables (or those `wanted` that it has), hashes verified.

    With `others`, the files of tables that are not asked for are verified, too: a unit is whole or it is not done.

    Raises:
        FileNotFoundError: the segment is gone, merged into another meanwhile.
        DamagedFileError: a file is missing, torn or altered.
        SchemaError: intact, but written by a newer version.
    """
    tables: dict[str, pa.Table] = {}
    for name, promised in manifest.tables.items():
        asked = wanted is None or name in wanted
        if not asked and not others:
            continue
        path = table_path(manifest.id, name)
        data = _content(place, manifest, path)
        if len(data) != promised.bytes or hashlib.sha256(data).hexdigest() != promised.sha256:
            raise DamagedFileError(path, "torn or altered: its sha256 differs from the segment's manifest")
        if name not in UNIT_TABLES:
            raise SchemaError(f"{path}: the table {name!r} is of a newer version; upgrade dumb_bench to read it")
        if asked:
            tables[name] = _parsed(path, name, data, promised.rows, wanted[name] if wanted else None)
    return Batch(manifest.keys, tables)


def _content(place: Place, manifest: Manifest, path: str) -> bytes:
    try:
        return place.read(path)
    except FileNotFoundError as error:
        if place.exists(manifest_path(manifest.id)):
            raise DamagedFileError(path, "is missing, but the segment's manifest names it") from error
        raise


def _parsed(path: str, name: str, data: bytes, rows: int, columns: Sequence[str] | None) -> pa.Table:
    try:
        table = loads(name, data, columns, hidden=(UNIT,), promised=rows)
    except TooLargeError as error:
        raise DamagedFileError(path, str(error)) from error
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DamagedFileError(path, f"cannot be parsed ({type(error).__name__})") from error
    return table
