"""The manifest of a result folder, which vouches for its tables: what must hold before it is believed."""

from __future__ import annotations

import re
from typing import Any

from dumb_bench.errors import DamagedFileError

_HASH = re.compile(r"[0-9a-f]{64}")


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
        and all(name.isidentifier() and is_table_entry(entry) for name, entry in tables.items())
    )
    if not whole:
        raise DamagedFileError(path, "is sealed, but is not the manifest of a result folder")
    return document


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
