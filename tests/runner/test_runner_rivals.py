"""Two drivers that write one result folder: whoever ends, the folder is whole; alone, nothing is done twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dumb_bench.runner.rivals import announced, write_beside_others
from dumb_bench.store.lease import Lease
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.store import Store


def write(folder: ResultFolder, name: str) -> None:
    folder.write_tables({"tests": as_table("tests", [{"test_id": name}])}, plan_digest=name)


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder.open(tmp_path / "results")


def test_tables_that_another_driver_mixed_up_are_written_again(folder: ResultFolder, tmp_path: Path) -> None:
    written: list[str] = []

    def disturbed() -> None:
        write(folder, "mine")
        written.append("mine")
        if len(written) == 1:
            (tmp_path / "results/tables/tests/part-0.parquet").write_bytes(b"the other one's")

    with Lease(folder.place, "driver"), Lease(folder.place, "driver") as lease:
        write_beside_others(disturbed, folder, lease)
    assert len(written) == 2 and folder.check() == []


def test_a_file_taken_away_is_an_error_only_where_nobody_else_is(folder: ResultFolder) -> None:
    written: list[str] = []

    def disturbed() -> None:
        written.append("mine")
        if len(written) == 1:
            raise FileNotFoundError(2, "gone")
        write(folder, "mine")

    with Lease(folder.place, "driver") as lease:
        with pytest.raises(FileNotFoundError):
            write_beside_others(disturbed, folder, lease)
        written.clear()
        with Lease(folder.place, "driver"):
            write_beside_others(disturbed, folder, lease)
    assert len(written) == 2 and folder.check() == []


def test_drivers_that_write_at_the_same_time_leave_whole_tables(folder: ResultFolder) -> None:
    def drive(name: str) -> None:
        own = ResultFolder.open(folder.place.uri)
        for _ in range(3):
            with Lease(own.place, "driver") as lease:
                write_beside_others(lambda: write(own, name), own, lease)

    threads = [threading.Thread(target=drive, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folder.check() == []
    assert folder.read_table("tests")["test_id"].to_pylist() == [folder.plan_digest()]


def test_the_other_driver_is_named_in_one_line(folder: ResultFolder, tmp_path: Path) -> None:
    store, said = Store.open(tmp_path / "store"), list[str]()
    with announced(store, folder, said.append):
        assert said == []
        with announced(store, folder, said.append):
            (line,) = said
            assert line.startswith("warning: another driver is at work here: process ") and "\n" not in line
    assert folder.place.names("leases") == store.place.names("leases") == []
