"""The tasks of the harness: what is classified, as an ordered list of class names."""

from __future__ import annotations

from typing import NamedTuple

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
}


def task_named(name: str) -> Task:
    """Return a task.

    Raises:
        InputError: there is none of that name.
    """
    if name not in TASKS:
        raise InputError(unknown("task", name, TASKS))
    return TASKS[name]
