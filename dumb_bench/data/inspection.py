"""What is wrong with a source's images, all of it: every file read, every image compared with every other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.base import SPLITS, Listed, SourceInfo
from dumb_bench.data.folder import same_names
from dumb_bench.data.images import listed_files, load_split
from dumb_bench.data.pictures import Pixels, decoded
from dumb_bench.data.tasks import Task, task_named
from dumb_bench.errors import InputError
from dumb_bench.spec import Plugin

MOST = 20
"""Faults of one source that are named; the others are counted."""


class Inspected(NamedTuple):
    """faults and notes: sentences. images: split -> how many could be read. digests: sha256 of each one's pixels."""

    faults: tuple[str, ...]
    notes: tuple[str, ...]
    images: dict[str, int]
    digests: frozenset[bytes]


class _Seen(NamedTuple):
    """An image that was read."""

    split: str
    label: int
    id: str


def inspect_source(catalogue: Catalogue, task: str, source: Plugin) -> Inspected:
    """Return all that is wrong with the four splits of a source, and what only deserves notice.

    One image is in memory at a time where the source lists files, one split elsewhere. Two images are the same if their
    pixels are, at the task's size. Of a published source what occurs twice is a note.

    Raises:
        InputError: unknown task or source.
    """
    wanted = task_named(task, catalogue)
    info: SourceInfo = catalogue.get("sources", source.name).info
    faults: list[str] = []
    notes: list[str] = []
    seen: dict[bytes, list[_Seen]] = {}
    images = dict.fromkeys(SPLITS, 0)
    for split in SPLITS:
        try:
            for label, name, pixels in _read(catalogue, wanted, source, split, faults, notes):
                seen.setdefault(hashlib.sha256(pixels.tobytes()).digest(), []).append(_Seen(split, label, name))
                images[split] += 1
        except InputError as error:
            faults.append(str(error))
    (notes if info.published else faults).extend(_doubles(seen.values(), wanted.classes))
    notes += _repeated(seen.values())
    return Inspected(_first(faults), _first(notes), images, frozenset(seen))


def _read(
    catalogue: Catalogue, task: Task, source: Plugin, split: str, faults: list[str], notes: list[str]
) -> Iterator[tuple[int, str, Pixels]]:
    """Yield (label, id, pixels) of each image; files that cannot be read go to `faults`."""
    files = listed_files(catalogue, task.name, source, split)
    if files is None:
        whole = load_split.__wrapped__(catalogue, task.name, source, split)
        yield from zip(whole.labels.tolist(), whole.ids, whole.images, strict=True)
        return
    notes += _names_shared(files, task, split)
    for path, label, name in zip(files.paths, files.labels.tolist(), files.ids, strict=True):
        try:
            pixels = decoded(path, task.image_shape, files.shown(path))
        except InputError as error:
            faults.append(str(error))
            continue
        yield label, name, pixels


def _names_shared(files: Listed, task: Task, split: str) -> Iterator[str]:
    names = list(same_names(files, task.classes))
    if names:
        yield f"{len(names)} file names of {split} occur in more than one class: {names[0]}"


def _doubles(groups: Collection[list[_Seen]], classes: Sequence[str]) -> Iterator[str]:
    """Yield what contradicts itself: an image of two classes, or one in two splits."""
    for group in groups:
        first = group[0]
        for other in group[1:]:
            if other.label != first.label:
                yield (
                    f"{first.id} and {other.id}: the same image under two labels, {classes[first.label]!r} and "
                    f"{classes[other.label]!r}"
                )
                break
            if other.split != first.split:
                yield f"{first.id} and {other.id}: the same image in {first.split} and {other.split}"
                break


def _repeated(groups: Collection[list[_Seen]]) -> Iterator[str]:
    """Yield how many images of a split only repeat another of their class."""
    times: dict[str, list[_Seen]] = {}
    for group in groups:
        places = [(item.split, item.label) for item in group]
        for number, item in enumerate(group):
            if places[number] in places[:number]:
                times.setdefault(item.split, []).append(item)
    for split, items in times.items():
        yield f"{len(items)} images of {split} repeat another of their class, such as {items[0].id}"


def _first(lines: Sequence[str]) -> tuple[str, ...]:
    distinct = list(dict.fromkeys(lines))
    if len(distinct) > MOST:
        return (*distinct[:MOST], f"and {len(distinct) - MOST:,} more")
    return tuple(distinct)
