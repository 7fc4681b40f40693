"""From a source to the images that are used: one split of it, checked; and the images that are attacked."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.base import SPLITS, Listed, SourceInfo, Split
from dumb_bench.data.tasks import Task, task_named
from dumb_bench.errors import InputError, unknown
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import ImagesSpec, Plugin

_KEPT = 32
"""Splits that a process keeps in memory."""


def permutation(count: int, *key: str | int) -> npt.NDArray[np.int64]:
    """Return a permutation (count,) of 0..count-1 that depends on the key alone, with every library version."""
    return np.array(sorted(range(count), key=lambda index: derive_seed(*key, index)), dtype=np.int64)


@lru_cache(maxsize=_KEPT)
def load_split(catalogue: Catalogue, task: str, source: Plugin, split: str) -> Split:
    """Return one split of a source, checked and read-only; a process loads it once.

    Raises:
        InputError: unknown task, source or split; the source does not offer the task; or it returned something else
            than (N, C, H, W) uint8 images of the task's shape, int64 labels of its classes and unique ids.
    """
    if split not in SPLITS:
        raise InputError(unknown("split", split, SPLITS))
    entry = catalogue.get("sources", source.name)
    wanted = task_named(task, catalogue)
    info: SourceInfo = entry.info
    if not info.offers(task):
        raise InputError(f"source {source.name!r}: {unknown('task', task, info.tasks)}")
    extra = {"wanted": wanted} if "wanted" in inspect.signature(entry.call).parameters else {}
    where = f"source {source.name!r}, task {task!r}, split {split!r}"
    with _named(where):
        found = entry.call(wanted.base, split, **_place(catalogue), **extra, **source.as_dict())
    problem = _fault(found, wanted) or _miscount(found, info.declared(wanted, split, source.as_dict()))
    if problem:
        raise InputError(f"{where}: {problem}")
    for array in (found.images, found.labels):
        array.flags.writeable = False
    return Split(*found)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Turn whatever a source raises into one line that names it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{where}: fails with {type(error).__name__}: {error}") from error


def _place(catalogue: Catalogue) -> dict[str, Any]:
    """Return where a source finds its files, as its arguments."""
    return {"root": catalogue.data.root.absolute(), "download": catalogue.data.download}


def listed_files(catalogue: Catalogue, task: str, source: Plugin, split: str) -> Listed | None:
    """Return the files of one split, unread; None for a source whose images are no files of their own.

    Raises:
        InputError: the files are missing or laid out otherwise.
    """
    info: SourceInfo = catalogue.get("sources", source.name).info
    if info.listed is None:
        return None
    wanted = task_named(task, catalogue)
    with _named(f"source {source.name!r}, task {task!r}, split {split!r}"):
        return info.listed(wanted, split, **_place(catalogue), **source.as_dict())


def _fault(found: object, task: Task) -> str:
    """Return what is wrong with a source's answer, or nothing."""
    if not isinstance(found, Split):
        return f"expected a Split(images, labels, ids), got {type(found).__name__}"
    images, labels, ids = found
    for name, array, kind in (("images", images, np.uint8), ("labels", labels, np.int64)):
        if not isinstance(array, np.ndarray) or array.dtype != kind:
            got = getattr(array, "dtype", type(array).__name__)
            return f"expected {name} as a NumPy array of {kind.__name__}, got {got}"
    if images.shape[1:] != task.image_shape:
        return f"expected images (N, {', '.join(map(str, task.image_shape))}), got {images.shape}"
    if labels.shape != (len(images),) or len(ids) != len(images):
        return f"expected equal lengths, got {len(images)} images, labels {labels.shape}, {len(ids)} ids"
    if len(images) == 0:
        return "holds no image"
    classes = len(task.classes)
    if labels.min() < 0 or labels.max() >= classes:
        return f"expected labels 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
    missing = sorted(set(range(classes)) - set(np.unique(labels).tolist()))
    if missing:
        return f"holds no image of class {task.classes[missing[0]]!r}"
    if not all(isinstance(name, str) for name in ids):
        return "expected ids that are strings"
    name, times = Counter(ids).most_common(1)[0]
    return f"expected unique ids, got {name!r} {times} times" if times > 1 else ""


def _miscount(split: Split, declared: tuple[int, ...] | None) -> str:
    """Return how a split's numbers differ from those that its source declares, or nothing."""
    found = tuple(np.bincount(split.labels).tolist())
    return "" if declared in (None, found) else f"expected {declared} images of the classes, as declared, got {found}"


def class_counts(catalogue: Catalogue, task: str, source: Plugin, split: str) -> tuple[int, ...]:
    """Return how many images a split has of each class: as the source declares, else counted.

    Files are counted without being read; any other source is loaded for it. Of a known data set that is not there its
    published numbers are returned (`unseen`).

    Raises:
        InputError: as `load_split`.
    """
    info: SourceInfo = catalogue.get("sources", source.name).info
    declared = info.declared(task_named(task, catalogue), split, source.as_dict())
    if declared is not None:
        return declared
    known = _absent(catalogue, task, source, split)
    if known is not None:
        return known
    files = listed_files(catalogue, task, source, split)
    if files is not None:
        return tuple(np.bincount(files.labels).tolist())
    return tuple(np.bincount(load_split(catalogue, task, source, split).labels).tolist())


def unseen(catalogue: Catalogue, task: str, source: Plugin) -> bool:
    """Whether nothing of a source is there, and its images are counted as they were published."""
    return _absent(catalogue, task, source, "test") is not None


def _absent(catalogue: Catalogue, task: str, source: Plugin, split: str) -> tuple[int, ...] | None:
    info: SourceInfo = catalogue.get("sources", source.name).info
    if info.absent is None:
        return None
    root = catalogue.data.root.absolute()
    return info.absent(task_named(task, catalogue), split, root=root, **source.as_dict())


def _check_per_class(available: Sequence[int], per_class: int) -> None:
    if per_class < 1:
        raise InputError(f"images.per_class: expected at least 1, got {per_class}")
    for label, count in enumerate(available):
        if count < per_class:
            raise InputError(f"images.per_class: expected at most {count} (class {label} has no more), got {per_class}")


def select(split: Split, *, per_class: int, key: tuple[str | int, ...]) -> Split:
    """Return `per_class` images of each class, chosen by the key and the ids alone.

    The order goes round the classes (one image of each, then the next of each), so a smaller selection is the
    beginning of a larger one, and neither depends on the order in which the source lists its images.

    Raises:
        InputError: a class has fewer images, or `per_class` is below 1.
    """
    classes = _ranked(split, key)
    _check_per_class([len(own) for own in classes], per_class)
    return _taken(split, [own[place] for place in range(per_class) for own in classes])


def whole(split: Split, *, key: tuple[str | int, ...]) -> Split:
    """Return all images, in an order of which every `select` with the same key is the beginning."""
    classes = _ranked(split, key)
    longest = max(map(len, classes))
    return _taken(split, [own[place] for place in range(longest) for own in classes if place < len(own)])


def _ranked(split: Split, key: tuple[str | int, ...]) -> list[list[int]]:
    """Return the images of each class, in the order that the key and the ids give."""
    ranks = [derive_seed(*key, name) for name in split.ids]
    labels = range(int(split.labels.max()) + 1)
    return [sorted(np.flatnonzero(split.labels == label).tolist(), key=ranks.__getitem__) for label in labels]


def _taken(split: Split, order: list[int]) -> Split:
    return Split(split.images[order], split.labels[order], tuple(split.ids[index] for index in order))


def attacked_images(catalogue: Catalogue, images: ImagesSpec) -> Split:
    """Return the images that a spec names: the same for every surrogate, attack and victim.

    Raises:
        InputError: as `load_split` and `select`, naming the source.
    """
    split = load_split(catalogue, images.task, images.source, images.split)
    try:
        return select(split, per_class=images.per_class, key=(images.task, images.source.name, images.split))
    except InputError as error:
        raise InputError(f"{error} in split {images.split!r} of source {images.source.name!r}") from None


def check_attacked(catalogue: Catalogue, images: ImagesSpec) -> None:
    """See that there are the images that a spec names, without loading them where the source declares its numbers.

    Raises:
        InputError: as `attacked_images`.
    """
    available = class_counts(catalogue, images.task, images.source, images.split)
    try:
        _check_per_class(available, images.per_class)
    except InputError as error:
        raise InputError(f"{error} in split {images.split!r} of source {images.source.name!r}") from None


def targets_of(split: Split, classes: int) -> npt.NDArray[np.int64]:
    """Return the class that a targeted attack aims at, (N,) int64: another than the label, drawn by the image's id."""
    steps = [derive_seed("target", name) % (classes - 1) + 1 for name in split.ids]
    return np.asarray((split.labels + np.array(steps, dtype=np.int64)) % classes, dtype=np.int64)


def clean_test_images(catalogue: Catalogue, task: str, source: Plugin) -> Split:
    """Return a source's whole test split, those images first that `attacked_images` gives, in its order."""
    return whole(load_split(catalogue, task, source, "test"), key=(task, source.name, "test"))
