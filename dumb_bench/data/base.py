"""The contract of an image source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.data.tasks import Task, base_name
from dumb_bench.wording import printable

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


class Listed(NamedTuple):
    """One split of a source whose images are files, before any is read: their paths, labels and ids, in one order.

    root: the folder that `paths` are shown relative to in messages.
    """

    root: Path
    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    ids: tuple[str, ...]

    def shown(self, path: Path) -> str:
        """Return a file's path as messages show it, from the folder of the data on."""
        return printable(str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path), 200)


Counts = Mapping[str, tuple[int, ...]]
"""Split -> how many images it has of each class of the task, in the order of the class names."""

CountsOf = Callable[[Task, str, Mapping[str, Any]], tuple[int, ...] | None]
"""(task, split, the source's parameters) -> how many images there are of each class; None where that is not fixed."""

ANY_TASK = "*"
"""Among a source's tasks: it offers every task, those of a grid's own too."""


class SourceInfo(NamedTuple):
    """tasks: the names of the tasks a source offers. origin: where its images come from. declares: tasks of its own.

    counts: task -> how many images each split has, or a function that says so, for sources whose numbers are fixed; a
    grid of such a source is planned without its files, and what it returns is held to the numbers. listed: for sources
    of image files, a function `(task, split, *, root, download, **params) -> Listed` that reads no image. absent: where
    nothing of a known data set is there, `(task, split, *, root, **params)` says what its publisher counted, so that a
    grid can be planned; None where something is there, or nothing is known. published:
    the images are others' and cannot be put right by the user, so `check data` reports what occurs twice and goes on.
    """

    tasks: tuple[str, ...]
    origin: str
    declares: tuple[Task, ...] = ()
    counts: Mapping[str, Counts] | CountsOf = MappingProxyType({})
    listed: Callable[..., Listed] | None = None
    published: bool = False
    absent: Callable[..., tuple[int, ...] | None] | None = None

    def offers(self, task: str) -> bool:
        """Whether a source offers a task, given by name or label."""
        return ANY_TASK in self.tasks or base_name(task) in self.tasks

    def declared(self, task: Task, split: str, params: Mapping[str, Any]) -> tuple[int, ...] | None:
        """Return how many images of each class a split has, as far as the source declares it."""
        if callable(self.counts):
            return self.counts(task, split, params)
        changed = "[" in task.name
        return None if changed else self.counts.get(task.base, {}).get(split)


def source(
    name: str,
    *,
    tasks: tuple[str | Task, ...],
    origin: str,
    version: int = 1,
    counts: Mapping[str, Counts] | CountsOf | None = None,
    listed: Callable[..., Listed] | None = None,
    published: bool = False,
    absent: Callable[..., tuple[int, ...] | None] | None = None,
) -> Callable[[_Source], _Source]:
    """Declare a function `(task, split, *, root=None, download=False, **params) -> Split` as an image source.

    tasks: the tasks it offers, by name, or as a `Task` where the task is the user's own (its sources all name it so).
    counts: as `SourceInfo`; left out where the numbers are not fixed. root is the folder that the command line names
    with `--data`; download says whether the source may fetch what is missing there. A function that has the
    keyword-only argument `wanted` is given the `Task` there, whose classes and image side a grid may have changed.
    """
    declares = tuple(task for task in tasks if isinstance(task, Task))
    names = tuple(task if isinstance(task, str) else task.name for task in tasks)
    info = SourceInfo(names, origin, declares, counts or {}, listed, published, absent)

    def decorate(call: _Source) -> _Source:
        return mark(call, PluginInfo("sources", name, version, info))

    return decorate
