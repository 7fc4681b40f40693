"""A result folder: one grid's tables, self-contained, plain Parquet, sorted, a manifest vouches for each file.

New tables are first written beside (`staging/`), then the manifest is switched (from here on the new ones count), then
each file replaces the old one in a single rename. So a verified reader sees the old tables or the new ones, and
`pd.read_parquet(folder / "tables" / "tests")` always finds exactly one file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dumb_bench.errors import DamagedFileError, InputError, SchemaError, unknown
from dumb_bench.store import schema
from dumb_bench.store.filesystem import place_at
from dumb_bench.store.ordering import SORT_KEYS
from dumb_bench.store.parquet import dumps, loads, names_of
from dumb_bench.store.place import Place
from dumb_bench.store.quarantine import Damage
from dumb_bench.store.result_manifest import checked_manifest
from dumb_bench.store.rows import conform
from dumb_bench.store.sealed import seal, unseal

_MANIFEST = "manifest.json"
_TABLES = "tables"
_STAGING = "staging"
_ATTEMPTS = 20


class ResultFolder:
    """One grid's results at a folder or URI."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @classmethod
    def open(cls, uri: str | os.PathLike[str], *, create: bool = True) -> ResultFolder:
        """Open a result folder; without `create` it must be there, and nothing is written.

        Raises:
            InputError: it does not exist, or cannot be created or written.
        """
        return cls(place_at(uri, create=create))

    def write_tables(self, tables: Mapping[str, pa.Table], *, plan_digest: str) -> None:
        """Replace all tables, sorted; those not given become empty. The same rows give the same bytes.

        Raises:
            InputError: a table is unknown.
            SchemaError: a table does not conform.
            OSError: the place does not take a file; readers still have the old tables, or already the new ones.
        """
        for name in tables:
            if name not in schema.TABLES:
                raise InputError(unknown("table", name, schema.TABLES))
        self._settle()
        entries: dict[str, dict[str, Any]] = {}
        for name, empty in schema.TABLES.items():
            table = _sorted(name, conform(name, tables.get(name, empty.empty_table())))
            data = dumps(table, compact=True)
            sha256 = hashlib.sha256(data).hexdigest()
            self.place.write(_staged(name, sha256), data)
            entries[name] = {"file": _final(name), "rows": table.num_rows, "bytes": len(data), "sha256": sha256}
        content = {"plan_digest": plan_digest, "schema_version": schema.SCHEMA_VERSION, "tables": entries}
        self.place.write(_MANIFEST, seal(content))
        self._settle()

    def _settle(self) -> None:
        """Finish a switch that a crash interrupted, and remove what no manifest names."""
        try:
            manifest = self._manifest()
        except DamagedFileError:
            manifest = None
        entries = manifest["tables"] if manifest else {}
        staged = set(self.place.names(_STAGING))
        for name, entry in entries.items():
            if (path := _staged(name, entry["sha256"])) in staged:
                self.place.move(path, _final(name))
                staged.remove(path)
        for path in staged:
            self.place.delete(path)
        self.place.prune(_STAGING)
        for path in self._strangers():
            self.place.delete(path)

    def _strangers(self) -> list[str]:
        """Return the Parquet files that a plain reader would take for rows, and that are none of this folder's."""
        ours = {_final(name) for name in schema.TABLES}
        return sorted(path for path in self.place.names(_TABLES) if path.endswith(".parquet") and path not in ours)

    def read_table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table (or some columns), verified against the manifest.

        Raises:
            InputError: the table or a column is unknown, or no tables have been written yet.
            DamagedFileError: the manifest or the file is missing, torn or altered.
            SchemaError: a newer version wrote it.
        """
        asked = names_of(name, columns)
        if name not in schema.TABLES:
            raise InputError(unknown("table", name, schema.TABLES))
        path, data, rows = self._verified(name)
        try:
            table = loads(name, data, asked)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DamagedFileError(path, f"cannot be parsed ({type(error).__name__})") from error
        if table.num_rows != rows:
            raise DamagedFileError(path, f"has {table.num_rows} rows, expected {rows}")
        return table

    def _verified(self, name: str) -> tuple[str, bytes, int]:
        """Return the path, bytes and row count of the table that the manifest promises."""
        previous: dict[str, Any] | None = None
        for _ in range(_ATTEMPTS):
            manifest = self._manifest()
            if manifest is None:
                raise InputError(f"{self.place.name}: no tables here yet ({_MANIFEST} is missing).")
            entry = manifest["tables"].get(name)
            if entry is None:
                return _final(name), dumps(schema.TABLES[name].empty_table(), compact=True), 0
            # The new file lies in staging for a moment, then in its place: look at the end of the journey last.
            for path in (_final(name), _staged(name, entry["sha256"]), _final(name)):
                data = self._content(path)
                if data is not None and hashlib.sha256(data).hexdigest() == entry["sha256"]:
                    return path, data, entry["rows"]
            if manifest == previous:
                break  # nobody is writing: it is damage
            previous = manifest
        reason = "torn or altered: its sha256 differs from manifest.json"
        raise DamagedFileError(_final(name), reason if self.place.exists(_final(name)) else "is missing")

    def _content(self, path: str) -> bytes | None:
        try:
            return self.place.read(path)
        except FileNotFoundError:
            return None

    def _manifest(self) -> dict[str, Any] | None:
        try:
            document = unseal(_MANIFEST, self.place.read(_MANIFEST))
        except FileNotFoundError:
            return None
        version = document.get("schema_version")
        if isinstance(version, int) and version > schema.SCHEMA_VERSION:
            raise SchemaError(f"{self.place.name}: schema version {version} is newer; upgrade dumb_bench to read it")
        return checked_manifest(_MANIFEST, document)

    def check(self) -> list[Damage]:
        """Return what is damaged, missing or foreign; nothing is moved: tables can be written again from the store.

        Raises:
            SchemaError: a newer version wrote the folder.
        """
        try:
            manifest = self._manifest()
        except DamagedFileError as error:
            return [Damage(error.path, error.reason)]
        found = []
        for name in manifest["tables"] if manifest else ():
            try:
                self.read_table(name)
            except DamagedFileError as error:
                found.append(Damage(error.path, error.reason))
        foreign = "no file of this folder, but a plain Parquet reader would count its rows"
        found.extend(Damage(path, foreign) for path in self._strangers())
        return found

    def plan_digest(self) -> str | None:
        """Return the digest of the plan whose tables these are; None where there are none yet.

        Raises:
            DamagedFileError: the manifest is torn or altered.
        """
        manifest = self._manifest()
        return None if manifest is None else str(manifest["plan_digest"])

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each table, from the manifest alone. Raises as `plan_digest`."""
        manifest = self._manifest()
        return {} if manifest is None else {name: int(entry["rows"]) for name, entry in manifest["tables"].items()}

    def write_text(self, name: str, text: str) -> None:
        """Write a text file (`grid.toml`, `plan.json`) durably. Raises InputError (a bad name), OSError."""
        self.place.write(name, text.encode())

    def read_text(self, name: str) -> str:
        """Return a text file.

        Raises:
            FileNotFoundError: there is none.
            DamagedFileError: it is not UTF-8.
        """
        try:
            return self.place.read(name).decode()
        except UnicodeDecodeError as error:
            raise DamagedFileError(name, "is not UTF-8 text") from error


def _final(name: str) -> str:
    return f"{_TABLES}/{name}/part-0.parquet"


def _staged(name: str, sha256: str) -> str:
    return f"{_STAGING}/{name}-{sha256}.parquet"


def _sorted(name: str, table: pa.Table) -> pa.Table:
    """Return the rows in one order, whatever order they came in."""
    table = table.combine_chunks()
    keys = list(SORT_KEYS[name])
    if table.num_rows and table.group_by(keys).aggregate([]).num_rows < table.num_rows:
        scalars = [entry.name for entry in table.schema if not pa.types.is_nested(entry.type)]
        keys += [column for column in scalars if column not in keys]  # ties: by everything that can be compared
    return table.sort_by([(key, "ascending") for key in keys])
