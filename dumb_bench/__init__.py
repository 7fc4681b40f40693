"""Adversarial transferability, measured: surrogates, victims, attacks, and the tables that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dumb_bench.report.notebook import Results

__all__ = ["load"]


def load(results: str | Path) -> Results:
    """Return the tables of a result folder as frames: `images, models, attacks, tunings, tests, failures, predictions`.

    `frame(name)` gives what the report computes of them, `figure(name)` a figure as matplotlib's.
    Right at any moment, during a run too; every file is verified. Neither torch nor Ray is imported.

    Raises:
        InputError: it is no result folder.
        DamagedFileError: a file of it is torn or altered.
    """
    from dumb_bench.report.notebook import load as read

    return read(results)
