"""`dumb-bench fetch`: the files of a grid's sources, fetched where they are missing and read through once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.base import SPLITS
from dumb_bench.data.images import load_split
from dumb_bench.grid_file import read_grid
from dumb_bench.models.initial import fetched
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.spec import UNKNOWN, ModelSpec, Plugin


class Fetched(NamedTuple):
    """A source that is there. images: of all four splits."""

    task: str
    source: str
    images: int


def sources_of(plan: Plan) -> dict[tuple[str, Plugin], None]:
    """Return the sources of a plan, each with its task, in a stable order."""
    models = ((model.task, model.source) for model in plan.models.values() if model.source.name != UNKNOWN)
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


def fetch_weights(path: Path, catalogue: Catalogue, max_tests: int) -> Iterator[str]:
    """Fetch and verify the named initial weights of a grid; yield each file's name when it is there.

    Raises:
        InputError: the grid is bad, or a file cannot be had.
    """
    grid, _ = read_grid(path, catalogue)
    plan = build_plan(grid, catalogue, str(path), max_tests)
    for file in ensure_weights([part.spec for part in plan.parts.values()], catalogue):
        yield file.name


def ensure_weights(models: Iterable[ModelSpec], catalogue: Catalogue) -> list[Path]:
    """See that the named initial weights of models are there and whole, fetching what is missing; return their files.

    Raises:
        InputError: a file cannot be had, or is another than the one that was published.
    """
    distinct = {(model.architecture.name, model.init): model for model in models}
    found = [fetched(model, catalogue) for model in distinct.values()]
    return [path for path in found if path is not None]


def ensure(sources: Iterable[tuple[str, Plugin]], catalogue: Catalogue) -> None:
    """See that sources are there, fetching what is missing: here once, before slots read the files side by side.

    Raises:
        InputError: a source cannot be had.
    """
    for task, source in sources:
        load_split(catalogue, task, source, "test")
