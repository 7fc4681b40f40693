"""Loose parts: one file a finished unit, named by the unit's key. It exists if and only if the unit is done.

A part is a zip (stored, so that any tool can open it) of one Parquet member a table and a sealed `manifest.json` with
the key and the sha256 of every member. The same tables give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping

import pyarrow as pa

from dumb_bench.errors import DamagedFileError, InputError, SchemaError
from dumb_bench.store import schema
from dumb_bench.store.parquet import Wanted, dumps, loads
from dumb_bench.store.rows import conform
from dumb_bench.store.sealed import seal, unseal

FOLDER = "parts"
_MANIFEST = "manifest.json"
_KEY = re.compile(r"[0-9a-f]{8,128}")
_MOST_MEMBERS = 64
_EPOCH = (1980, 1, 1, 0, 0, 0)
UNIT_TABLES = tuple(name for name in schema.STORED if name != "failures")
"""The tables that a finished unit may hold."""


def checked_key(key: str, what: str = "unit key") -> str:
    """Return a key as it is.

    Raises:
        InputError: it is not 8 to 128 lower hexadecimal characters.
    """
    if not _KEY.fullmatch(key):
        raise InputError(f"{key!r} is not a {what}: expected 8 to 128 lower hexadecimal characters.")
    return key


def path_of(key: str) -> str:
    """Return where a unit's part lives."""
    return f"{FOLDER}/{checked_key(key)[:2]}/{key}.part"


def key_of(path: str) -> str | None:
    """Return the key of the part at `path`; None for a file that is no part."""
    key = path.rpartition("/")[2].removesuffix(".part")
    return key if _KEY.fullmatch(key) and path == path_of(key) else None


def encode(key: str, tables: Mapping[str, pa.Table]) -> bytes:
    """Return a unit's tables as the bytes of its part.

    Raises:
        SchemaError: an unknown table, a table that does not conform, or rows whose `unit_key` is not `key`.
    """
    members: dict[str, bytes] = {}
    for name, table in sorted(tables.items()):
        if name not in UNIT_TABLES:
            raise SchemaError(f"a unit cannot hold the table {name!r}; it can hold {', '.join(UNIT_TABLES)}")
        table = conform(name, table)
        if "unit_key" in table.column_names and set(table["unit_key"].unique().to_pylist()) - {key}:
            raise SchemaError(f"{name}: the column unit_key must be {key!r} in every row")
        members[f"{name}.parquet"] = dumps(table.combine_chunks(), compact=False)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    members[_MANIFEST] = seal({"unit_key": checked_key(key), "members": hashes})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            about = zipfile.ZipInfo(name, _EPOCH)
            about.create_system, about.external_attr = 3, 0o644 << 16
            archive.writestr(about, data)
    return stream.getvalue()


def decode(path: str, data: bytes, wanted: Wanted | None = None) -> dict[str, pa.Table]:
    """Return the tables of the part read from `path` (or those `wanted` that it has), everything verified.

    Raises:
        DamagedFileError: torn or altered: a checksum, a hash or the key differs, or a member is missing.
        SchemaError: intact, but written by a newer version.
    """
    try:
        members = _members(path, data)
        manifest = unseal(path, members.pop(_MANIFEST))
        if manifest["unit_key"] != key_of(path):
            raise DamagedFileError(path, f"holds the unit {manifest['unit_key']}")
        if {name: hashlib.sha256(member).hexdigest() for name, member in members.items()} != manifest["members"]:
            raise DamagedFileError(path, "a table's sha256 differs from the manifest")
        found = {name.removesuffix(".parquet"): member for name, member in members.items()}
        unknown = sorted(set(found) - set(UNIT_TABLES))
        if unknown:
            raise SchemaError(f"{path}: the tables {unknown} are of a newer version; upgrade dumb_bench to read them")
        if wanted is None:
            return {name: loads(name, member) for name, member in found.items()}
        return {name: loads(name, found[name], columns) for name, columns in wanted.items() if name in found}
    except (DamagedFileError, SchemaError):
        raise
    except Exception as error:  # zipfile has no closed list of what altered bytes make it raise
        reason = " ".join(str(error).split())[:200]
        raise DamagedFileError(path, f"torn or altered ({type(error).__name__}: {reason})") from error


def _members(path: str, data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_MEMBERS:
            raise DamagedFileError(path, f"holds {len(entries)} members")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise DamagedFileError(path, "a member is compressed")
        members = {entry.filename: archive.read(entry) for entry in entries}  # read() compares the CRC-32
        if len(members) != len(entries):
            raise DamagedFileError(path, "a member occurs twice")
    return members
