"""From rows to tables of the schema, and from stored tables to those of this version."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dumb_bench.errors import DamagedFileError, SchemaError
from dumb_bench.store.schema import SCHEMA_VERSION, STORED


def as_table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as a table of the schema; absent keys become null, `schema_version` is filled in.

    Raises:
        SchemaError: a row has a key that the schema does not know.
    """
    columns_of = STORED[name]
    known = set(columns_of.names)
    for row in rows:
        extra = row.keys() - known
        if extra:
            raise SchemaError(f"{name}: unknown columns {sorted(extra)}")
    versioned = "schema_version" in known
    filled = [{**({"schema_version": SCHEMA_VERSION} if versioned else {}), **row} for row in rows]
    return pa.Table.from_pylist(filled, schema=columns_of)


def conform(name: str, stored: pa.Table) -> pa.Table:
    """Return a stored table with exactly this version's columns: missing nullable ones as null, in schema order.

    Raises:
        SchemaError: the table was written by a newer version, or a column has another type.
    """
    columns_of = STORED[name]
    extra = set(stored.column_names) - set(columns_of.names)
    if extra:
        raise SchemaError(f"{name}: columns {sorted(extra)} are of a newer schema; upgrade dumb_bench to read them")
    columns = []
    for entry in columns_of:
        if entry.name in stored.column_names:
            column = stored.column(entry.name)
            if column.type != entry.type:
                raise SchemaError(f"{name}.{entry.name}: stored as {column.type}, expected {entry.type}")
            columns.append(column)
        else:
            columns.append(pa.nulls(stored.num_rows, entry.type))
    return pa.Table.from_arrays(columns, schema=columns_of)


def failure_in(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the row of `failures` that a sealed document holds.

    Raises:
        DamagedFileError: it holds none, or a column of another type.
    """
    row = document.get("failure")
    if not isinstance(row, dict) or not isinstance(row.get("unit_key"), str):
        raise DamagedFileError(path, "is sealed, but holds no failure")
    columns = STORED["failures"]
    for name, value in row.items():
        if value is None or name not in columns.names:  # an unknown column is refused by its name, later
            continue
        text = pa.types.is_string(columns.field(name).type)
        if not (isinstance(value, str) if text else isinstance(value, int) and 0 <= value < 2**31):
            raise DamagedFileError(path, f"is sealed, but its {name!r} is no column of a failure")
    return {**dict.fromkeys(columns.names), **row}
