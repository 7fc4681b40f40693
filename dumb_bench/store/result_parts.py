"""The files of a table of a result folder, and what the manifest says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

TABLES = "tables"


class Part(NamedTuple):
    """A file of a table: its path, and what is promised of it."""

    file: str
    rows: int
    bytes: int
    sha256: str


def final_path(name: str, number: int) -> str:
    """Return where a part of a table lies; names sort as the parts do."""
    return f"{TABLES}/{name}/part-{number:05d}.parquet" if number else f"{TABLES}/{name}/part-0.parquet"


def manifest_entry(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what the manifest says of a table: its first file, the rows of all, and under `more` the other files."""
    first, *more = parts
    entry = {**first._asdict(), "rows": sum(part.rows for part in parts)}
    return {**entry, "more": [part._asdict() for part in more]} if more else entry


def parts_of(entry: Mapping[str, Any]) -> list[Part]:
    """Return the parts that `manifest_entry` described."""
    more = [Part(**part) for part in entry.get("more", ())]
    first = Part(entry["file"], entry["rows"] - sum(part.rows for part in more), entry["bytes"], entry["sha256"])
    return [first, *more]
