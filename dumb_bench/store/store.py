"""The store: finished units, shared by all grids. A unit is done with all its tables, or not at all."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.redaction import without_secrets
from dumb_bench.store import artifacts, compaction, parts
from dumb_bench.store.batch import without_unit
from dumb_bench.store.cache import cache_for
from dumb_bench.store.filesystem import LocalPlace, place_at
from dumb_bench.store.parquet import names_of
from dumb_bench.store.place import Place
from dumb_bench.store.quarantine import Damage
from dumb_bench.store.reader import Reader
from dumb_bench.store.rows import as_table, failure_in
from dumb_bench.store.sealed import seal, unseal
from dumb_bench.store.stream import Piece, pieces

_FAILURES = "failures"
_ABOUT = "store.json"
_LAYOUT = 1


class Store:
    """Finished units, failures and artifacts in one place.

    Any number of processes may put and read at once; `compact` is best called by one. A damaged file is moved to
    `quarantine/`, listed in `damaged`, and its units count as not done. A `Store` can be pickled and sent to a worker.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._reader = Reader(place)
        self._cache = cache_for(place)

    @classmethod
    def open(cls, uri: str | os.PathLike[str], *, create: bool = True) -> Store:
        """Open the store at a folder or URI; without `create` it must be there, and nothing is written.

        Raises:
            InputError: it does not exist, cannot be created or written, or a newer version laid it out.
        """
        place = place_at(uri, create=create)
        try:
            layout = unseal(_ABOUT, place.read(_ABOUT)).get("layout")
        except (FileNotFoundError, DamagedFileError):
            layout = _LAYOUT
            if create:
                place.write(_ABOUT, seal({"layout": _LAYOUT, "what": "a store of dumb_bench"}))
        if layout != _LAYOUT:
            raise InputError(f"{place.name}: laid out by a newer version ({layout}); upgrade dumb_bench to use it.")
        return cls(place)

    @property
    def uri(self) -> str:
        """What `open` takes to open this store elsewhere."""
        return self.place.uri

    @property
    def damaged(self) -> list[Damage]:
        """Every damage that this object has met, oldest first."""
        return self._reader.damaged

    def put(self, key: str, tables: Mapping[str, pa.Table]) -> None:
        """Store a finished unit: from now on it is done. Putting it again is harmless.

        Raises:
            InputError: the key is not lower hexadecimal.
            SchemaError: a table does not conform, or a row's `unit_key` is another.
            OSError: the place does not take the file; the unit is not done.
        """
        self.place.write(parts.path_of(key), parts.encode(key, tables))

    def keys(self) -> frozenset[str]:
        """Return the keys of all done units, from file names and segment manifests alone."""
        layout = self._reader.layout()
        return frozenset(layout.parts).union(*(manifest.keys for manifest in layout.segments.values()))

    def read(
        self, table: str, *, columns: Sequence[str] | None = None, keys: Collection[str] | None = None
    ) -> pa.Table:
        """Return the rows of one table of all done units, or of those in `keys`; the order of rows is not specified.

        Raises:
            InputError: the table or a column is unknown.
            SchemaError: a newer version wrote a file.
        """
        return self.read_many({table: columns}, keys=keys)[table]

    def read_many(
        self, tables: Mapping[str, Sequence[str] | None], *, keys: Collection[str] | None = None
    ) -> dict[str, pa.Table]:
        """Return several tables (name -> columns, or None for all) of exactly the same units.

        Rows are each unit's, once; `images` are distinct rows. Raises as `read`.
        """
        asked = {name: names_of(name, columns) for name, columns in tables.items()}
        wanted = {name: names_of(name, None) if name == "images" else columns for name, columns in asked.items()}
        batches = self._reader.batches(wanted, keys)
        found = {name: without_unit(name, batches, columns) for name, columns in wanted.items()}
        if "images" in found:
            found["images"] = _distinct(found["images"]).select(asked["images"])
        return found

    def pieces(
        self, table: str, columns: Sequence[str] | None = None, *, keys: Collection[str] | None = None
    ) -> Iterator[Piece]:
        """Yield the rows that `read` returns a few thousand at a time, with their units. Raises as `read`, later."""
        return pieces(self._reader, table, columns, keys)

    def verify(self) -> list[Damage]:
        """Read and check every file; what is damaged goes to quarantine, and is returned.

        Raises:
            SchemaError: a newer version wrote a file.
        """
        start = len(self.damaged)
        self._reader.again(self._verify_units)
        self.failures()
        for name in artifacts.every(self.place):
            try:
                artifacts.get(self.place, name)
            except DamagedFileError as error:
                self.damaged.append(Damage(error.path, error.reason))
                artifacts.drop(self.place, name, str(error))
        return self.damaged[start:]

    def _verify_units(self) -> None:
        layout = self._reader.layout()
        for manifest in layout.segments.values():
            self._reader.segment(manifest, fresh=True)
        for _ in self._reader.units(layout.parts.values()):
            pass

    def compact(self, *, minimum: int = 1) -> int:
        """Merge loose parts into a segment (if there are at least `minimum`), and many small segments into one.

        Returns the number of parts merged. Raises SchemaError (a newer version's file), OSError (nothing is lost).
        """
        return compaction.compact(self._reader, minimum)

    def put_failure(self, row: Mapping[str, Any]) -> None:
        """Note that a unit failed (a row of `failures`); the unit is not done. A later failure replaces it.

        Its texts are stored without secrets.

        Raises:
            InputError: `unit_key` is missing or not lower hexadecimal.
            SchemaError: an unknown column.
        """
        key = parts.checked_key(str(row.get("unit_key", "")))
        texts = {name: without_secrets(str(row[name])) for name in ("message", "traceback") if row.get(name)}
        full = as_table("failures", [{**row, **texts}]).to_pylist()[0]
        self.place.write(_failure(key), seal({"failure": full}))

    def failures(self) -> pa.Table:
        """Return the `failures` of units that have not been done since; a damaged file is put in quarantine.

        Raises:
            SchemaError: a newer version wrote one.
        """
        return as_table("failures", self.failure_rows())

    def failure_rows(self) -> list[dict[str, Any]]:
        """Return the rows of `failures` as plain dictionaries. Raises as `failures`."""
        paths = sorted(path for path in self.place.names(_FAILURES) if path.endswith(".json"))
        rows = [row for path in paths if (row := self._failure(path))]
        done = self.keys() if rows else frozenset[str]()
        return [row for row in rows if row["unit_key"] not in done]

    def _failure(self, path: str) -> dict[str, Any] | None:
        try:
            row: dict[str, Any] = failure_in(path, unseal(path, self.place.read(path)))
            if path != _failure(row["unit_key"]):
                raise DamagedFileError(path, f"holds the failure of unit {row['unit_key']}")
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            self._reader.put_aside(error)
            return None
        return row

    def drop_failures(self, keys: Iterable[str]) -> None:
        """Forget the failures of these units, so that they are tried again."""
        for key in keys:
            self.place.delete(_failure(key))

    def put_artifact(self, name: str, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> dict[str, Any]:
        """Store named files with a meta; see `artifacts.put`, which also says what it raises."""
        return artifacts.put(self.place, name, files, meta)

    def get_artifact(self, name: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Return an artifact's files and meta, verified. Raises DamagedFileError (also when there is none).

        What came from a bucket once is kept on this machine, see `cache`.
        """
        return artifacts.get(self.place, name, self._cache)

    def local_artifact(self, name: str) -> tuple[dict[str, Path], dict[str, Any]] | None:
        """Return where an artifact's files lie, verified, and its meta; None where the store is not on this machine.

        Raises DamagedFileError (also when there is none).
        """
        return artifacts.local(self.place, name) if isinstance(self.place, LocalPlace) else None

    def has_artifact(self, name: str) -> bool:
        """Whether the artifact is there (one look-up; its content is verified when it is read)."""
        return artifacts.has(self.place, name)

    def drop_artifact(self, name: str, reason: str = "dropped") -> None:
        """Put an artifact in quarantine."""
        artifacts.drop(self.place, name, reason)


def _failure(key: str) -> str:
    return f"{_FAILURES}/{parts.checked_key(key)}.json"


def _distinct(table: pa.Table) -> pa.Table:
    """Return the distinct rows, in the order of their first appearance."""
    return table.group_by(table.column_names, use_threads=False).aggregate([])
