"""The machine in words, and what starting costs on it."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from dumb_bench.runner.machine import hardware

FLOOR = "import torch, pyarrow.parquet, pydantic"
WORKER = "import dumb_bench.runner.run, dumb_bench.runner.execute"


def described() -> list[str]:
    """Return what a reader needs to judge the figures, one fact a line."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    return [
        f"Processor: {hardware('cpu')}, {cores} cores to this process; one thread is used.",
        f"Load of the machine over 1, 5 and 15 minutes at the end: {load}.",
        f"Python {platform.python_version()}, PyTorch {version('torch')}, {torch.get_num_threads()} thread,"
        f" {platform.system()} {platform.release()}.",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}.",
    ]


def start_seconds(code: str) -> float:
    """Return the CPU seconds of a fresh interpreter that runs some code and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
