"""Parquet to and from memory, as every stored file uses it: zstd, page checksums written and verified."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa

from dumb_bench.errors import InputError, unknown
from dumb_bench.store import schema
from dumb_bench.store.limits import check_footer
from dumb_bench.store.ordering import SORT_KEYS
from dumb_bench.store.rows import conform

ROW_GROUP = 16_384

STREAMED = 4_096
"""Rows decoded at a time by a stream: decoding takes some ten times what a piece of lists takes afterwards."""

Wanted = Mapping[str, Sequence[str]]
"""Tables to read, and of each the columns."""


def dumps(table: pa.Table, *, compact: bool) -> bytes:
    """Return a table as Parquet. `compact` spends time on size (segments, results); without it, on speed (parts)."""
    import pyarrow.parquet as pq

    stream = pa.BufferOutputStream()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        compression_level=9 if compact else 1,
        use_dictionary=compact,
        write_statistics=compact,
        row_group_size=ROW_GROUP,
        write_page_checksum=True,
        store_schema=True,
    )
    return bytes(stream.getvalue())


def loads(
    name: str,
    data: bytes,
    columns: Sequence[str] | None = None,
    *,
    hidden: Sequence[str] = (),
    promised: int | None = None,
) -> pa.Table:
    """Return a stored table with this version's columns, or those asked for; those it lacks (an older file) as null.

    `hidden` columns are of the store itself: they come first. `promised`: the number of rows, where it is known. Page
    checksums are verified; verify a hash before.

    Raises:
        SchemaError: a newer version wrote it, or a column has another type.
        pyarrow.ArrowException, OSError: the bytes are damaged, or promise more than they can hold (before it is read).
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as stored:
        check_footer(stored.metadata, len(data), promised)
        present = [entry for entry in stored.schema_arrow if entry.name not in hidden]
        if not pa.schema(present).equals(schema.STORED[name]):
            conform(name, pa.Table.from_batches([], pa.schema(present)))  # of an empty array, Arrow imports pandas
        elif columns is None and not hidden:
            return stored.read(use_threads=stored.metadata.num_rows > ROW_GROUP)
        asked = schema.STORED[name].names if columns is None else columns
        kept = [entry.name for entry in present if entry.name in asked]
        found = stored.read(columns=[*hidden, *kept], use_threads=stored.metadata.num_rows > ROW_GROUP)
        rows = stored.metadata.num_rows
    return _completed(name, found, asked, rows, hidden)


def groups(name: str, data: bytes, columns: Sequence[str], *, hidden: Sequence[str] = ()) -> Iterator[pa.Table]:
    """Yield a stored table as `loads` returns it, 4,096 rows at a time. Raises as `loads`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as stored:
        check_footer(stored.metadata, len(data))
        present = [entry for entry in stored.schema_arrow if entry.name not in hidden]
        if not pa.schema(present).equals(schema.STORED[name]):
            conform(name, pa.Table.from_batches([], pa.schema(present)))  # of an empty array, Arrow imports pandas
        kept = [entry.name for entry in present if entry.name in columns]
        for batch in stored.iter_batches(batch_size=STREAMED, columns=[*hidden, *kept], use_threads=False):
            found = pa.Table.from_batches([batch])
            yield _completed(name, found, columns, found.num_rows, hidden)


def loads_encoded(name: str, data: bytes, columns: Sequence[str]) -> pa.Table:
    """Return what `loads` does with text as Arrow dictionaries: a fifth of the time and half the memory of many rows.

    The first sort key, which repeats nothing, stays plain. Raises as `loads`.
    """
    import pyarrow.parquet as pq

    text = [entry.name for entry in schema.STORED[name] if pa.types.is_string(entry.type)]
    coded = [column for column in columns if column in text and column != SORT_KEYS[name][0]]
    source = pa.BufferReader(data)
    with pq.ParquetFile(source, page_checksum_verification=True, read_dictionary=coded) as stored:
        check_footer(stored.metadata, len(data))
        present = [
            entry.with_type(entry.type.value_type) if pa.types.is_dictionary(entry.type) else entry
            for entry in stored.schema_arrow
        ]
        if not pa.schema(present).equals(schema.STORED[name]):
            conform(name, pa.Table.from_batches([], pa.schema(present)))  # of an empty array, Arrow imports pandas
        kept = [column for column in columns if column in stored.schema_arrow.names]
        found = stored.read(columns=kept)
    arrays = {column: found.column(column) for column in kept}
    lacking = {
        column: pa.nulls(found.num_rows, schema.STORED[name].field(column).type)
        for column in columns
        if column not in kept
    }
    return pa.table({column: (arrays | lacking)[column] for column in columns})


def _completed(name: str, found: pa.Table, asked: Sequence[str], rows: int, hidden: Sequence[str]) -> pa.Table:
    """Return the columns asked for, those that the file lacks as null, after the hidden ones."""
    entries = [schema.STORED[name].field(column) for column in asked]
    arrays = [found.column(e.name) if e.name in found.column_names else pa.nulls(rows, e.type) for e in entries]
    if hidden:
        entries = [*(pa.field(column, found.schema.field(column).type) for column in hidden), *entries]
        arrays = [*(found.column(column) for column in hidden), *arrays]
    return pa.Table.from_arrays(arrays, schema=pa.schema(entries))


def names_of(table: str, columns: Collection[str] | None) -> list[str]:
    """Return the columns asked for, or all of a table's, in the order asked.

    Raises:
        InputError: the table or a column is unknown.
    """
    if table not in schema.STORED:
        raise InputError(unknown("table", table, schema.STORED))
    known = schema.STORED[table].names
    for name in columns or ():
        if name not in known:
            raise InputError(unknown(f"column of {table}", name, known))
    return list(known) if columns is None else list(columns)
