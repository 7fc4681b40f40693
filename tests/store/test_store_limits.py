"""Files that would become huge tables, or hold other rows than promised, are refused before they are read."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dumb_bench.errors import DamagedFileError
from dumb_bench.store import compaction, limits, parts, schema, segments
from dumb_bench.store.batch import merge, of_unit
from dumb_bench.store.limits import TooLargeError, check_footer
from dumb_bench.store.sealed import seal
from dumb_bench.store.store import Store

Make = Callable[..., tuple[str, dict[str, pa.Table]]]


class Column(NamedTuple):
    num_values: int
    total_uncompressed_size: int


class Group(NamedTuple):
    columns: list[Column]

    @property
    def num_columns(self) -> int:
        return len(self.columns)

    def column(self, number: int) -> Column:
        return self.columns[number]


class Footer(NamedTuple):
    num_rows: int
    num_columns: int
    groups: list[Group]

    @property
    def num_row_groups(self) -> int:
        return len(self.groups)

    def row_group(self, number: int) -> Group:
        return self.groups[number]


@pytest.mark.parametrize(("rows", "values", "size", "refused"), [
    (1_000, 1_000, 100, False),
    (10**9, 10**9, 10_000, True),  # rows without end
    (1, 10**9, 10_000, True),  # one row, a list without end
    (1, 2**27, 10_000, False),  # 2 GiB: allowed, whatever the size
    (1, 2**27 + 1, 10_000, True),
    (10**7, 3 * 10**9, 6 * 10**8, False),  # ten million tests of 300 images
    (10**12, -1, 10_000, True),  # a column that says nothing
])  # fmt: skip
def test_what_a_footer_may_promise(rows: int, values: int, size: int, refused: bool) -> None:
    footer = Footer(rows, 1, [Group([Column(values, 0)])])
    if refused:
        with pytest.raises(TooLargeError, match="would become"):
            check_footer(footer, size)
    else:
        check_footer(footer, size)
    with pytest.raises(TooLargeError, match=f"has {rows} rows, expected 7"):
        check_footer(footer, size, 7)


@pytest.fixture
def no_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("a page was read")

    monkeypatch.setattr(pq.ParquetFile, "read", read)


def test_a_bomb_is_damage_before_it_is_read(
    tmp_path: Path, unit: Make, monkeypatch: pytest.MonkeyPatch, no_page_is_read: None
) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES", 2**20)
    key = unit(0)[0]
    rows = 3_000_000
    same = pa.array([0] * rows, pa.int32())
    bomb = pa.table({"index": same.cast(schema.STORED["images"].field("index").type)})
    stream = pa.BufferOutputStream()
    pq.write_table(bomb, stream, compression="zstd", write_page_checksum=True)
    data = bytes(stream.getvalue())
    assert len(data) * limits.MOST_TIMES < rows * 16

    members = {"images.parquet": data}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    members["manifest.json"] = seal({"unit_key": key, "members": hashes})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    with pytest.raises(DamagedFileError, match="would become"):
        parts.decode(parts.path_of(key), archive.getvalue())
    store = Store.open(tmp_path)
    store.place.write(parts.path_of(key), archive.getvalue())
    assert [damage.keys for damage in store.verify()] == [(key,)]


def test_other_rows_than_promised_are_damage_before_they_are_read(
    tmp_path: Path, unit: Make, no_page_is_read: None
) -> None:
    store = Store.open(tmp_path)
    manifest = segments.write(store.place, merge([of_unit(*unit(0))]))
    lying = manifest._replace(tables={k: v._replace(rows=v.rows + 1) for k, v in manifest.tables.items()})
    with pytest.raises(DamagedFileError, match="rows, expected"):
        segments.read(store.place, lying)


def test_a_part_of_very_many_members_is_damage(unit: Make) -> None:
    key = unit(0)[0]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(65):
            file.writestr(f"{number}", b"")
    with pytest.raises(DamagedFileError, match="65 members"):
        parts.decode(parts.path_of(key), archive.getvalue())


def test_a_segment_holds_no_more_rows_than_a_merge_can_hold(
    tmp_path: Path, unit: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FEW", 1)
    monkeypatch.setattr(compaction, "MOST_ROWS", 25)  # a unit has up to 7 rows in a table
    store = Store.open(tmp_path)
    for number in range(10):
        store.put(*unit(number))
    store.compact()
    for number in range(10, 13):
        store.put(*unit(number))
        store.compact()
    sizes = sorted(manifest.rows for manifest in store._reader.layout().segments.values())
    assert store.read("tests").num_rows == 13 * 3 and max(sizes) < 25 + 7
    assert len(sizes) < 5
