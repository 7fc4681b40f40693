"""The tasks of a grid as it declares them: other classes, another image size, sources of their own."""

from __future__ import annotations

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.tasks import Task, changed_task, task_named
from dumb_bench.errors import InputError, unknown
from dumb_bench.grid import Choice, Grid, ModelAxes


def planned_task(grid: Grid, name: str, catalogue: Catalogue) -> Task:
    """Return a task of a grid, by the name that its key `task` holds, with what `[tasks.NAME]` changes.

    Raises:
        InputError: there is no such task, a table for a task that the grid does not name, or one that lacks a key.
    """
    for other in grid.tasks:
        if other not in grid.task:
            raise InputError(f"tasks: {unknown('task', other, grid.task)}")
    table = grid.tasks.get(name)
    if table is None or (table.classes is None and table.size is None):
        return task_named(name, catalogue)
    return changed_task(name, table.classes, table.size, catalogue)


def sources_for(grid: Grid, block: ModelAxes, task: Task) -> list[Choice]:
    """Return the sources of a block for a task: the block's own, else those of `[tasks.NAME]`, else `[models]`."""
    table = grid.tasks.get(task.base)
    if block.source is None and table is not None and table.source is not None:
        return list(table.source)
    if block.source is None and grid.models.source is None:
        raise InputError(f"tasks.{task.base}.source: missing; name its sources, or models.source for all tasks")
    return list(grid.axis(block, "source"))
