"""The manifest of a result folder, which vouches for its tables: what must hold before it is believed."""

from __future__ import annotations

import re
from typing import Any

from dumb_bench.errors import DamagedFileError

_HASH = re.compile(r"[0-9a-f]{64}")
_PART = {"file", "rows", "bytes", "sha256"}


def checked_manifest(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest as it is.

    Raises:
        DamagedFileError: a key is missing or of another type: it is another sealed document, or one made by hand.
    """
    tables = document.get("tables")
    whole = (
        isinstance(document.get("plan_digest"), str)
        and _is_count(document.get("schema_version"))
        and isinstance(tables, dict)
        and all(name.isidentifier() and _is_table(entry) for name, entry in tables.items())
    )
    if not whole:
        raise DamagedFileError(path, "is sealed, but is not the manifest of a result folder")
    return document


def _is_table(entry: Any) -> bool:
    """Whether an entry describes the files of a table (`result_parts.manifest_entry`)."""
    if not is_table_entry(entry):
        return False
    files = [entry, *more] if isinstance(more := entry.get("more", []), list) else []
    named = all(is_table_entry(part) and isinstance(part.get("file"), str) for part in files)
    return bool(files) and named and all(set(part) <= _PART for part in files[1:])


def is_table_entry(entry: Any) -> bool:
    """Whether a manifest's entry promises rows, bytes and a sha256."""
    return (
        isinstance(entry, dict)
        and _is_count(entry.get("rows"))
        and _is_count(entry.get("bytes"))
        and isinstance(entry.get("sha256"), str)
        and _HASH.fullmatch(entry["sha256"]) is not None
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
