"""The tasks of the harness: what is classified, as an ordered list of class names."""

from __future__ import annotations

from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError, unknown


class Task(NamedTuple):
    """A classification task. image_shape: (C, H, W) that every source of the task delivers."""

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    summary: str


TASKS: dict[str, Task] = {
    "digits": Task(
        "digits",
        ("127", "056"),
        (3, 32, 32),
        "digits {1, 2, 7} against {0, 5, 6}, handwritten or rendered from fonts; no download",
    ),
    "cifar10": Task(
        "cifar10",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (3, 32, 32),
        "the ten classes of CIFAR-10",
    ),
}


def known_tasks(catalogue: Catalogue) -> dict[str, Task]:
    """Return every task by name: the package's, and those that a user's sources declare.

    Raises:
        InputError: two sources declare a task of one name differently.
    """
    found = dict(TASKS)
    for name in catalogue.foreign("sources"):
        for task in catalogue.get("sources", name).info.declares:
            if found.setdefault(task.name, task)[:3] != task[:3]:
                raise InputError(
                    f"source {name!r}: declares the task {task.name!r} with other classes or another shape"
                )
    return found


def task_named(name: str, catalogue: Catalogue) -> Task:
    """Return a task.

    Raises:
        InputError: there is none of that name.
    """
    if name in TASKS:
        return TASKS[name]
    tasks = known_tasks(catalogue)
    if name not in tasks:
        raise InputError(unknown("task", name, tasks))
    return tasks[name]
