"""Images in folders, one folder a class: the layout of DUMB's data sets, and a user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dumb_bench.data.base import ANY_TASK, SPLITS, Listed, Split, source
from dumb_bench.data.pictures import read_listed
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError, shown, unknown
from dumb_bench.seeding import derive_seed
from dumb_bench.wording import printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,62}")
_MOST_NAME = 200
_IGNORED = ("Thumbs.db", "desktop.ini")


def listed(
    task: Task,
    split: str,
    *,
    root: Path | None = None,
    download: bool = False,
    origin: str = "",
    folders: Sequence[str] = (),
) -> Listed:
    """Return the files of a split, by class and then by name; see `folder`.

    Raises:
        InputError: a folder is missing, empty or holds something else than images; names it.
    """
    del download
    if split not in SPLITS:
        raise InputError(f"source 'folder': {unknown('split', split, SPLITS)}")
    place = (root or Path("data")) / task.base / _origin(origin)
    _check_folder(place, f"expected {task.base}/{origin}/{{train,val,test}}/CLASS/ below the folder of --data")
    own = place / "tuning"
    val = "validation" if (place / "validation").is_dir() else "val"
    part = {"train": "train", "validation": val, "tuning": "tuning" if own.is_dir() else val, "test": "test"}[split]
    names = _class_folders(task, folders)
    _check_classes(place / part, names)
    labels, paths, ids = [], [], []
    for label, name in enumerate(names):
        files = _images(place / part / name)
        chosen = [(path, f"{origin}/{part}/{name}/{path.name}") for path in files]
        if part == val and not own.is_dir():
            chosen = _half(chosen, split, task.base)
            if not chosen:
                raise InputError(
                    f"{place / part / name}: holds {len(files)} image; expected two or more, shared between validation "
                    "and the choice of strengths"
                )
        labels += [label] * len(chosen)
        paths += [path for path, _ in chosen]
        ids += [name for _, name in chosen]
    return Listed(root or Path("data"), tuple(paths), np.array(labels, dtype=np.int64), tuple(ids))


_DUMB_TASKS, _DUMB_ORIGINS = ("bike_motorbike", "cat_dog", "man_woman"), ("bing", "google")
_DUMB_COUNTS = {"train": 3500, "validation": 250, "tuning": 250, "test": 1000}


def as_published(task: Task, split: str, *, root: Path, origin: str = "", **others: object) -> tuple[int, ...] | None:
    """Return what DUMB's sets hold of each class, where no folder of that name is there."""
    del others
    if task.base not in _DUMB_TASKS or origin not in _DUMB_ORIGINS or (root / task.base / origin).exists():
        return None
    return (_DUMB_COUNTS[split],) * len(task.classes)


@source(
    "folder",
    tasks=(ANY_TASK,),
    origin="folders of images: DIR/TASK/ORIGIN/{train,val,test}/CLASS/",
    listed=listed,
    absent=as_published,
)
def folder(
    task: str,
    split: str,
    *,
    root: Path | None = None,
    download: bool = False,
    wanted: Task,
    origin: str = "",
    folders: tuple[str, ...] = (),
) -> Split:
    """Images in folders, DIR/TASK/ORIGIN/{train,val,test}/CLASS/*, of any task; nothing is downloaded.

    Returns images (N, 3, H, W) uint8 of the task's shape: the centre is cut out and resized (`data.pictures`).
    `validation` and `tuning` share `val`, half of each class by a fixed random order of the file names (validation has
    the odd one), unless there is a folder `tuning`; `val` may be called `validation`, as the package `datasets` does.
    An id is `ORIGIN/{train,val,tuning,test}/CLASS/FILE`.

    root: the folder of --data. wanted: the task. origin: the folder of the source; it tells sources apart. folders: the
    class folders in the order of the task's classes, where they are named otherwise. Decoded images are kept below
    `root/.decoded` when the files may be fetched, else held in memory: N x 3 x H x W bytes, in each process.

    Raises:
        InputError: a folder is missing, empty or holds something else than images, or an image cannot be read.

    Source of the layout: Alecci et al., Your Attack Can DUMB (RAID 2023), whose sets have 300x300 pixels and 3,500, 500
    and 1,000 images a class.
    """
    del task
    files = listed(wanted, split, root=root, download=download, origin=origin, folders=folders)
    return read_listed(files, wanted, keep=files.root if download else None)


def _origin(origin: str) -> str:
    if not origin:
        raise InputError("source 'folder': parameter 'origin': missing, as in { name = \"folder\", origin = \"bing\" }")
    if not _NAME.fullmatch(origin):
        raise InputError(f"source 'folder': parameter 'origin': expected the name of a folder, got {shown(origin)}")
    return origin


def _class_folders(task: Task, folders: Sequence[str]) -> tuple[str, ...]:
    """Return the name of each class's folder."""
    if not folders:
        return task.classes
    if len(folders) != len(task.classes) or len(set(folders)) != len(folders):
        raise InputError(
            f"source 'folder': parameter 'folders': expected {len(task.classes)} different names, one for each of "
            f"{', '.join(task.classes)}, got {len(folders)}"
        )
    for name in folders:
        if not _NAME.fullmatch(name):
            raise InputError(f"source 'folder': parameter 'folders': expected names of folders, got {shown(name)}")
    return tuple(folders)


def _check_folder(path: Path, otherwise: str) -> None:
    try:
        os.stat(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such folder; {otherwise}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from None
    if not path.is_dir():
        raise InputError(f"{path}: is no folder; {otherwise}")


def _check_classes(path: Path, names: Sequence[str]) -> None:
    """See that a split's folder holds exactly the folders of the classes."""
    _check_folder(path, "expected train, val and test")
    found = sorted(entry.name for entry in _entries(path))
    for name in names:
        if name not in found:
            there = ", ".join(printable(other, 40) for other in found[:10]) or "nothing"
            raise InputError(
                f"{path}: holds no folder for class {name!r}, but {there}; rename, or give `folders` in the grid"
            )
        _check_folder(path / name, "expected a folder of images")
    extra = [name for name in found if name not in names]
    if extra:
        raise InputError(
            f"{path}: holds {shown(extra[0])}, expected only the classes' folders {', '.join(names)}"
            + (f" (and {len(extra) - 1} more)" if len(extra) > 1 else "")
        )


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            kept = [entry for entry in found if not entry.name.startswith(".") and entry.name not in _IGNORED]
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from None
    return sorted(kept, key=lambda entry: os.fsencode(entry.name))


def _images(path: Path) -> list[Path]:
    """Return the image files of a class, by name."""
    entries = _entries(path)
    for problem in filter(None, map(_problem, entries)):
        raise InputError(f"{path}: {problem}")
    if not entries:
        raise InputError(f"{path}: holds no image; expected files such as 0001.jpg")
    return [Path(entry.path) for entry in entries]


def _problem(entry: os.DirEntry[str]) -> str:
    """Return why a class's folder must not hold this, or nothing."""
    name = entry.name
    if not name.isprintable() or len(name) > _MOST_NAME:  # bytes that are no UTF-8 are not printable either
        return f"holds a file named {shown(name)}; expected printable characters, at most {_MOST_NAME}"
    if entry.is_symlink() and not os.path.exists(entry.path):
        return f"{name!r} is a link that leads nowhere or in a circle"
    if entry.is_dir():
        return f"holds the folder {name!r}; expected only images"
    if not entry.is_file():
        return f"{name!r} is no regular file"
    if not name.lower().endswith(SUFFIXES):
        return f"{name!r} is no image; expected {', '.join(SUFFIXES)}"
    return ""


def _half(files: list[tuple[Path, str]], split: str, task: str) -> list[tuple[Path, str]]:
    """Return the share of `val` that validation or tuning takes: each file's place is drawn by its own name."""
    drawn = sorted(files, key=lambda item: derive_seed("folder", task, "val", item[1]))
    first = (len(drawn) + 1) // 2
    return sorted(drawn[:first] if split == "validation" else drawn[first:], key=lambda item: item[1])


def same_names(files: Listed, classes: Sequence[str]) -> Iterator[str]:
    """Yield the file names that occur in more than one class, each with the classes' names."""
    seen: dict[str, set[int]] = {}
    for path, label in zip(files.paths, files.labels.tolist(), strict=True):
        seen.setdefault(path.name, set()).add(label)
    for name, labels in seen.items():
        if len(labels) > 1:
            yield f"{name} ({', '.join(classes[label] for label in sorted(labels))})"
