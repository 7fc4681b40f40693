"""What the sources that torchvision reads have in common: files fetched and checked, images shared out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dumb_bench.data.base import SPLITS, Split
from dumb_bench.data.images import permutation
from dumb_bench.data.pictures import Pixels, fitted_arrays
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError, unknown

TENTH = 10
"""Of each class's training images, a tenth is for validation and a tenth for tuning, rounded down."""

Sums = Sequence[tuple[str, str | None]]
"""Files or folders below a folder, each with its published MD5 sum, None where there is none."""


class Half(NamedTuple):
    """The publisher's training or test images. images: (N, H, W) grey or (N, H, W, 3). labels: (N,) the publisher's."""

    images: Pixels
    labels: npt.NDArray[np.int64]


def opened(name: str, folder: Path, sums: Sums, read: Callable[[bool], Any], *, download: bool) -> Any:
    """Return torchvision's data set, fetched first where it is missing or altered and may be fetched.

    read: makes the data set, downloading what is missing if its argument is true.

    Raises:
        InputError: a file is missing or altered and not fetched; names the folder.
    """
    try:
        if download and bad_file(folder, sums):
            folder.mkdir(parents=True, exist_ok=True)
            read(True)
    except (OSError, RuntimeError, ImportError, EOFError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"source {name!r}: cannot be downloaded to {folder}: {text}") from None
    problem = bad_file(folder, sums)
    if problem:
        raise InputError(
            f"source {name!r}: expected its files in {folder}: {problem}; name the folder of the data with --data DIR, "
            "or fetch it: dumb-bench fetch GRID --data DIR"
        )
    return read(False)


def bad_file(folder: Path, sums: Sums) -> str:
    """Return which file is missing or altered, or nothing."""
    from torchvision.datasets.utils import check_integrity

    for file, md5 in sums:
        if md5 is None and (folder / file).is_dir():
            continue
        if not check_integrity(folder / file, md5):
            return f"{file} is {'altered' if (folder / file).is_file() else 'missing'}"
    return ""


def check_split(name: str, split: str) -> None:
    """Refuse a split that does not exist.

    Raises:
        InputError: it does not.
    """
    if split not in SPLITS:
        raise InputError(f"source {name!r}: {unknown('split', split, SPLITS)}")


def native_labels(name: str, task: Task, own: Mapping[str, int]) -> tuple[int, ...]:
    """Return the publisher's label of each class of a task. own: the publisher's class names in the task's words.

    Raises:
        InputError: the source has no images of a class.
    """
    for wanted in task.classes:
        if wanted not in own:
            raise InputError(f"source {name!r}: {unknown('class', wanted, own)}")
    return tuple(own[wanted] for wanted in task.classes)


def share(
    labels: npt.NDArray[np.int64], native: Sequence[int], split: str, key: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the numbers (M,) of the images of a split, ascending, and their labels in the task, (M,) int64.

    labels: (N,) the publisher's, of its test images for `test`, else of its training images, which train, validation
    and tuning share by a fixed random order of each class that depends on `key` (the source) and not on the task.
    """
    numbers = []
    for label in native:
        own = np.flatnonzero(labels == label)
        if split != "test":
            part = len(own) // TENTH
            own = own[permutation(len(own), key, "split", label)]
            bounds = {"train": (2 * part, None), "validation": (0, part), "tuning": (part, 2 * part)}
            own = own[slice(*bounds[split])]
        numbers.append(own)
    chosen = np.sort(np.concatenate(numbers))
    place = {label: position for position, label in enumerate(native)}
    return chosen, np.array([place[label] for label in labels[chosen].tolist()], dtype=np.int64)


def shared_counts(train: int, test: int, split: str) -> int:
    """Return how many images of a class `share` gives a split."""
    part = train // TENTH
    return {"train": train - 2 * part, "validation": part, "tuning": part, "test": test}[split]


def counts_by_class(train: Mapping[str, int], test: Mapping[str, int]) -> Callable[..., tuple[int, ...] | None]:
    """Return the declaration of a source whose images of each class are known, by the task's class names."""

    def counts(task: Task, split: str, params: Mapping[str, Any]) -> tuple[int, ...] | None:
        del params
        if any(name not in train for name in task.classes) or split not in SPLITS:
            return None
        return tuple(shared_counts(train[name], test[name], split) for name in task.classes)

    return counts


def split_of(
    name: str, task: Task, split: str, own: Mapping[str, int], read: Callable[[bool], Half], *, width: int = 5
) -> Split:
    """Return a split of a source of arrays. read: the publisher's training (False) or test images (True).

    An id is `train/00012` or `test/00007`: the publisher's half and the image's number there.

    Raises:
        InputError: an unknown split, or a class that the source has not; `name` is the source's.
    """
    check_split(name, split)
    native = native_labels(name, task, own)
    half = read(split == "test")
    chosen, labels = share(half.labels, native, split, name)
    part = "test" if split == "test" else "train"
    images = fitted_arrays(half.images[chosen], task.image_shape)
    return Split(images, labels, tuple(f"{part}/{number:0{width}d}" for number in chosen))
