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
from dumb_bench.data.tasks import TASKS
from dumb_bench.errors import InputError, unknown

TASK = TASKS["cifar10"]

PER_CLASS: dict[str, int] = {"train": 4500, "validation": 250, "tuning": 250, "test": 1000}
"""Images of each class in each split; the first three share the 5,000 training images a class."""


@source(
    "cifar10",
    tasks=(TASK.name,),
    origin="torchvision CIFAR10: photographs, 32x32; downloaded on first use",
    counts={TASK.name: {split: (count,) * len(TASK.classes) for split, count in PER_CLASS.items()}},
)
def cifar10(task: str, split: str, *, root: Path | None = None, download: bool = False) -> Split:
    """CIFAR-10: photographs of ten classes, 32x32; 170 MB, downloaded on first use.

    Returns images (N, 3, 32, 32) uint8. test: the 10,000 test images. train, validation and tuning: 45,000, 2,500 and
    2,500 of the 50,000 training images, by a fixed random order of each class. An id holds the split of CIFAR-10 and
    the image's number there: `train/00012`, `test/09999`; so ids of validation and tuning begin with `train/`.

    root: the folder that holds `cifar-10-batches-py`. download: fetch it there if it is missing or altered.

    Raises:
        InputError: another task, an unknown split, or files that are missing or altered.

    The files are pickles, read by torchvision after it has compared each with its published MD5 sum.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images (2009).
    """
    from torchvision.datasets import CIFAR10

    if task != TASK.name:
        raise InputError(f"source 'cifar10': {unknown('task', task, [TASK.name])}")
    if split not in SPLITS:
        raise InputError(f"source 'cifar10': {unknown('split', split, SPLITS)}")
    return read_split(CIFAR10, split, root or Path("data"), PER_CLASS, download=download)


def read_split(
    reader: Any, split: str, root: Path, per_class: Mapping[str, int], *, download: bool, name: str = "cifar10"
) -> Split:
    """Return a split of files in CIFAR-10's format.

    reader: torchvision's CIFAR10, or a subclass for other files, which carries their names and MD5 sums. per_class:
    images of each class in each split.

    Raises:
        InputError: as `cifar10`; `name` is the source's.
    """
    data = _opened(reader, split == "test", root, download, name)
    if tuple(data.classes) != TASK.classes:
        raise InputError(f"source {name!r}: {root}: expected the classes {', '.join(TASK.classes)}, got {data.classes}")
    labels = np.asarray(data.targets, dtype=np.int64)
    chosen = np.arange(len(labels)) if split == "test" else _share(labels, split, per_class)
    images = np.ascontiguousarray(data.data[chosen].transpose(0, 3, 1, 2))
    half = "test" if split == "test" else "train"
    return Split(images, labels[chosen], tuple(f"{half}/{number:05d}" for number in chosen))


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
