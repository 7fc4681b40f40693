"""`dumb-bench check data`: every image of a grid's sources read once, and what is wrong with them named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.declared import planned_task, sources_for
from dumb_bench.data.inspection import inspect_source
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError
from dumb_bench.grid import ROLES, Grid
from dumb_bench.grid_file import read_grid
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.plan_attacks import resolved
from dumb_bench.spec import Plugin


class DataReport(NamedTuple):
    """Lines: faults stop a run or spoil it; notes deserve a look; whole are the sources without a fault."""

    faults: tuple[str, ...]
    notes: tuple[str, ...]
    whole: tuple[str, ...]


def check_grid(path: Path, catalogue: Catalogue, max_tests: int) -> DataReport:
    """Read every image of a grid's sources, then see that they suffice for the grid.

    Raises:
        InputError: the grid itself is bad.
    """
    grid, _ = read_grid(path, catalogue)
    faults: list[str] = []
    notes: list[str] = []
    whole: list[str] = []
    others: dict[str, dict[str, frozenset[bytes]]] = {}
    for task, source in _sources(grid, catalogue, str(path)):
        where = f"{source.label} ({task.name})"
        found = inspect_source(catalogue, task.name, source)
        faults += [f"{where}: {line}" for line in found.faults]
        notes += [f"note: {where}: {line}" for line in found.notes]
        for other, digests in others.setdefault(task.name, {}).items():
            if common := len(found.digests & digests):
                notes.append(f"note: {where}: {common:,} images are images of {other} too")
        others[task.name][source.label] = found.digests
        if not found.faults:
            numbers = ", ".join(f"{split} {count:,}" for split, count in found.images.items())
            whole.append(f"{where}: {sum(found.images.values()):,} images, none broken: {numbers}")
    if not faults:
        try:
            build_plan(grid, catalogue, str(path), max_tests)
        except InputError as error:
            faults.append(str(error))
    return DataReport(tuple(faults), tuple(notes), tuple(whole))


def _sources(grid: Grid, catalogue: Catalogue, where: str) -> Iterator[tuple[Task, Plugin]]:
    """Yield each source of each task once, of all blocks in both roles.

    Raises:
        InputError: an unknown task or parameter, or a source that does not offer the task.
    """
    seen: set[tuple[str, Plugin]] = set()
    try:
        for name in grid.task:
            task = planned_task(grid, name, catalogue)
            for role in ROLES:
                for block in grid.blocks(role):
                    for choice in sources_for(grid, block, task):
                        source = resolved(f"{role}.source", "sources", choice, catalogue)
                        if (task.name, source) not in seen:
                            seen.add((task.name, source))
                            yield task, source
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
