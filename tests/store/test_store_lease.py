"""Leases: each driver sees the others, nobody waits, and a dead one is not seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dumb_bench.store import lease as module
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.lease import FOLDER, STALE, Lease
from dumb_bench.store.place import Place
from dumb_bench.store.sealed import seal


@pytest.fixture(params=["local", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "local":
        return LocalPlace(tmp_path)
    found: Place = request.getfixturevalue("bucket")
    return found


def sign(place: Place, name: str, host: str = "elsewhere", pid: int = 7) -> str:
    """Write the lease of a driver on another machine."""
    path = f"{FOLDER}/driver-{name}.json"
    place.write(path, seal({"host": host, "pid": pid, "since": "2026-01-01T00:00:00+00:00"}))
    return path


def test_two_owners_see_each_other_and_leave_nothing(place: Place) -> None:
    with Lease(place, "driver") as first:
        assert first.others() == []
        with Lease(place, "driver") as second, Lease(place, "compact") as other:
            (seen,) = second.others()
            assert (seen.pid, second.others(earlier=True)) == (os.getpid(), [seen])
            assert len(first.others()) == 1 and first.others(earlier=True) == []
            assert other.others() == []
        assert first.others() == []
    assert place.names(FOLDER) == []


def test_a_stale_lease_is_ignored_and_removed(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    fresh, stale = sign(place, "a"), sign(place, "b")
    for path, age in ((fresh, STALE - 60), (stale, STALE + 60)):
        os.utime(tmp_path / path, (time.time() - age,) * 2)
    with Lease(place, "driver") as lease:
        assert [(owner.host, owner.pid) for owner in lease.others()] == [("elsewhere", 7)]
        assert place.exists(fresh) and not place.exists(stale)


def test_ages_are_told_by_the_clock_of_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = LocalPlace(tmp_path)
    path = sign(place, "a")
    with Lease(place, "driver") as lease:
        for name in place.names(FOLDER):  # a file server whose clock is a day behind
            os.utime(tmp_path / name, (time.time() - 86_400,) * 2)
        assert len(lease.others()) == 1 and place.exists(path)


def test_a_killed_process_of_this_machine_is_not_seen(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from dumb_bench.store.filesystem import LocalPlace\n"
        "from dumb_bench.store.lease import Lease\n"
        "from pathlib import Path\n"
        "Lease(LocalPlace(Path(sys.argv[1])), 'driver').__enter__()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout and child.stdout.readline() == "held\n"
        with Lease(LocalPlace(tmp_path), "driver") as lease:
            assert [owner.pid for owner in lease.others()] == [child.pid]
            child.kill()
            child.wait()
            assert lease.others() == []
    assert LocalPlace(tmp_path).names(FOLDER) == []


@pytest.mark.parametrize("content", [
    b"", b"{}", b"\xff", seal({"host": "x"}), seal({"host": "x", "pid": [], "since": "y"}),
])  # fmt: skip
def test_what_is_no_lease_is_ignored(content: bytes, place: Place) -> None:
    place.write(f"{FOLDER}/driver-x.json", content)
    with Lease(place, "driver") as lease:
        assert lease.others() == []


def test_what_another_process_wrote_is_made_safe_to_print(place: Place) -> None:
    sign(place, "a", host="\x1b[2Jhost\n" + "x" * 500)
    with Lease(place, "driver") as lease:
        (owner,) = lease.others()
        assert str(owner).isprintable() and len(str(owner)) < 300


def test_a_lease_is_kept_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH", 0.01)
    place = LocalPlace(tmp_path)
    with Lease(place, "driver"):
        (path,) = place.names(FOLDER)
        os.utime(tmp_path / path, (0, 0))
        deadline = time.monotonic() + 20
        while (tmp_path / path).stat().st_mtime < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / path).stat().st_mtime > 1
        assert json.loads(place.read(path))["pid"] == os.getpid()


def test_a_place_that_takes_no_lease_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    place = LocalPlace(tmp_path)
    sign(place, "a")
    for name in ("write", "delete"):
        monkeypatch.setattr(LocalPlace, name, refuse)
    with Lease(place, "driver") as lease:
        assert len(lease.others()) == 1
    monkeypatch.setattr(LocalPlace, "files", refuse)
    with Lease(place, "driver") as lease:
        assert lease.others() == []
