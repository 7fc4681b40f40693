"""What the start of each command costs, beside a floor: a bare python that imports the libraries it cannot do without.

    uv run python benchmarks/starts.py [--rounds 5] [--only WORD] [--uncompiled]

Rounds are interleaved (every command and its floor once a round), each in a process of its own, after one round that
only warms caches. Modules are compiled once, into a folder of the benchmark's own (`PYTHONPYCACHEPREFIX`), as on a
user's machine after the first start. Where `PYTHONDONTWRITEBYTECODE` is set, as in many containers, every start
compiles PyTorch anew and takes two to three times as long: `--uncompiled` shows it.

Printed, as medians with [smallest, largest]: seconds of wall time, CPU seconds (those of child processes included), and
CPU seconds over the floor's. Commands that compute are given the least work there is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CALL = "import sys; sys.argv[0] = 'dumb-bench'; from dumb_bench.cli import main; main()"
LOAD = "import dumb_bench; dumb_bench.load('results/example').frame('tests')"


class Command(NamedTuple):
    """words: of the command line, or None for python `code`. needs: modules that it cannot do without."""

    words: str
    needs: str
    code: str = CALL


COMMANDS = (
    Command("--help", "typer"),
    Command("list figures", "typer rich.table"),
    Command("list sources", "typer rich.table numpy"),
    Command("list tasks", "typer rich.table numpy"),
    Command("list posteriors", "typer rich.table torch"),
    Command("list defences", "typer rich.table torch"),
    Command("list modifiers", "typer rich.table torch"),
    Command("list deliveries", "typer rich.table torch"),
    Command("list architectures", "typer rich.table torchvision"),
    Command("list attacks", "typer rich.table torchattacks foolbox.attacks art.attacks.evasion"),
    Command("plan grids/quickstart.toml", "typer torch pyarrow"),
    Command("plan grids/dumb_fourteen_digits.toml", "typer torch pyarrow"),
    Command("status results/example", "typer pyarrow.parquet"),
    Command("check results results/example", "typer pyarrow.parquet"),
    Command("check attack fgsm", "typer torch"),
    Command("check data grids/quickstart.toml", "typer numpy torch"),
    Command("compare results/example {out}/copy", "typer pandas pyarrow.parquet"),
    Command("report results/example --out {out}/report", "typer pandas pyarrow.parquet matplotlib.figure jinja2"),
    Command("", "pandas pyarrow.parquet", LOAD),
)


class Cost(NamedTuple):
    """Seconds of wall and CPU time of a process, its children included; its largest resident size, GB; exit status."""

    wall: float
    cpu: float
    memory: float
    status: int


def environment(compiled: str | None) -> dict[str, str]:
    """Return the environment of a process whose modules are compiled into a folder; None: anew in every process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name == "PYTHONPATH"}
    return {**kept, "PYTHONPYCACHEPREFIX": compiled or os.devnull}


def measured(*words: str, compiled: str | None = None) -> Cost:
    """Run python with these arguments and say what it cost; compiled: see `environment`."""
    start, quiet = time.perf_counter(), subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=environment(compiled), stdout=quiet, stderr=quiet
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6, process.returncode)


def floor_of(command: Command) -> str:
    """Return the code of a bare python that imports what a command cannot do without."""
    return "\n".join(f"import {name}" for name in command.needs.split())


def spread(values: list[float]) -> str:
    """Return the median and the range of some seconds or ratios."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def main() -> None:
    """Measure and print one line a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="Only commands with this word.")
    parser.add_argument("--uncompiled", action="store_true", help="Let every process compile its modules.")
    asked = parser.parse_args()
    chosen = [command for command in COMMANDS if asked.only in (command.words or "load")]
    seen: dict[Command, list[tuple[Cost, Cost]]] = {command: [] for command in chosen}
    with tempfile.TemporaryDirectory() as out:
        compiled = None if asked.uncompiled else f"{out}/compiled"
        shutil.copytree(ROOT / "results/example", f"{out}/copy")
        for number in range(asked.rounds + 1):
            for command in chosen:
                own = measured("-c", command.code, *command.words.format(out=out).split(), compiled=compiled)
                floor = measured("-c", floor_of(command), compiled=compiled)
                if number:
                    seen[command].append((own, floor))
    print(f"| command | wall s | CPU s | floor, CPU s | CPU / floor | exit |\n|{'---|' * 6}")
    for command, pairs in seen.items():
        name = command.words.split(" --out")[0].format(out="COPY-IN") or "python: load(...).frame('tests')"
        columns = (
            [own.wall for own, _ in pairs], [own.cpu for own, _ in pairs],
            [floor.cpu for _, floor in pairs], [own.cpu / floor.cpu for own, floor in pairs],
        )  # fmt: skip
        exits = ", ".join(sorted({str(own.status) for own, _ in pairs}))
        print(f"| `{name}` | {' | '.join(map(spread, columns))} | {exits} |")


if __name__ == "__main__":
    main()
