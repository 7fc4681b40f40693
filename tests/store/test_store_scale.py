"""What is read, sorted and written in pieces gives what it gives in one go: ids, a store, the parts of a table."""

from __future__ import annotations

import functools
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dumb_bench.errors import DamagedFileError
from dumb_bench.store import parquet, results, sorting, stream
from dumb_bench.store.ids import Ids, as_bytes, ranges
from dumb_bench.store.place import Place
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.sorting import SortedParts, ordered
from dumb_bench.store.store import Store

Make = Callable[..., tuple[str, dict[str, pa.Table]]]
Rows = Callable[[str, pa.Table], list[dict[str, object]]]


@pytest.mark.parametrize("seed", range(20))
def test_ids_are_a_set(seed: int) -> None:
    draw = random.Random(seed)
    words = [f"{draw.getrandbits(16):04x}" * draw.choice((1, 1, 5)) for _ in range(300)] + ["", "ü", "üb"]
    draw.shuffle(words)
    held, asked = words[: draw.randrange(300)], words
    column = pa.chunked_array([pa.array(["x", *held]).slice(1), pa.array(held[:7])])
    for ids in (Ids(held), Ids(column), Ids.joined([as_bytes(held[:9]), as_bytes(held[9:])])):
        assert len(ids) == len(set(held))
        assert ids.holds(asked).tolist() == [word in set(held) for word in asked]
        assert all((word in ids) == (word in held) for word in asked[:20])
    same = pa.chunked_array([pa.array([f"{draw.getrandbits(80):020x}" for _ in range(50)]).slice(3, 40)])
    assert as_bytes(same).tolist() == [word.encode() for word in same.to_pylist()]


def test_ranges() -> None:
    assert ranges(as_places(2, 9, 7), as_places(2, 0, 1)).tolist() == [2, 3, 7]
    assert ranges(as_places(), as_places()).tolist() == []


def as_places(*values: int) -> Any:
    return pd.Series(values, dtype="int64").to_numpy()


def drawn_tests(draw: random.Random, count: int, distinct: int) -> pa.Table:
    names = [f"{draw.getrandbits(80):020x}" for _ in range(distinct)]
    rows: list[dict[str, Any]] = [
        {
            "test_id": draw.choice(names),
            "attack": draw.choice("abc"),
            "n_images": draw.randrange(4),
            "class_images": [1],
        }
        for _ in range(count)
    ]
    return as_table("tests", [{**row, "class_images": [row["n_images"]]} for row in rows])


@pytest.mark.parametrize(("seed", "distinct"), [(0, 100_000), (1, 100_000), (2, 40), (3, 2), (4, 1)])
def test_sorted_parts_equal_a_sort_in_memory_whatever_the_order_of_arrival(
    seed: int, distinct: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    draw = random.Random(seed)
    table = drawn_tests(draw, 6_000, distinct)
    reference = ordered("tests", table)
    made = []
    for limit in (2**40, 200_000, 30_000):
        order = list(range(table.num_rows))
        draw.shuffle(order)
        shuffled = table.take(pa.array(order))
        with SortedParts("tests", held_bytes=limit, part_bytes=1) as rows:
            for start in range(0, shuffled.num_rows, 700):
                rows.add(shuffled.slice(start, 700))
            made.append([part.to_pylist() for part in rows.parts()])
            spilled = any(tmp_path.iterdir())
            assert spilled == (limit < 2**40) and rows.rows == 6_000
        assert not any(tmp_path.iterdir())
    assert [len(part) for part in made[0]] == [1024] * 5 + [880]
    assert [row for part in made[0] for row in part] == reference.to_pylist()
    assert made[1] == made[0] and made[2] == made[0]


def test_no_rows_make_one_empty_part() -> None:
    with SortedParts("predictions") as rows:
        assert [part.num_rows for part in rows.parts()] == [0]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results in parts of 10 rows, sorted through scratch files."""
    monkeypatch.setattr(sorting, "_LEAST", 10)
    monkeypatch.setattr(results, "SortedParts", functools.partial(SortedParts, held_bytes=1, part_bytes=1))


def filled(unit: Make, numbers: range) -> dict[str, pa.Table]:
    made = [unit(number)[1] for number in numbers]
    return {name: pa.concat_tables([tables[name] for tables in made]) for name in ("tests", "predictions")}


@pytest.mark.usefixtures("small_parts")
def test_a_table_in_several_files_reads_as_one(tmp_path: Path, unit: Make) -> None:
    folder, tables = ResultFolder.open(tmp_path), filled(unit, range(40))
    pieces = {name: iter([table.slice(0, 50), table.slice(50)]) for name, table in tables.items()}
    folder.write_tables(pieces, plan_digest="large")
    names = sorted(path.name for path in (tmp_path / "tables/tests").iterdir())
    assert names == ["part-0.parquet", *(f"part-{number:05d}.parquet" for number in range(1, 12))]
    for name, table in tables.items():
        assert folder.read_table(name) == table.sort_by("test_id")
        assert pa.concat_tables(folder.pieces(name)) == table.sort_by("test_id")
        assert folder.rows()[name] == 120
        plain = pd.read_parquet(tmp_path / "tables" / name)
        assert plain["test_id"].tolist() == sorted(table.column("test_id").to_pylist())
    assert folder.check() == []
    encoded = folder.read_table("tests", ["test_id", "attack", "class_images"], encoded=True)
    assert encoded.to_pylist() == tables["tests"].sort_by("test_id").select(encoded.column_names).to_pylist()
    assert pa.types.is_dictionary(encoded.schema.field("attack").type)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "tables/tests").iterdir()}
    folder.write_tables(
        {name: table.take(pa.array(range(119, -1, -1))) for name, table in tables.items()}, plan_digest="x"
    )
    assert whole == {path.name: path.read_bytes() for path in (tmp_path / "tables/tests").iterdir()}
    folder.write_tables({name: table.slice(0, 12) for name, table in tables.items()}, plan_digest="small")
    assert len(pd.read_parquet(tmp_path / "tables/tests")) == 12 and folder.check() == []


@pytest.mark.usefixtures("small_parts")
def test_damage_of_any_part_is_named(tmp_path: Path, unit: Make) -> None:
    folder = ResultFolder.open(tmp_path)
    folder.write_tables(filled(unit, range(10)), plan_digest="x")
    for path in ("tables/tests/part-0.parquet", "tables/tests/part-00002.parquet"):
        data = folder.place.read(path)
        folder.place.write(path, data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(DamagedFileError, match="torn or altered"):
            folder.read_table("tests")
        assert [damage.path for damage in folder.check()] == [path]
        folder.place.delete(path)
        with pytest.raises(DamagedFileError, match="missing"):
            list(folder.pieces("tests"))
        folder.place.write(path, data)
    folder.place.write("tables/tests/part-00003.parquet", folder.place.read("tables/tests/part-00002.parquet"))
    assert [damage.path for damage in folder.check()] == ["tables/tests/part-00003.parquet"]


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for module in (parquet, stream):
        monkeypatch.setattr(module, "ROW_GROUP", 7)
    monkeypatch.setattr(parquet, "STREAMED", 5)
    if request.param == "local":
        return Store.open(tmp_path / "store")
    return Store(request.getfixturevalue("bucket"))


def gathered(store: Store, name: str, **asked: Any) -> pa.Table:
    return pa.concat_tables([piece.rows for piece in store.pieces(name, **asked)])


def test_pieces_are_what_read_returns(store: Store, unit: Make, rows_of: Rows) -> None:
    keys = []
    for number in range(30):
        key, tables = unit(number)
        store.put(key, tables)
        keys.append(key)
        if number in (9, 19):
            store.compact()
    store.put(keys[3], unit(3)[1])  # in a segment and as a loose part
    store = Store(store.place)
    for name in ("tests", "predictions"):
        assert rows_of(name, gathered(store, name)) == rows_of(name, store.read(name))
        some = keys[5:25:4]
        assert rows_of(name, gathered(store, name, keys=some)) == rows_of(name, store.read(name, keys=some))
    for piece in store.pieces("tests", ["test_id", "unit_key"]):
        assert piece.rows.num_rows <= 3 * 7
        assert [piece.keys[unit] for unit in piece.units.to_pylist()] == piece.rows.column("unit_key").to_pylist()


def test_pieces_come_once_while_the_store_is_compacted(store: Store, unit: Make) -> None:
    for number in range(20):
        store.put(*unit(number))
    store.compact()
    for number in range(20, 40):
        store.put(*unit(number))
    for pause in range(1, 12, 2):
        reader, found = Store(store.place), []
        for count, piece in enumerate(reader.pieces("tests", ["test_id"])):
            found += piece.rows.column("test_id").to_pylist()
            if count == pause:
                store.compact()
                store.put(*unit(100 + pause))
        assert sorted(set(found)) == sorted(found) and len(found) >= 120


@pytest.mark.parametrize("table", ["tests", "predictions"])
def test_pieces_leave_out_a_damaged_segment_whole(table: str, store: Store, unit: Make) -> None:
    for number in range(4):
        store.put(*unit(number))
    store.compact()
    kept, more = unit(9)
    store.put(kept, more)
    place: Place = store.place
    path = next(name for name in place.names("segments") if name.endswith(f"{table}.parquet"))
    data = place.read(path)
    place.write(path, data[:50] + bytes([data[50] ^ 4]) + data[51:])
    store = Store(place)
    assert {row["unit_key"] for row in gathered(store, "tests").to_pylist()} == {kept}
    assert len(store.damaged) == 1 and path in store.damaged[0].path
