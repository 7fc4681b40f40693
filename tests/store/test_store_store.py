"""The store: done units, once each; damage, newer files, failures, two writers, readers during compaction."""

from __future__ import annotations

import pickle
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dumb_bench.errors import InputError, SchemaError
from dumb_bench.store import compaction, parts, schema, segments
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.place import Place
from dumb_bench.store.store import Store

Make = Callable[..., tuple[str, dict[str, pa.Table]]]
Rows = Callable[[str, pa.Table], list[dict[str, object]]]
TABLES = ("tests", "predictions", "images")


def filled(store: Store, unit: Make, numbers: range) -> list[str]:
    keys = []
    for number in numbers:
        key, tables = unit(number)
        store.put(key, tables)
        keys.append(key)
    return keys


def expect(store: Store, unit: Make, rows_of: Rows, numbers: Any) -> None:
    """The store holds exactly these units, each row once."""
    made = [unit(number) for number in numbers]
    assert store.keys() == {key for key, _ in made}
    for name in ("tests", "predictions"):
        whole = pa.concat_tables([tables[name] for _, tables in made]) if made else schema.STORED[name].empty_table()
        assert rows_of(name, store.read(name)) == rows_of(name, whole)
    images = {tuple(row.values()) for _, tables in made for row in tables["images"].to_pylist()}
    found = [tuple(row.values()) for row in store.read("images").to_pylist()]
    assert len(found) == len(images) and set(found) == images


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store.open(tmp_path / "store")
    return Store(request.getfixturevalue("bucket"))


def test_parts_and_segments_read_alike(store: Store, unit: Make, rows_of: Rows) -> None:
    expect(store, unit, rows_of, [])
    filled(store, unit, range(5))
    expect(store, unit, rows_of, range(5))
    assert store.compact(minimum=6) == 0
    assert store.compact() == 5
    assert store.place.names("parts") == []
    expect(store, unit, rows_of, range(5))
    filled(store, unit, range(5, 8))
    expect(store, unit, rows_of, range(8))
    assert store.compact() == 3
    assert store.compact() == 0
    expect(Store(store.place), unit, rows_of, range(8))
    assert store.verify() == [] and store.damaged == []


def test_columns_and_keys(store: Store, unit: Make, rows_of: Rows) -> None:
    keys = filled(store, unit, range(4))
    store.compact()
    keys += filled(store, unit, range(4, 6))
    some = store.read_many({"tests": ["asr", "test_id"], "images": ["label"]}, keys=[keys[0], keys[5], "00" * 10])
    assert some["tests"].column_names == ["asr", "test_id"]
    assert sorted(some["tests"]["test_id"].to_pylist()) == sorted(
        f"{keys[n]}-{row}" for n in (0, 5) for row in range(3)
    )
    assert some["images"].column_names == ["label"] and some["images"].num_rows == 12
    assert store.read("tests", keys=[]).num_rows == 0
    assert store.read("clean", columns=["accuracy"]).schema == pa.schema([schema.CLEAN.field("accuracy")])
    for wrong in (lambda: store.read("test"), lambda: store.read("tests", columns=["asrr"])):
        with pytest.raises(InputError, match="Did you mean"):
            wrong()


def test_duplicates_count_once(store: Store, unit: Make, rows_of: Rows) -> None:
    filled(store, unit, range(4))
    store.compact()
    filled(store, unit, range(2, 6))  # 2 and 3 again, by a writer that did not know
    expect(store, unit, rows_of, range(6))
    assert store.compact() == 2
    expect(store, unit, rows_of, range(6))
    one = segments.write(store.place, compaction.merge(list(store._reader.units([]))))  # an empty segment is harmless
    assert one.keys == ()
    filled(store, unit, range(1, 3))
    assert store.compact() == 0 and store.place.names("parts") == []
    expect(store, unit, rows_of, range(6))


def test_two_segments_that_share_units(store: Store, unit: Make, rows_of: Rows) -> None:
    for numbers in (range(4), range(2, 6)):
        for number in numbers:
            key, tables = unit(number)
            store.put(key, tables)
        found = list(store._reader.units(store._reader.layout().parts.values()))
        segments.write(store.place, compaction.merge(found))
        for path in store.place.names("parts"):
            store.place.delete(path)
    expect(store, unit, rows_of, range(6))


def test_many_segments_become_one(store: Store, unit: Make, rows_of: Rows) -> None:
    for number in range(12):
        filled(store, unit, range(number, number + 1))
        store.compact()
        assert len(store._reader.layout().segments) <= compaction.FEW + 1
    expect(store, unit, rows_of, range(12))
    assert len(store._reader.layout().segments) < 8
    assert len({path.split("/")[1] for path in store.place.names("segments")}) < 8


def test_segments_are_not_merged_beyond_the_cap(store: Store, unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FEW", 1)
    monkeypatch.setattr(compaction, "MOST_UNITS", 3)
    filled(store, unit, range(8))
    assert store.compact() == 8
    for _ in range(3):
        store.compact()
    assert sorted(len(entry.keys) for entry in store._reader.layout().segments.values()) == [2, 3, 3]


def test_a_torn_part_costs_itself_only(store: Store, unit: Make, rows_of: Rows) -> None:
    keys = filled(store, unit, range(4))
    path = parts.path_of(keys[1])
    store.place.write(path, store.place.read(path)[:100])
    assert store.keys() == set(keys)  # names alone: cheap, and believed until the file is read
    assert store.read("predictions").num_rows == 9
    expect(store, unit, rows_of, [0, 2, 3])
    assert [(damage.path, damage.keys) for damage in store.damaged] == [(path, (keys[1],))]
    assert sorted(store.place.names("quarantine")) == [f"quarantine/{path}", f"quarantine/{path}.reason.json"]
    store.put(*unit(1))
    expect(store, unit, rows_of, range(4))
    store.place.write(path, b"")  # again: both are kept
    assert [damage.keys for damage in store.verify()] == [(keys[1],)]
    assert len(store.place.names("quarantine")) == 4


def test_compaction_leaves_a_torn_part_behind(store: Store, unit: Make, rows_of: Rows) -> None:
    keys = filled(store, unit, range(3))
    store.place.write(parts.path_of(keys[0]), b"PK")
    assert store.compact() == 2
    expect(store, unit, rows_of, [1, 2])
    assert len(store.damaged) == 1


@pytest.mark.parametrize("name", ["tests.parquet", "predictions.parquet", "images.parquet", "manifest.json"])
def test_a_damaged_segment_leaves_no_half_units(store: Store, unit: Make, rows_of: Rows, name: str) -> None:
    keys = filled(store, unit, range(3))
    store.compact()
    filled(store, unit, range(3, 5))
    (path,) = (path for path in store.place.names("segments") if path.endswith(name))
    whole = store.place.read(path)
    store.place.write(path, whole[:50] + bytes([whole[50] ^ 4]) + whole[51:])
    for fresh in (Store(store.place), Store(store.place)):
        assert fresh.read("tests").num_rows == 6  # whichever file is hit
        expect(fresh, unit, rows_of, [3, 4])
        assert store.place.names("segments") == []
    assert len(store.place.names("quarantine")) == 5
    if name != "manifest.json":
        store.place.write(path, whole)
        again = Store(store.place)
        expect(again, unit, rows_of, [3, 4])  # a table without a manifest is nothing
    assert set(keys).isdisjoint(store.keys())


def test_a_missing_table_of_a_segment_is_damage(store: Store, unit: Make, rows_of: Rows) -> None:
    filled(store, unit, range(3))
    store.compact()
    (path,) = (path for path in store.place.names("segments") if path.endswith("predictions.parquet"))
    store.place.delete(path)
    assert store.read("tests").num_rows == 0
    assert "missing" in store.damaged[0].reason and len(store.damaged[0].keys) == 3


def test_a_loose_copy_outlives_a_damaged_segment(store: Store, unit: Make, rows_of: Rows) -> None:
    filled(store, unit, range(3))
    store.compact()
    filled(store, unit, range(2))
    (path,) = (path for path in store.place.names("segments") if path.endswith("tests.parquet"))
    store.place.write(path, b"")
    assert store.compact() == 2  # compaction looks before it drops the loose copies
    expect(store, unit, rows_of, range(2))


def test_random_damage_anywhere_in_a_segment(tmp_path: Path, unit: Make, alter: Callable[..., bytes]) -> None:
    origin = Store.open(tmp_path / "origin")
    filled(origin, unit, range(3))
    origin.compact()
    whole = {name: origin.read(name).sort_by("test_id") for name in ("tests", "predictions")}
    noticed = 0
    for seed in range(120):
        draw = random.Random(seed)
        path = draw.choice(sorted(origin.place.names("segments")))
        data = origin.place.read(path)
        origin.place.write(path, alter(data, draw))
        store = Store(origin.place)
        found = store.read_many({"tests": None, "predictions": None})
        if store.damaged:
            noticed += 1
            assert found["tests"].num_rows == found["predictions"].num_rows == 0 and not store.keys()
            for entry in store.place.names("quarantine"):
                if not entry.endswith(".reason.json"):
                    store.place.move(entry, entry.removeprefix("quarantine/"))
            shutil.rmtree(tmp_path / "origin" / "quarantine")
        else:
            assert {name: table.sort_by("test_id") for name, table in found.items()} == whole
        origin.place.write(path, data)
    assert noticed > 100


def test_a_newer_file_stops_the_reader_and_stays(store: Store, unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = filled(store, unit, range(2))
    with monkeypatch.context() as newer:
        newer.setitem(schema.STORED, "tests", schema.TESTS.append(pa.field("colour", pa.string())))
        filled(store, unit, range(2, 3))
    for act in (lambda: store.read("tests"), store.verify, store.compact):
        with pytest.raises(SchemaError, match="newer"):
            act()
    assert len(store.keys()) == 3 and store.keys() > set(keys)
    assert store.damaged == [] and store.place.names("quarantine") == []


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.place.write("store.json", compaction.segments.seal({"layout": 2}))
    with pytest.raises(InputError, match="newer version"):
        Store.open(tmp_path)


def test_a_read_only_store_reads_past_damage(
    tmp_path: Path, unit: Make, rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = filled(Store.open(tmp_path), unit, range(3))
    (tmp_path / parts.path_of(keys[0])).write_bytes(b"torn")

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(LocalPlace, "write", refuse)
    monkeypatch.setattr(LocalPlace, "move", refuse)
    store = Store.open(tmp_path, create=False)
    assert store.read("tests").num_rows == 6
    expect(store, unit, rows_of, [1, 2])
    assert len(store.damaged) == 1 and (tmp_path / parts.path_of(keys[0])).exists()


def test_open(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Store.open(tmp_path / "none", create=False)
    store = Store.open(tmp_path / "deep" / "store")
    (tmp_path / "deep" / "store" / "store.json").write_text("torn")
    assert Store.open(store.uri).keys() == frozenset()
    assert pickle.loads(pickle.dumps(store)).uri == store.uri


def test_names_cannot_escape(store: Store) -> None:
    for name in ("../../x", "a/b", "..", "", "UPPER0123"):
        for act in (
            lambda name=name: store.put(name, {}),
            lambda name=name: store.put_failure({"unit_key": name}),
            lambda name=name: store.drop_failures([name]),
            lambda name=name: store.put_artifact(name, {}, {}),
            lambda name=name: store.get_artifact(name),
            lambda name=name: store.has_artifact(name),
            lambda name=name: store.drop_artifact(name),
        ):
            with pytest.raises(InputError):
                act()


def test_failures(store: Store, unit: Make) -> None:
    keys = [unit(number)[0] for number in range(4)]
    for key in keys:
        store.put_failure({"unit_key": key, "message": "first", "attempts": 1})
    store.put_failure({"unit_key": keys[0], "message": "second", "attempts": 2})
    assert store.keys() == frozenset()
    assert store.failures().schema == schema.FAILURES
    rows = {row["unit_key"]: row for row in store.failures().to_pylist()}
    assert set(rows) == set(keys) and rows[keys[0]]["message"] == "second" and rows[keys[0]]["schema_version"] == 1
    store.put(*unit(1))  # done at last: no failure any more
    store.drop_failures([keys[2], "00" * 10])
    assert set(store.failures()["unit_key"].to_pylist()) == {keys[0], keys[3]}
    path = f"failures/{keys[3]}.json"
    store.place.write(path, store.place.read(path).replace(b"first", b"fjrst"))
    assert store.failures()["unit_key"].to_pylist() == [keys[0]]
    assert store.damaged[0].path == path and f"quarantine/{path}" in store.place.names("quarantine")
    with pytest.raises(SchemaError):
        store.put_failure({"unit_key": keys[0], "colour": "red"})


def test_two_writers_of_one_key(tmp_path: Path, unit: Make, rows_of: Rows) -> None:
    key, tables = unit(0)
    stores = [Store.open(tmp_path) for _ in range(4)]

    def write(store: Store) -> None:
        for _ in range(10):
            store.put(key, tables)

    threads = [threading.Thread(target=write, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if stores[0].keys():
            assert stores[0].read("tests").num_rows == 3
    for thread in threads:
        thread.join()
    expect(stores[0], unit, rows_of, [0])
    assert len(list((tmp_path / "parts" / key[:2]).iterdir())) == 1


def test_readers_during_compaction_miss_nothing(tmp_path: Path, unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FEW", 1)
    made = [unit(number, 1) for number in range(300)]
    written: list[str] = []
    problems: list[str] = []
    stop = threading.Event()

    def guard(act: Callable[[], None]) -> Callable[[], None]:
        def loop() -> None:
            try:
                while not stop.is_set():
                    act()
            except Exception as error:
                problems.append(repr(error))

        return loop

    def read(store: Store) -> None:
        before = set(written)
        found = store.read_many({"tests": ["unit_key"], "predictions": ["test_id"]})
        rows = found["tests"]["unit_key"].to_pylist()
        if len(rows) != len(set(rows)) or before - set(rows) or found["predictions"].num_rows != len(rows):
            problems.append(f"{len(rows)} rows, {len(set(rows))} units, missing {len(before - set(rows))}")
        if before - store.keys():
            problems.append("keys() missed a unit")

    readers = [Store.open(tmp_path) for _ in range(2)]
    compactors = [Store.open(tmp_path) for _ in range(2)]
    acts = [guard(lambda s=s: read(s)) for s in readers] + [guard(lambda s=s: s.compact() and None) for s in compactors]
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 3.0
    writer = Store.open(tmp_path)
    try:
        for key, tables in made:
            writer.put(key, tables)
            written.append(key)
            if time.monotonic() > end or problems:
                break
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert writer.read("tests").num_rows == len(written) == len(writer.keys())
    assert [damage for store in (*readers, *compactors, writer) for damage in store.damaged] == []


def test_leftovers_of_a_crash_are_cleaned_when_old(
    tmp_path: Path, unit: Make, rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    filled(store, unit, range(2))
    store.place.write("segments/00ff/tests.parquet", b"of a crash")
    store.compact()
    assert store.place.exists("segments/00ff/tests.parquet")  # it could be somebody's work in progress
    monkeypatch.setattr(compaction, "LEFTOVER_AGE", -1.0)
    store.compact()
    assert not store.place.exists("segments/00ff/tests.parquet")
    expect(store, unit, rows_of, range(2))


def test_a_place_that_fails_is_not_damage(store: Store, unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(store, unit, range(2))

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(store.place), "read", fail)
    with pytest.raises(OSError, match="Input/output"):
        store.read("tests")
    monkeypatch.undo()
    assert store.damaged == [] and store.read("tests").num_rows == 6


def test_files_that_never_rest_are_reported(tmp_path: Path, unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path)
    filled(store, unit, range(1))

    def gone(*_: object) -> bytes:
        raise FileNotFoundError(2, "gone")

    monkeypatch.setattr(Place, "read", gone)
    monkeypatch.setattr(LocalPlace, "read", gone)
    with pytest.raises(OSError, match="keep moving"):
        store.read("tests")
