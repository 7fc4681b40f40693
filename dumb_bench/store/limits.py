"""What a Parquet file says of itself is read before any page is: a small file must not become a huge table."""

from __future__ import annotations

from typing import Any

MOST_BYTES = 2 * 2**30
MOST_TIMES = 1_000
"""A file is refused if it would take more than `MOST_BYTES` and more than so many times its own size."""

_VALUE = 16
"""Bytes of a value in memory, roughly: a number and its validity, or the offset of a text."""


class TooLargeError(OSError):
    """A Parquet file would be far larger in memory than any file of this package, or has other rows than promised."""


def check_footer(footer: Any, size: int, rows: int | None = None) -> None:
    """Look at a file's footer (`pyarrow.parquet.FileMetaData`).

    size: of the file, in bytes. rows: how many were promised, if that is known.

    Raises:
        TooLargeError: see there.
    """
    if rows is not None and footer.num_rows != rows:
        raise TooLargeError(f"has {footer.num_rows} rows, expected {rows}")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    needed = sum(max(0, column.num_values) * _VALUE + max(0, column.total_uncompressed_size) for column in columns)
    needed = max(needed, footer.num_rows * footer.num_columns * _VALUE)
    if needed > max(MOST_BYTES, MOST_TIMES * size):
        raise TooLargeError(f"{size:,} bytes would become about {needed:,}")
