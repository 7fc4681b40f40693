"""The store on S3 (a server, reached over HTTP): what holds for a folder holds for a bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from s3_server import BUCKET, CREDENTIALS, uri

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store import parts
from dumb_bench.store.events import EventLog, read_events
from dumb_bench.store.filesystem import place_at
from dumb_bench.store.lease import Lease
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.store import Store

Make = Callable[..., tuple[str, dict[str, pa.Table]]]
Rows = Callable[[str, pa.Table], list[dict[str, object]]]


@pytest.fixture
def store(s3: str, tmp_path: Path) -> Store:
    return Store.open(uri(s3, f"store/{tmp_path.name}"))


def test_units_segments_and_quarantine(store: Store, unit: Make, rows_of: Rows) -> None:
    made = [unit(number) for number in range(4)]
    for key, tables in made[:3]:
        store.put(key, tables)
    assert store.compact() == 3
    store.put(*made[3])
    other = Store.open(store.uri, create=False)
    whole = pa.concat_tables([tables["tests"] for _, tables in made])
    assert other.keys() == {key for key, _ in made}
    assert rows_of("tests", other.read("tests")) == rows_of("tests", whole)
    path = parts.path_of(made[3][0])
    store.place.write(path, store.place.read(path)[:-9])
    assert other.read("tests").num_rows == 9 and [damage.path for damage in other.damaged] == [path]
    assert store.place.exists(f"quarantine/{path}") and len(store.keys()) == 3
    (table,) = (path for path in store.place.names("segments") if path.endswith("tests.parquet"))
    data = store.place.read(table)
    store.place.write(table, data[:60] + bytes([data[60] ^ 8]) + data[61:])
    assert [damage.path for damage in Store.open(store.uri).verify()] == [table]
    assert store.keys() == frozenset()


def test_artifacts_are_verified_and_failures_kept(store: Store, unit: Make) -> None:
    name, files = "ab" * 10, {"w": bytes(range(256)) * 64}
    meta = store.put_artifact(name, files, {"epochs": 1})
    assert store.get_artifact(name) == (files, meta)
    (path,) = (path for path in store.place.names("artifacts") if path.endswith(".w"))
    store.place.write(path, b"altered")
    with pytest.raises(DamagedFileError, match="sha256"):
        store.get_artifact(name)
    store.drop_artifact(name)
    assert not store.has_artifact(name)
    store.put_failure({"unit_key": unit(0)[0], "message": "why", "attempts": 1})
    assert store.failures()["message"].to_pylist() == ["why"]


def test_names_cannot_leave_the_prefix(store: Store, s3: str, tmp_path: Path) -> None:
    outside = place_at(uri(s3, "store"))
    outside.write("victim", b"untouched")
    before = set(outside.names(tmp_path.name))
    for name in ("../victim", "..", "a/../../victim", "", "/victim", "UPPER0123"):
        for act in (
            lambda name=name: store.put(name, {}),
            lambda name=name: store.put_failure({"unit_key": name}),
            lambda name=name: store.drop_failures([name]),
            lambda name=name: store.put_artifact(name, {"w": b""}, {}),
            lambda name=name: store.put_artifact("ab" * 10, {name + "/x": b""}, {}),
            lambda name=name: store.get_artifact(name),
            lambda name=name: store.drop_artifact(name),
        ):
            with pytest.raises(InputError):
                act()
    assert outside.read("victim") == b"untouched" and set(outside.names(tmp_path.name)) == before


def test_results_events_and_leases(s3: str, tmp_path: Path, unit: Make, rows_of: Rows) -> None:
    folder = ResultFolder.open(uri(s3, f"results/{tmp_path.name}"))
    for number in (0, 1):
        tables = unit(number)[1]
        folder.write_tables(tables, plan_digest=f"plan{number}")
        assert rows_of("tests", folder.read_table("tests")) == rows_of("tests", tables["tests"])
    assert folder.check() == [] and folder.place.names("staging") == []
    with EventLog(folder.place) as log:
        log.append("one", secret=None)
    assert [event["event"] for event in read_events(folder.place)] == ["one"]
    with Lease(folder.place, "driver") as first, Lease(place_at(folder.place.uri), "driver") as second:
        assert len(first.others()) == len(second.others()) == 1
    assert folder.place.names("leases") == []


def test_refusals_are_one_line_without_secrets(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    for where, create in (
        (f"s3://nobody:{secret}@{uri(s3, 'none')[5:]}", False),
        (uri(s3, "x").replace(BUCKET, "none"), True),
    ):
        with pytest.raises(InputError) as caught:
            Store.open(where, create=create)
        assert "\n" not in str(caught.value) and secret not in str(caught.value)


def test_the_endpoint_may_come_from_the_environment(s3: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{s3}")
    plain = Store.open(store.uri.partition("?")[0])
    plain.put("ab" * 10, {})
    assert store.keys() == {"ab" * 10}
