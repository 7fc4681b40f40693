"""A crash after any single file operation of compaction loses nothing and doubles nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dumb_bench.store import compaction, filesystem
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.store import Store

Make = Callable[..., tuple[str, dict[str, pa.Table]]]
Rows = Callable[[str, pa.Table], list[dict[str, object]]]


class Killed(BaseException):
    """kill -9, as far as the tests can: nothing that changes a file works any more."""


class Mortal:
    """The module `os`, dying before its n-th change of the file system (or, a write, in the middle of it)."""

    CHANGES = ("replace", "unlink", "rmdir", "mkdir", "fsync")

    def __init__(self, lifetime: int) -> None:
        self.left = lifetime
        self.name = os.name

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def change(*args: Any) -> Any:
            self.tick()
            return real(*args)

        return change

    def tick(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def create(self, path: Path) -> Any:
        self.tick()
        stream = create(path)
        mortal = self

        class Half:
            def __enter__(self) -> Half:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def write(self, data: bytes) -> None:
                try:
                    mortal.tick()
                except Killed:
                    stream.write(data[: len(data) // 2])
                    raise
                stream.write(data)

        return Half()


create = filesystem._create


def dies(monkeypatch: pytest.MonkeyPatch, lifetime: int, act: Callable[[], object]) -> bool:
    """Run `act` with so many file operations to live; return whether it died."""
    mortal = Mortal(lifetime)
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "os", mortal)
        patch.setattr(filesystem, "_create", mortal.create)
        try:
            act()
        except Killed:
            return True
    return False


def test_compaction_killed_anywhere(tmp_path: Path, unit: Make, rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FEW", 1)
    template = Store.open(tmp_path / "template")
    made = [unit(number, 1) for number in range(5)]
    for key, tables in made[:2]:
        template.put(key, tables)
    template.compact()
    for key, tables in made[1:]:  # unit 1 twice: loose and in the segment
        template.put(key, tables)
    whole = {name: rows_of(name, pa.concat_tables([t[name] for _, t in made])) for name in ("tests", "predictions")}
    images = rows_of("images", template.read("images"))

    def check(store: Store) -> None:
        assert store.keys() == {key for key, _ in made}
        found = store.read_many({"tests": None, "predictions": None, "images": None})
        assert {name: rows_of(name, found[name]) for name in whole} == whole
        assert rows_of("images", found["images"]) == images
        assert store.damaged == []

    for lifetime in range(1000):
        folder = tmp_path / f"killed-{lifetime}"
        shutil.copytree(tmp_path / "template", folder)
        died = dies(monkeypatch, lifetime, lambda folder=folder: Store.open(folder, create=False).compact())
        store = Store.open(folder, create=False)
        check(store)
        store.compact()
        check(Store.open(folder, create=False))
        assert store.place.names("parts") == []
        shutil.rmtree(folder)
        if not died:
            break
    assert lifetime > 40


def test_a_bucket_that_fails_anywhere(bucket: Any, unit: Make, rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FEW", 1)
    made = [unit(number, 1) for number in range(4)]
    kind = type(bucket)
    real = {name: getattr(kind, name) for name in ("write", "delete", "move")}
    for lifetime in range(200):
        for path in [path for folder in ("parts", "segments") for path in bucket.names(folder)]:
            bucket.delete(path)
        store = Store(bucket)
        store.put(*made[0])
        store.compact()
        for key, tables in made[1:]:
            store.put(key, tables)
        died = False
        mortal = Mortal(lifetime)
        with monkeypatch.context() as patch:
            for name, act in real.items():

                def change(*args: Any, act: Any = act, mortal: Mortal = mortal) -> Any:
                    mortal.tick()
                    return act(*args)

                patch.setattr(kind, name, change)
            try:
                store.compact()
            except Killed:
                died = True
        for _ in range(2):
            store = Store(bucket)
            assert store.keys() == {key for key, _ in made}
            assert sorted(store.read("tests")["unit_key"].to_pylist()) == sorted(store.keys())
            assert store.damaged == []
            store.compact()
        if not died:
            break
    assert lifetime > 10


def test_a_put_killed_anywhere(tmp_path: Path, unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    key, tables = unit(0)
    for lifetime in range(100):
        folder = tmp_path / str(lifetime)
        Store.open(folder)
        died = dies(monkeypatch, lifetime, lambda folder=folder: Store.open(folder, create=False).put(key, tables))
        store = Store.open(folder)
        assert store.read("tests").num_rows == (3 if store.keys() else 0)
        assert store.damaged == []
        if not died:
            break
    assert store.keys() == {key} and lifetime > 5


def test_an_artifact_killed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, old, new = "ab" * 10, {"w": b"old"}, {"w": b"new", "v": b"more"}
    for first in (False, True):
        for lifetime in range(100):
            folder = tmp_path / f"{first}-{lifetime}"
            store = Store.open(folder)
            if not first:
                store.put_artifact(name, old, {"epochs": 1})
            died = dies(monkeypatch, lifetime, lambda store=store: store.put_artifact(name, new, {"epochs": 2}))
            if store.has_artifact(name):
                files, meta = store.get_artifact(name)
                assert (files, meta["epochs"]) in ((old, 1), (new, 2))
            else:
                assert first
            if not died:
                break
        assert files == new


def test_results_killed_anywhere(tmp_path: Path, unit: Make, rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {f"plan{n}": {name: unit(n)[1][name] for name in ("tests", "predictions", "images")} for n in (0, 2)}
    versions["plan2"]["images"] = versions["plan0"]["images"]  # one table stays the same
    ResultFolder.open(tmp_path / "template").write_tables(versions["plan0"], plan_digest="plan0")

    def check(results: ResultFolder) -> str:
        plan = results.plan_digest()
        assert plan is not None
        for name, table in versions[plan].items():
            assert rows_of(name, results.read_table(name)) == rows_of(name, table)
        return plan

    seen = set()
    for lifetime in range(1000):
        folder = tmp_path / f"killed-{lifetime}"
        shutil.copytree(tmp_path / "template", folder)
        results = ResultFolder.open(folder)
        died = dies(monkeypatch, lifetime, lambda r=results: r.write_tables(versions["plan2"], plan_digest="plan2"))
        seen.add(check(ResultFolder.open(folder, create=False)))
        for name in versions["plan2"]:  # what a plain reader sees: one file a table, at any moment
            visible = [path.name for path in (folder / "tables" / name).iterdir() if path.name[0] != "."]
            assert visible == ["part-0.parquet"]
        results.write_tables(versions["plan2"], plan_digest="plan2")
        assert check(results) == "plan2" and results.check() == []
        assert results.place.names("staging") == []
        shutil.rmtree(folder)
        if not died:
            break
    assert seen == {"plan0", "plan2"} and lifetime > 40
