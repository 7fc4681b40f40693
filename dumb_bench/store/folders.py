"""Result folders that are laid side by side: their tables in pieces, and what is counted while they pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.store.current import CurrentTables
from dumb_bench.store.joined import KEYS, Side, keyed
from dumb_bench.store.parquet import names_of

COUNTED = ("models", "adversarial_sets", "tests", "step_tests", "control_tests")
"""Keys of a plan's counts that can be counted in the tables."""

_PROTOCOL = {"models": {"recipe": "recipe"}, "tests": {"numerics": "numerics", "delivery": "delivery"}}
"""Columns of tables that belong to the protocol, and what they are called."""


class Counts:
    """The numbers of rows by kind, in the words of a plan's counts, added up piece by piece."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()

    def add(self, name: str, rows: pa.Table) -> None:
        """Count some rows of a table."""
        if name == "models":
            self.rows["models"] += rows.num_rows
        elif name == "attacks":
            final = rows.filter(pc.is_null(rows.column("step")))
            self.rows["adversarial_sets"] += final.num_rows
        elif name == "tests":
            steps = pc.is_valid(rows.column("step"))
            control = pc.and_(pc.fill_null(rows.column("control"), False), pc.invert(steps))
            self.rows["step_tests"] += pc.sum(steps).as_py() or 0
            self.rows["control_tests"] += pc.sum(control).as_py() or 0
            self.rows["tests"] += rows.num_rows - (pc.sum(pc.or_(steps, control)).as_py() or 0)


class Folder:
    """A result folder to be read beside others; `name` is for messages.

    Raises:
        InputError: it is no result folder.
    """

    def __init__(self, uri: str) -> None:
        self.tables = CurrentTables(uri)
        self.name = self.tables.folder.place.name
        self.plan: dict[str, Any] = self.tables.plan or {}
        self.present = Counts()
        self._noted_values: dict[str, set[str]] = {}
        self._images: Counter[tuple[str, str]] = Counter()

    def sides(self, name: str, *, count: bool = False) -> Iterator[Side]:
        """Yield a table sorted by its key. count: note counts and protocol on the way (once a folder)."""
        pieces = self.tables.pieces(name, names_of(name, None))
        return keyed(name, self._noted(name, pieces) if count else pieces, self.name, ordered=self.tables.complete)

    def _noted(self, name: str, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for rows in pieces:
            self.present.add(name, rows)
            for column, what in _PROTOCOL.get(name, {}).items():
                found = pc.unique(rows.column(column)).to_pylist()
                self._noted_values.setdefault(what, set()).update(value for value in found if value is not None)
            if name == "images":
                columns = (rows.column(key).to_pylist() for key in ("image_source", "unit_key"))
                self._images.update(zip(*columns, strict=True))
            yield rows

    def lacking(self, name: str) -> set[str]:
        """Return the columns that its files of a table lack: an older version wrote them."""
        if not self.tables.complete:
            return set()
        import pyarrow.parquet as pq

        place = self.tables.folder.place
        files = sorted(path for path in place.names(f"tables/{name}") if path.endswith(".parquet"))
        known = set(names_of(name, None))
        stored = [set(pq.read_schema(pa.BufferReader(place.read(path))).names) for path in files[:1]]
        return known - stored[0] - set(KEYS[name]) if stored else set()

    def protocol(self, what: str) -> str:
        """Return what was noted of a part of the protocol: recipe, numerics, images or delivery."""
        sizes = {f"{size} of {source}" for (source, _), size in self._images.items()}
        return ", ".join(sorted(sizes if what == "images" else self._noted_values.get(what, ()))) or "none"

    @property
    def missing(self) -> dict[str, int]:
        """The rows that its plan counts and its tables lack, by kind."""
        planned = self.plan.get("counts") or {}
        return {key: max(0, int(planned.get(key, 0)) - self.present.rows[key]) for key in COUNTED}


def mixed_protocol(folders: list[Folder]) -> list[str]:
    """Return a line for each part of the protocol in which folders differ."""
    lines = []
    for what in ("recipe", "numerics", "images", "delivery"):
        found = {folder.name: folder.protocol(what) for folder in folders}
        if len(set(found.values())) > 1:
            lines.append(f"{what}: " + "; ".join(f"{values} in {name}" for name, values in found.items()))
    return lines
