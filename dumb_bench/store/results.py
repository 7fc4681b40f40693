"""A result folder: one grid's tables, self-contained, plain Parquet, sorted, a manifest vouches for each file.

New tables are first written beside (`staging/`), then the manifest is switched (from here on the new ones count), then
each file replaces the old one in a single rename. So a verified reader sees the old tables or the new ones, and
`pd.read_parquet(folder / "tables" / "tests")` always finds the table: one file, or several where it is large
(`part-0.parquet`, then `part-00001.parquet` and so on, in the order of the rows).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dumb_bench.errors import DamagedFileError, InputError, SchemaError, unknown
from dumb_bench.store import schema
from dumb_bench.store.filesystem import place_at
from dumb_bench.store.ids import Bytes
from dumb_bench.store.parquet import dumps, groups, loads, loads_encoded, names_of
from dumb_bench.store.place import Place
from dumb_bench.store.quarantine import Damage
from dumb_bench.store.result_manifest import checked_manifest
from dumb_bench.store.result_parts import TABLES, Part, final_path, manifest_entry, parts_of
from dumb_bench.store.sealed import seal, unseal
from dumb_bench.store.sorting import SortedParts

_MANIFEST = "manifest.json"
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

    def write_tables(
        self,
        tables: Mapping[str, pa.Table | Iterable[pa.Table]],
        *,
        plan_digest: str,
        bounds: Mapping[str, Bytes] | None = None,
    ) -> None:
        """Replace all tables, sorted; those not given become empty. The same rows give the same bytes.

        A table may be given in pieces, which are read once and need not fit in memory together. bounds: of tables whose
        pieces come sorted, as `SortedParts` takes them.

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
            given = tables.get(name, empty.empty_table())
            with SortedParts(name, bounds=(bounds or {}).get(name)) as rows:
                for piece in (given,) if isinstance(given, pa.Table) else given:
                    rows.add(piece)
                entries[name] = manifest_entry([self._stage(name, *numbered) for numbered in enumerate(rows.parts())])
        content = {"plan_digest": plan_digest, "schema_version": schema.SCHEMA_VERSION, "tables": entries}
        self.place.write(_MANIFEST, seal(content))
        self._settle()

    def _stage(self, name: str, number: int, table: pa.Table) -> Part:
        data = dumps(table, compact=True)
        sha256 = hashlib.sha256(data).hexdigest()
        part = Part(final_path(name, number), table.num_rows, len(data), sha256)
        self.place.write(_staged(part), data)
        return part

    def _settle(self) -> None:
        """Finish a switch that a crash interrupted, and remove what no manifest names."""
        try:
            manifest = self._manifest()
        except DamagedFileError:
            manifest = None
        entries = manifest["tables"] if manifest else {}
        staged = set(self.place.names(_STAGING))
        for entry in entries.values():
            for part in parts_of(entry):
                if (path := _staged(part)) in staged:
                    self.place.move(path, part.file)
                    staged.remove(path)
        for path in staged:
            self.place.delete(path)
        self.place.prune(_STAGING)
        for path in self._strangers(entries):
            self.place.delete(path)

    def _strangers(self, entries: Mapping[str, Any]) -> list[str]:
        """Return the Parquet files that a plain reader would take for rows, and that are none of this folder's."""
        ours = {final_path(name, 0) for name in schema.TABLES}
        ours |= {part.file for entry in entries.values() for part in parts_of(entry)}
        return sorted(path for path in self.place.names(TABLES) if path.endswith(".parquet") and path not in ours)

    def read_table(self, name: str, columns: Sequence[str] | None = None, *, encoded: bool = False) -> pa.Table:
        """Return a table (or some columns), verified against the manifest; `encoded`: text as Arrow dictionaries.

        Raises:
            InputError: the table or a column is unknown, or no tables have been written yet.
            DamagedFileError: the manifest or the file is missing, torn or altered.
            SchemaError: a newer version wrote it.
        """
        previous: dict[str, Any] | None = None
        for _ in range(_ATTEMPTS):
            manifest = self._required()
            try:
                return pa.concat_tables(self._pieces(manifest, name, columns, encoded))
            except DamagedFileError:
                if manifest == previous:
                    raise  # nobody is writing: it is damage
                previous = manifest
        raise OSError(f"{self.place.name}: its tables are replaced all the time")

    def pieces(self, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield a table part by part, each verified before it is handed out; a table that is replaced meanwhile is
        taken for damage. Raises as `read_table`, later.
        """
        yield from self._pieces(self._required(), name, columns)

    def groups(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of a table, at most 4,096 rows at a time. Raises as `pieces`."""
        entry = self._required()["tables"].get(name)
        for part in parts_of(entry) if entry else ():
            path, data = self._verified(part)
            try:
                yield from groups(name, data, names_of(name, columns))
            except (pa.ArrowException, OSError, KeyError) as error:
                raise DamagedFileError(path, f"cannot be parsed ({type(error).__name__})") from error

    def _pieces(
        self, manifest: dict[str, Any], name: str, columns: Sequence[str] | None, encoded: bool = False
    ) -> Iterator[pa.Table]:
        asked = names_of(name, columns)
        if name not in schema.TABLES:
            raise InputError(unknown("table", name, schema.TABLES))
        entry = manifest["tables"].get(name)
        if entry is None:
            yield schema.TABLES[name].empty_table().select(asked)
            return
        for part in parts_of(entry):
            path, data = self._verified(part)
            try:
                table = (loads_encoded if encoded else loads)(name, data, asked)
            except (pa.ArrowException, OSError, KeyError) as error:
                raise DamagedFileError(path, f"cannot be parsed ({type(error).__name__})") from error
            if table.num_rows != part.rows:
                raise DamagedFileError(path, f"has {table.num_rows} rows, expected {part.rows}")
            yield table

    def _required(self) -> dict[str, Any]:
        manifest = self._manifest()
        if manifest is None:
            raise InputError(f"{self.place.name}: no tables here yet ({_MANIFEST} is missing).")
        return manifest

    def _verified(self, part: Part) -> tuple[str, bytes]:
        """Return the path and the bytes of a part that the manifest promises."""
        # The new file lies in staging for a moment, then in its place: look at the end of the journey last.
        for path in (part.file, _staged(part), part.file):
            data = self._content(path)
            if data is not None and hashlib.sha256(data).hexdigest() == part.sha256:
                return path, data
        reason = "torn or altered: its sha256 differs from manifest.json"
        raise DamagedFileError(part.file, reason if self.place.exists(part.file) else "is missing")

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
                for _ in self.pieces(name):
                    pass
            except DamagedFileError as error:
                found.append(Damage(error.path, error.reason))
        foreign = "no file of this folder, but a plain Parquet reader would count its rows"
        found.extend(Damage(path, foreign) for path in self._strangers(manifest["tables"] if manifest else {}))
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


def _staged(part: Part) -> str:
    return f"{_STAGING}/{part.file.replace('/', '-').removesuffix('.parquet')}-{part.sha256}.parquet"
