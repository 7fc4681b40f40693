"""The digits on S3, by two drivers at the same time: the rows of a local run, and a status that needs nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from minigrid import BLUR, FGSM, Ended, mini_grid
from s3_server import uri
from test_runner_serial import assert_same_tables

from dumb_bench.store.events import read_events
from dumb_bench.store.filesystem import place_at
from dumb_bench.store.lease import Lease
from dumb_bench.store.place import Place
from dumb_bench.store.status import default_store
from dumb_bench.store.store import Store

SCRIPT = Path(sys.executable).parent / "dumb-bench"


def download(place: Place, folder: Path) -> Path:
    for name in place.names("tables"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(place.read(name))
    return folder


def test_two_drivers_on_one_bucket_give_the_rows_of_a_local_run(
    s3: str, mini_run: Path, tmp_path: Path, command: Callable[..., Ended]
) -> None:
    grid, results = tmp_path / "mini.toml", uri(s3, "runs/mini")
    grid.write_text(mini_grid())
    cache = tmp_path / "cache"
    environment = {**os.environ, "DUMB_BENCH_CACHE": str(cache), "DUMB_BENCH_CACHE_GB": "1"}
    call = [SCRIPT, "run", grid, "--results", results, "--address", "serial"]
    store = Store.open(default_store(results))
    with Lease(store.place, "driver"):  # a third, so that both have somebody to name
        drivers = [
            subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)
        ]
        said = [driver.communicate(timeout=300)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], said
    for text in said:
        (warning,) = [line for line in text.splitlines() if line.startswith("warning: ")]
        assert f"process {os.getpid()} on " in warning and "s3://bench/runs/.store" in warning
        assert "Traceback" not in text

    folder = place_at(results, create=False)
    assert_same_tables(mini_run, download(folder, tmp_path / "copy"))
    assert folder.names("leases") == store.place.names("leases") == []
    assert sum(event["event"] == "run_finished" for event in read_events(folder)) == 2

    grid.write_text(mini_grid(attacks=FGSM + BLUR + '[[attacks]]\nname = "bim"\nstrength = 0.1\n'))
    later = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert later.returncode == 0, later.stderr  # a process that trained nothing reads the weights, and keeps them
    kept = {path.name for path in (cache / "weights").rglob("*") if path.is_file()}
    assert len(kept) == 2 and all(len(name) == 64 for name in kept)

    found = json.loads(command("status", results, "--json").out)
    assert (found["tests"], found["tests_done"], found["models_done"], found["failed"]) == (80, 80, 2, [])
    assert found["running"] == []
    assert command("check", "results", results).code == 0
    assert "tests 80" in command("compact", results).out
