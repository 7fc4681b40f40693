"""Result folders: plain Parquet for anyone, verified for us; events beside."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from dumb_bench.errors import DamagedFileError, InputError, SchemaError
from dumb_bench.store import schema
from dumb_bench.store.events import EventLog, read_events
from dumb_bench.store.filesystem import place_at
from dumb_bench.store.place import Place
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.sealed import seal, unseal

Make = Callable[..., tuple[str, dict[str, pa.Table]]]


@pytest.fixture(params=["local", "bucket"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> ResultFolder:
    if request.param == "local":
        return ResultFolder.open(tmp_path / "results")
    return ResultFolder(request.getfixturevalue("bucket"))


def tables_of(unit: Make, numbers: range) -> dict[str, pa.Table]:
    made = [unit(number)[1] for number in numbers]
    return {name: pa.concat_tables([tables[name] for tables in made]) for name in ("tests", "predictions")}


def test_round_trip_sorted_and_same_bytes(results: ResultFolder, unit: Make) -> None:
    assert results.plan_digest() is None and results.rows() == {} and results.check() == []
    with pytest.raises(InputError, match="no tables here yet"):
        results.read_table("tests")
    tables = tables_of(unit, range(6))
    results.write_tables(tables, plan_digest="abc")
    files = {path: results.place.read(path) for path in results.place.names("tables")}
    assert sorted(files) == sorted(f"tables/{name}/part-0.parquet" for name in schema.TABLES)
    assert results.plan_digest() == "abc" and results.check() == []
    assert results.rows() == {**dict.fromkeys(schema.TABLES, 0), "tests": 18, "predictions": 18}
    assert results.read_table("tests") == tables["tests"].sort_by("test_id")
    assert results.read_table("models") == schema.MODELS.empty_table()
    assert results.read_table("predictions", ["margins"]).column_names == ["margins"]
    shuffled = {name: pa.concat_tables([table.slice(7), table.slice(0, 7)]) for name, table in tables.items()}
    results.write_tables(shuffled, plan_digest="abc")
    assert {path: results.place.read(path) for path in results.place.names("tables")} == files


def test_ties_do_not_keep_the_order_of_arrival(tmp_path: Path) -> None:
    rows = [{"test_id": "same", "attack": name, "class_images": [1]} for name in ("b", "a", "c")]
    results = ResultFolder.open(tmp_path)
    content = []
    for order in (rows, rows[::-1]):
        results.write_tables({"tests": as_table("tests", order)}, plan_digest="x")
        content.append((tmp_path / "tables/tests/part-0.parquet").read_bytes())
    assert content[0] == content[1]


def test_pandas_reads_the_folders(tmp_path: Path, unit: Make) -> None:
    tables = tables_of(unit, range(4))
    results = ResultFolder.open(tmp_path)
    results.write_tables(tables, plan_digest="abc")
    (tmp_path / "tables/tests/part-old.parquet").write_bytes((tmp_path / "tables/tests/part-0.parquet").read_bytes())
    assert [damage.path for damage in results.check()] == ["tables/tests/part-old.parquet"]
    results.write_tables(tables, plan_digest="abc")  # a foreign file would count rows twice: gone
    frame = pd.read_parquet(tmp_path / "tables" / "tests")
    assert len(frame) == 12 and list(frame.columns) == schema.TESTS.names
    labels = pd.read_parquet(tmp_path / "tables" / "predictions")["predictions"]
    assert [len(entry) for entry in labels] == [6] * 12


def test_refusals(results: ResultFolder, unit: Make) -> None:
    _, tables = unit(0)
    with pytest.raises(InputError, match="Did you mean 'tests'"):
        results.write_tables({"test": tables["tests"]}, plan_digest="x")
    with pytest.raises(SchemaError):
        results.write_tables({"tests": tables["images"]}, plan_digest="x")
    assert results.plan_digest() is None
    results.write_tables({}, plan_digest="x")
    for name in ("test", "clean"):
        with pytest.raises(InputError):
            results.read_table(name)
    with pytest.raises(InputError, match="column"):
        results.read_table("tests", ["nonsense"])
    with pytest.raises(InputError):
        results.write_text("../grid.toml", "")


def test_random_damage_is_noticed_or_harmless(tmp_path: Path, unit: Make, alter: Callable[..., bytes]) -> None:
    results = ResultFolder.open(tmp_path)
    tables = tables_of(unit, range(3))
    results.write_tables(tables, plan_digest="abc")
    paths = ["manifest.json", "tables/tests/part-0.parquet", "tables/predictions/part-0.parquet"]
    whole = {name: results.read_table(name) for name in tables}
    noticed = 0
    for seed in range(160):
        draw = random.Random(seed)
        path = draw.choice(paths)
        data = results.place.read(path)
        (tmp_path / path).write_bytes(alter(data, draw))
        try:
            assert {name: results.read_table(name) for name in tables} == whole
            assert results.plan_digest() == "abc"
        except DamagedFileError as error:
            noticed += 1
            assert error.path == path
            assert [damage.path for damage in results.check()] == [path]
        (tmp_path / path).write_bytes(data)
    assert noticed > 130


def test_damage_is_repaired_by_writing_again(results: ResultFolder, unit: Make) -> None:
    tables = tables_of(unit, range(2))
    for path in ("manifest.json", "tables/tests/part-0.parquet"):
        results.write_tables(tables, plan_digest="abc")
        results.place.write(path, b"{}")
        assert len(results.check()) == 1
        results.write_tables(tables, plan_digest="abc")
        assert results.check() == []
        results.place.delete(path)
    with pytest.raises(DamagedFileError, match="missing"):
        results.read_table("tests")


def test_a_newer_folder_is_not_damage(results: ResultFolder, unit: Make) -> None:
    results.write_tables(tables_of(unit, range(1)), plan_digest="abc")
    manifest = unseal("", results.place.read("manifest.json"))
    results.place.write("manifest.json", seal({**manifest, "schema_version": schema.SCHEMA_VERSION + 1}))
    for act in (results.check, results.plan_digest, lambda: results.read_table("tests")):
        with pytest.raises(SchemaError, match="newer"):
            act()


def test_a_table_that_an_older_version_did_not_have_is_empty(results: ResultFolder, unit: Make) -> None:
    results.write_tables(tables_of(unit, range(1)), plan_digest="abc")
    manifest = unseal("", results.place.read("manifest.json"))
    del manifest["tables"]["failures"]
    results.place.write("manifest.json", seal(manifest))
    assert results.read_table("failures", ["message"]).num_rows == 0


def test_texts(results: ResultFolder) -> None:
    results.write_text("grid.toml", 'name = "Wörter"\n')
    assert results.read_text("grid.toml") == 'name = "Wörter"\n'
    with pytest.raises(FileNotFoundError):
        results.read_text("plan.json")
    results.place.write("plan.json", b"\xff")
    with pytest.raises(DamagedFileError, match="UTF-8"):
        results.read_text("plan.json")


def test_events(results: ResultFolder) -> None:
    assert read_events(results.place) == []
    with EventLog(results.place) as log:
        log.append("started", units=3, where=Path("x"), rate=float("nan"))
        log.append("unit", key="ab")
    EventLog(results.place).flush()
    with EventLog(results.place) as second:
        second.append("finished", text="two\nlines")
    found = read_events(results.place)
    assert [event["event"] for event in found] == ["started", "unit", "finished"]
    assert found[2]["text"] == "two\nlines" and found[0]["time"].endswith("+00:00")


def test_a_torn_event_is_skipped_and_closed(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    log = EventLog(place)
    log.append("one")
    with (tmp_path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"event": "to')
    assert [event["event"] for event in read_events(place)] == ["one"]
    log.append("two")
    assert [event["event"] for event in read_events(place)] == ["one", "two"]
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["event"] == "two"


def test_two_logs_of_one_bucket_are_read_by_time(bucket: Place) -> None:
    logs = [EventLog(bucket), EventLog(bucket)]
    for number in range(6):
        logs[number % 2].append("unit", number=number)
    for log in reversed(logs):
        log.flush()
    assert [event["number"] for event in read_events(bucket)] == list(range(6))


def test_events_in_a_bucket_come_in_numbered_files(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumb_bench.store.events._MOST", 2)
    log = EventLog(bucket)
    for number in range(5):
        log.append("unit", number=number)
    assert len(bucket.names("events")) == 2
    log.flush()
    assert [event["number"] for event in read_events(bucket)] == [0, 1, 2, 3, 4]
