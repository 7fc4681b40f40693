"""What a second slot gives: whole runs of a grid with one slot and with two, in turn, on an idle machine.

    uv run python benchmarks/slots.py [GRID] [--slots 1 2] [--rounds 2]

Each run is the command itself, with a store of its own. Printed for each: wall seconds of the whole command and of the
time between the first unit that trains and the end of the last unit; CPU seconds of all its processes (driver, Ray,
slots) and of the units alone. Then the ratios of the medians.

Beside that stands what the machine itself allows: six small trainings in a plain process, one thread, no Ray, no
store, in so many processes at once against one. Cores that share caches and memory give less than their number. The
slots need a free CPU each, or nothing here says anything: the load by others is printed, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil

TICK_SECONDS = 0.1

LOOP = """
import time
import torch
from dumb_bench.catalogue import Catalogue
from dumb_bench.models.training import train_model
from dumb_bench.spec import ModelSpec, Plugin

torch.set_num_threads(1)
catalogue = Catalogue()


def train(architecture, seed):
    spec = ModelSpec("digits", Plugin("rendered"), Plugin(architecture), "50/50", Plugin("small"), seed)
    train_model(spec, catalogue)


train("small_alexnet", 0)  # imports what the first training imports
print(flush=True)
input()
wall, cpu = time.monotonic(), time.process_time()
for architecture in ("small_resnet", "small_vgg", "small_alexnet"):
    for seed in (1, 2):
        train(architecture, seed)
print(time.monotonic() - wall, time.process_time() - cpu)
"""


class Run(NamedTuple):
    """Seconds: of the whole command, of its units' part, of CPU in all processes, of CPU in the units."""

    wall: float
    units_wall: float
    cpu: float
    units_cpu: float


def cpu_of(process: psutil.Process) -> dict[tuple[int, float], float]:
    """Return the CPU seconds of a process and of all below it, each by pid and start."""
    seconds = {}
    for member in [process, *process.children(recursive=True)]:
        try:
            with member.oneshot():
                used = member.cpu_times()
                seconds[member.pid, member.create_time()] = used.user + used.system
        except psutil.NoSuchProcess:
            continue
    return seconds


def measure(grid: Path, slots: int, folder: Path) -> Run:
    """Run the grid once. CPU is the last seen of each process, looked at ten times a second."""
    tool, results = Path(sys.executable).with_name("dumb-bench"), folder / "results"
    command = [str(tool), "run", str(grid), "--slots", str(slots), "--no-report", "--results", str(results)]
    started = time.monotonic()
    seen: dict[tuple[int, float], float] = {}
    with (folder / "log").open("w") as log:
        run = psutil.Popen(command, stdout=log, stderr=log)
        while run.poll() is None:
            try:
                seen.update(cpu_of(run))
            except psutil.NoSuchProcess:
                break
            time.sleep(TICK_SECONDS)
        wall = time.monotonic() - started
    if run.wait():
        raise SystemExit((folder / "log").read_text())
    events = [json.loads(line) for line in (results / "events.jsonl").read_text().splitlines()]
    begun = next(event for event in events if event["event"] == "unit_started" and event["kind"] == "train")
    done = [event for event in events if event["event"] == "unit_done"]
    between = datetime.fromisoformat(done[-1]["time"]) - datetime.fromisoformat(begun["time"])
    return Run(wall, between.total_seconds(), sum(seen.values()), sum(event["cpu_seconds"] for event in done))


def plain(processes: int) -> tuple[float, float]:
    """Return how often a second the plain work gets done, all processes together, and CPU seconds of it each time."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    loops: list[Any] = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(processes)
    ]
    for loop in loops:
        loop.stdout.readline()
    for loop in loops:
        loop.stdin.write("\n")
        loop.stdin.flush()
    found = [[float(number) for number in loop.communicate()[0].split()] for loop in loops]
    return processes / max(wall for wall, _ in found), sum(cpu for _, cpu in found) / processes


def main(grid: Path, slots: list[int], rounds: int) -> None:
    """Run the grid with each number of slots in turn; print the figures and their ratios to the first number's."""
    runs: dict[int, list[Run]] = {number: [] for number in slots}
    loops: dict[int, list[tuple[float, float]]] = {number: [] for number in slots}
    for _ in range(rounds):
        for number in slots:
            load = os.getloadavg()[0]
            loops[number].append(plain(number))
            with tempfile.TemporaryDirectory() as folder:
                run = measure(grid, number, Path(folder))
            runs[number].append(run)
            print(
                f"slots {number}: wall {run.wall:.1f} s ({run.units_wall:.1f} s of units), CPU {run.cpu:.1f} s "
                f"({run.units_cpu:.1f} s of units); plain work {60 * loops[number][-1][0]:.2f} times a minute, "
                f"{loops[number][-1][1]:.2f} CPU-s each (load before: {load:.1f})",
                flush=True,
            )
    first = {field: statistics.median(getattr(run, field) for run in runs[slots[0]]) for field in Run._fields}
    for number in slots[1:]:
        own = {field: statistics.median(getattr(run, field) for run in runs[number]) for field in Run._fields}
        rate, cost = (
            statistics.median(loop[place] for loop in loops[number])
            / statistics.median(loop[place] for loop in loops[slots[0]])
            for place in (0, 1)
        )
        print(
            f"{number} slots against {slots[0]}: whole command {first['wall'] / own['wall']:.2f} times as fast, "
            f"units {first['units_wall'] / own['units_wall']:.2f}; CPU seconds of all "
            f"{own['cpu'] / first['cpu'] - 1:+.1%}, of units {own['units_cpu'] / first['units_cpu'] - 1:+.1%}; "
            f"the machine itself: {rate:.2f} times the plain work, CPU seconds {cost - 1:+.1%}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", nargs="?", type=Path, default=Path("grids/quickstart.toml"))
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    main(asked.grid, asked.slots, asked.rounds)
