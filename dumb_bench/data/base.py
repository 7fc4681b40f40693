"""The contract of an image source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


Counts = Mapping[str, tuple[int, ...]]
"""Split -> how many images it has of each class of the task, in the order of the class names."""


class SourceInfo(NamedTuple):
    """tasks: the names of the tasks a source offers. origin: where its images come from. declares: tasks of its own.

    counts: task -> how many images each split has, for sources whose numbers are fixed; a grid of such a source is
    planned without its files, and what it returns is held to the numbers.
    """

    tasks: tuple[str, ...]
    origin: str
    declares: tuple[Task, ...] = ()
    counts: Mapping[str, Counts] = {}


def source(
    name: str,
    *,
    tasks: tuple[str | Task, ...],
    origin: str,
    version: int = 1,
    counts: Mapping[str, Counts] | None = None,
) -> Callable[[_Source], _Source]:
    """Declare a function `(task, split, *, root=None, download=False, **params) -> Split` as an image source.

    tasks: the tasks it offers, by name, or as a `Task` where the task is the user's own (its sources all name it so).
    counts: as `SourceInfo`; left out where the numbers are not fixed. root is the folder that the command line names
    with `--data`; download says whether the source may fetch what is missing there.
    """
    declares = tuple(task for task in tasks if isinstance(task, Task))
    names = tuple(task if isinstance(task, str) else task.name for task in tasks)
    info = SourceInfo(names, origin, declares, counts or {})

    def decorate(call: _Source) -> _Source:
        return mark(call, PluginInfo("sources", name, version, info))

    return decorate
