"""CIFAR-10: photographs of ten classes, 32x32."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dumb_bench.data.base import SPLITS, Split, source
from dumb_bench.data.images import permutation
from dumb_bench.data.pictures import fitted_arrays
from dumb_bench.data.published import native_labels
from dumb_bench.data.tasks import TASKS, Task
from dumb_bench.errors import InputError, unknown

TASK = TASKS["cifar10"]

PER_CLASS: dict[str, int] = {"train": 4500, "validation": 250, "tuning": 250, "test": 1000}
"""Images of each class in each split; the first three share the 5,000 training images a class."""


TASK_NAMES = (TASK.name, "cat_dog", "objects9")


def _counts(task: Task, split: str, params: Mapping[str, Any]) -> tuple[int, ...] | None:
    del params
    known = split in PER_CLASS and set(task.classes) <= set(TASK.classes)
    return (PER_CLASS[split],) * len(task.classes) if known else None


@source(
    "cifar10",
    tasks=TASK_NAMES,
    origin="torchvision CIFAR10: photographs, 32x32; downloaded on first use",
    counts=_counts,
    published=True,
)
def cifar10(
    task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task | None = None
) -> Split:
    """CIFAR-10: photographs of ten classes, 32x32; 170 MB, downloaded on first use.

    Returns images (N, 3, 32, 32) uint8. test: the 10,000 test images. train, validation and tuning: 45,000, 2,500 and
    2,500 of the 50,000 training images, by a fixed random order of each class. An id holds the split of CIFAR-10 and
    the image's number there: `train/00012`, `test/09999`; so ids of validation and tuning begin with `train/`. A task
    of fewer classes (`cat_dog`, `objects9`) has the same images of them in each split, at that task's size.

    root: the folder that holds `cifar-10-batches-py`. download: fetch it there if it is missing or altered.

    Raises:
        InputError: another task, an unknown split, or files that are missing or altered.

    The files are pickles, read by torchvision after it has compared each with its published MD5 sum.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images (2009).
    """
    from torchvision.datasets import CIFAR10

    if task not in TASK_NAMES:
        raise InputError(f"source 'cifar10': {unknown('task', task, TASK_NAMES)}")
    if split not in SPLITS:
        raise InputError(f"source 'cifar10': {unknown('split', split, SPLITS)}")
    return read_split(CIFAR10, split, root or Path("data"), PER_CLASS, download=download, wanted=wanted or TASKS[task])


def read_split(
    reader: Any,
    split: str,
    root: Path,
    per_class: Mapping[str, int],
    *,
    download: bool,
    name: str = "cifar10",
    wanted: Task = TASK,
) -> Split:
    """Return a split of files in CIFAR-10's format.

    reader: torchvision's CIFAR10, or a subclass for other files, which carries their names and MD5 sums. per_class:
    images of each class in each split. wanted: the task, of some of the classes.

    Raises:
        InputError: as `cifar10`; `name` is the source's.
    """
    data = _opened(reader, split == "test", root, download, name)
    if tuple(data.classes) != TASK.classes:
        raise InputError(f"source {name!r}: {root}: expected the classes {', '.join(TASK.classes)}, got {data.classes}")
    labels = np.asarray(data.targets, dtype=np.int64)
    chosen = np.arange(len(labels)) if split == "test" else _share(labels, split, per_class)
    native = native_labels(name, wanted, {known: number for number, known in enumerate(TASK.classes)})
    places = np.full(len(TASK.classes), -1, dtype=np.int64)
    places[list(native)] = np.arange(len(native))
    chosen = chosen[places[labels[chosen]] >= 0]
    images = fitted_arrays(data.data[chosen], wanted.image_shape)
    half = "test" if split == "test" else "train"
    return Split(images, places[labels[chosen]], tuple(f"{half}/{number:05d}" for number in chosen))


def _share(labels: npt.NDArray[np.int64], split: str, per_class: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Return the numbers of the training images that a split takes, ascending: disjoint shares of each class."""
    parts = [part for part in SPLITS if part != "test"]
    bounds = dict(zip(parts, accumulate((per_class[part] for part in parts), initial=0), strict=False))
    chosen = []
    for label in range(len(TASK.classes)):
        own = np.flatnonzero(labels == label)
        order = own[permutation(len(own), TASK.name, "split", label)]
        chosen.append(order[bounds[split] : bounds[split] + per_class[split]])
    return np.sort(np.concatenate(chosen))


def _opened(reader: Any, test: bool, root: Path, download: bool, name: str) -> Any:
    """Return torchvision's data set.

    Raises:
        InputError: a file is missing or altered and not fetched; names the folder.
    """
    folder = root / reader.base_folder
    try:
        if download and _bad_file(reader, folder):
            root.mkdir(parents=True, exist_ok=True)
            reader(root, train=False, download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"source {name!r}: cannot be downloaded to {root}: {error}") from None
    problem = _bad_file(reader, folder)
    if problem:
        raise InputError(
            f"source {name!r}: expected its files in {folder}: {problem}; name the folder that holds "
            f"{reader.base_folder} with --data DIR, or fetch it: dumb-bench fetch GRID --data DIR"
        )
    return reader(root, train=not test)


def _bad_file(reader: Any, folder: Path) -> str:
    """Return which file is missing or altered, or nothing."""
    from torchvision.datasets.utils import check_integrity

    sums = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    for file, md5 in sums:
        if not check_integrity(folder / file, md5):
            return f"{file} is {'altered' if (folder / file).is_file() else 'missing'}"
    return ""
