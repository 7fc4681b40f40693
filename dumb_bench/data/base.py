"""The contract of an image source."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.data.tasks import Task

SPLITS = ("train", "validation", "tuning", "test")
"""train and validation make models, tuning chooses strengths, test is only ever scored."""

_Source = TypeVar("_Source", bound=Callable[..., "Split"])


class Split(NamedTuple):
    """One split of one source for one task.

    images: (N, C, H, W) uint8. labels: (N,) int64, indices into the task's class names. ids: (N,) stable names.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    ids: tuple[str, ...]


class SourceInfo(NamedTuple):
    """tasks: the names of the tasks a source offers. origin: where its images come from. declares: tasks of its own."""

    tasks: tuple[str, ...]
    origin: str
    declares: tuple[Task, ...] = ()


def source(name: str, *, tasks: tuple[str | Task, ...], origin: str, version: int = 1) -> Callable[[_Source], _Source]:
    """Declare a function `(task, split, *, root=None, download=False, **params) -> Split` as an image source.

    tasks: the tasks it offers, by name, or as a `Task` where the task is the user's own (its sources all name it so).
    """
    declares = tuple(task for task in tasks if isinstance(task, Task))
    info = SourceInfo(tuple(task if isinstance(task, str) else task.name for task in tasks), origin, declares)

    def decorate(call: _Source) -> _Source:
        return mark(call, PluginInfo("sources", name, version, info))

    return decorate
