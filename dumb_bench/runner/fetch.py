"""`dumb-bench fetch`: the files of a grid's sources, fetched where they are missing and read through once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.base import SPLITS
from dumb_bench.data.images import load_split
from dumb_bench.grid_file import read_grid
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.spec import Plugin


class Fetched(NamedTuple):
    """A source that is there. images: of all four splits."""

    task: str
    source: str
    images: int


def sources_of(plan: Plan) -> dict[tuple[str, Plugin], None]:
    """Return the sources of a plan, each with its task, in a stable order."""
    models = ((model.task, model.source) for model in plan.models.values())
    attacked = ((images.task, images.source) for images in plan.image_sets)
    return dict.fromkeys([*models, *attacked])


def fetch_grid(path: Path, catalogue: Catalogue, max_tests: int) -> Iterator[Fetched]:
    """Fetch and read every source of a grid; yield each when it is complete.

    Raises:
        InputError: the grid is bad, or a source cannot be had.
    """
    grid, _ = read_grid(path, catalogue)
    for task, source in sources_of(build_plan(grid, catalogue, str(path), max_tests)):
        images = sum(len(load_split(catalogue, task, source, split).ids) for split in SPLITS)
        yield Fetched(task, source.label, images)


def ensure(sources: Iterable[tuple[str, Plugin]], catalogue: Catalogue) -> None:
    """See that sources are there, fetching what is missing: here once, before slots read the files side by side.

    Raises:
        InputError: a source cannot be had.
    """
    for task, source in sources:
        load_split(catalogue, task, source, "test")
