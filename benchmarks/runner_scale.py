"""What the runner and the store cost: whole runs of 10^4, 10^5 and 10^6 tests with units that compute nothing.

    uv run python benchmarks/runner_scale.py [--tests 10000 100000 1000000] [--slots 1] [--images 100]

Each size runs in a process of its own: a real grid file, the real plan, frontier, driver, store, compaction and result
folder; the slots (processes, `noop_slot.py`) answer every unit at once with rows of the schema. Printed for each size:

* tests a second, from reading the grid to the written tables;
* ms of the driver's CPU a test, by stage: `plan`, `look` (what is left to do), `schedule` (frontier, submitting,
  outcomes, events), `tables` (the result folder) and their sum. The units' own work is in other processes, as is
  compaction, whose cost is printed apart;
* the driver's memory: the largest resident size over that at its start;
* what it takes to read `tests` back (verified, and some columns by pandas) and to stream the per-image lists.

With 10^6 tests the files take about 1.5 GB under `--folder`, which is removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

SURROGATE_SEEDS = {10_000: 1, 100_000: 7, 1_000_000: 67}
VICTIM_SEEDS = {10_000: 5}
ATTACKS = 25

GRID = """
name = "scale"
task = "digits"
[models]
source = ["optdigits", "rendered"]
architecture = ["small_alexnet", "small_resnet", "small_vgg"]
[surrogates]
seed = {surrogates}
[victims]
seed = {victims}
[images]
per_class = {per_class}
"""
ATTACK = '[[attacks]]\nname = "mifgsm"\nstrength = 0.1\nparams = {{ steps = {steps} }}\n'


def grid_text(tests: int, images: int) -> str:
    """Return a grid of about `tests` tests: 6 surrogates a seed, 25 attacks with their controls, 48 victims."""
    surrogates = list(range(SURROGATE_SEEDS[tests]))
    victims = list(range(1000, 1000 + VICTIM_SEEDS.get(tests, 8)))
    text = GRID.format(surrogates=surrogates, victims=victims, per_class=images // 2)
    return text + "".join(ATTACK.format(steps=2 + number) for number in range(ATTACKS))


class Memory:
    """The largest resident size of this process since the start, in MB, sampled 50 times a second."""

    def __init__(self) -> None:
        self.start = self.peak = self.now()
        threading.Thread(target=self._watch, daemon=True).start()

    @staticmethod
    def now() -> float:
        """Return the resident size."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            time.sleep(0.02)


class Stages:
    """CPU seconds of this process by stage, and the memory peak within each (MB over the start)."""

    def __init__(self, memory: Memory) -> None:
        self.cpu: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self._memory = memory
        self._inside: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside; a stage within a stage is taken out of the outer one."""
        outer, self._memory.peak = self._memory.peak, self._memory.now()
        started = time.process_time()
        self._inside.append(name)
        try:
            yield
        finally:
            self._inside.pop()
            spent = time.process_time() - started
            self.cpu[name] = self.cpu.get(name, 0.0) + spent
            if self._inside:
                self.cpu[self._inside[-1]] = self.cpu.get(self._inside[-1], 0.0) - spent
            own = max(self._memory.peak, self._memory.now())
            self.peaks[name] = max(self.peaks.get(name, 0.0), own - self._memory.start)
            self._memory.peak = max(outer, own)

    def watch(self, owner: Any, attribute: str, name: str) -> None:
        """Count the calls of a function as a stage."""
        whole: Callable[..., Any] = getattr(owner, attribute)

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return whole(*args, **kwargs)

        setattr(owner, attribute, counted)


def measure(tests: int, slots: int, images: int, folder: Path) -> dict[str, Any]:
    """Run one size; return the figures."""
    import pandas  # noqa: F401 - part of the start, not of the growth
    import pyarrow.parquet  # noqa: F401
    from noop_slot import ProcessExecutor

    from dumb_bench.catalogue import Catalogue
    from dumb_bench.runner import run as runner
    from dumb_bench.runner.execute import SlotSettings
    from dumb_bench.store.results import ResultFolder
    from dumb_bench.store.store import Store

    class Quiet:
        def started(self, units: Any) -> None: ...

        def ended(self, unit: Any, outcome: Any, failed: bool) -> None: ...

        def tick(self) -> None: ...

    path, catalogue = folder / "grid.toml", Catalogue()
    path.write_text(grid_text(tests, images))
    options = runner.RunOptions(str(folder / "results"), str(folder / "store"), address="serial")
    Store.open(options.store)
    executor = ProcessExecutor(SlotSettings(options.store, catalogue, "cpu"), slots)
    runner._executor = lambda *_: executor  # type: ignore[attr-defined]
    stages = Stages(Memory())
    for owner, attribute, name in (
        (runner, "build_plan", "plan"), (runner, "plan_document", "plan"), (runner, "read_index", "look"),
        (runner, "outstanding", "look"), (runner, "_to_run", "look"), (runner.Driver, "run", "schedule"),
        (Store, "compact", "compact"), (ResultFolder, "write_tables", "tables"),
    ):  # fmt: skip
        stages.watch(owner, attribute, name)
    started = time.perf_counter()
    with stages.stage("tables"):
        summary = runner.run_grid(path, catalogue, options, Quiet(), lambda _: None)
    wall = time.perf_counter() - started
    found = summary.rows["tests"]
    assert found == summary.planned and not summary.failures, summary
    return {
        "tests": found,
        "units": sum(summary.done.values()),
        "wall": wall,
        "cpu": stages.cpu,
        "peaks": stages.peaks,
        "memory": max(stages.peaks.values()),
        "compaction": summary.cpu_seconds.get("compact", 0.0),
        "slots": sum(spent for kind, spent in summary.cpu_seconds.items() if kind != "compact"),
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    }


def read_back(results: str) -> dict[str, float]:
    """Return the seconds that reading takes, and the memory of the stream (MB)."""
    import pandas as pd
    import pyarrow as pa

    from dumb_bench.store import schema
    from dumb_bench.store.results import ResultFolder

    folder = ResultFolder.open(results, create=False)
    few = ["attack", "strength", "case", "surrogate_id", "victim_id", "n_images", "n_victim_correct", "n_success"]
    found: dict[str, float] = {}
    memory = Memory()

    def plain(table: str) -> int:
        asked = [field.name for field in schema.STORED[table] if not pa.types.is_list(field.type)]
        return folder.read_table(table, asked, encoded=True).num_rows if table in schema.TABLES else 0

    def timed(name: str, read: Callable[[], int]) -> None:
        memory.peak = before = memory.now()
        started, cpu = time.perf_counter(), time.process_time()
        found[f"{name}, rows"] = read()
        found[f"{name}, s"], found[f"{name}, CPU-s"] = time.perf_counter() - started, time.process_time() - cpu
        found[f"{name}, MB"] = memory.peak - before

    timed("all columns", lambda: folder.read_table("tests").num_rows)
    timed("all columns, text as dictionaries", lambda: folder.read_table("tests", encoded=True).num_rows)
    timed("all tables without their lists, text as dictionaries", lambda: sum(map(plain, schema.STORED)))
    timed("8 columns, pandas", lambda: len(pd.read_parquet(f"{results}/tables/tests", columns=few)))
    timed("per-image lists, stream", lambda: sum(piece.num_rows for piece in folder.pieces("predictions")))
    return found


def show(run: dict[str, Any], read: dict[str, float]) -> None:
    """Print the figures of one size."""
    tests = run["tests"]
    driver = {name: spent for name, spent in run["cpu"].items() if name != "compact"}
    each = ", ".join(f"{name} {1000 * spent / tests:.4f}" for name, spent in driver.items())
    peaks = ", ".join(f"{name} {peak:.0f}" for name, peak in run["peaks"].items())
    print(f"{tests:,} tests in {run['units']:,} units: {run['wall']:.1f} s, {tests / run['wall']:,.0f} tests/s")
    print(f"  driver CPU, ms a test: {1000 * sum(driver.values()) / tests:.4f} = {each}")
    print(f"  compaction: {run['compaction']:.1f} CPU-s on slots, {run['cpu'].get('compact', 0.0):.1f} in the driver")
    print(f"  slots' own work {run['slots']:.1f} CPU-s; files {run['bytes'] / 2**20:,.0f} MB")
    print(f"  driver memory, MB over the start: {run['memory']:.0f} ({peaks})")
    print("  read back: " + "; ".join(f"{name} {value:,.2f}".removesuffix(".00") for name, value in read.items()))


def main() -> None:
    """Run every size in a process of its own, then print how cost and memory grow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, nargs="+", default=list(SURROGATE_SEEDS), choices=list(SURROGATE_SEEDS))
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--images", type=int, default=100, help="images of a set (length of the per-image lists)")
    parser.add_argument("--folder", type=Path, default=None, help="where the files go (default: a temporary folder)")
    parser.add_argument("--one", choices=("run", "read"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one == "run":
        found = measure(asked.tests[0], asked.slots, asked.images, asked.folder)
        print(json.dumps(found))
        return
    if asked.one == "read":
        print(json.dumps(read_back(str(asked.folder / "results"))))
        return
    runs = []
    for tests in asked.tests:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            command = [sys.executable, __file__, *sys.argv[1:], "--tests", str(tests), "--folder", folder, "--one"]
            run, read = (
                json.loads(subprocess.run([*command, what], check=True, stdout=subprocess.PIPE).stdout)
                for what in ("run", "read")
            )
        show(run, read)
        runs.append(run)
    for before, after in pairwise(runs):
        cpu = [sum(run["cpu"].values()) for run in (before, after)]
        print(
            f"{before['tests']:,} to {after['tests']:,} tests ({after['tests'] / before['tests']:.1f}x): "
            f"driver CPU {cpu[1] / cpu[0]:.1f}x, memory {after['memory'] - before['memory']:+.0f} MB"
        )


if __name__ == "__main__":
    main()
