"""The tasks of the harness: what is classified, as an ordered list of class names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError, unknown

_LABEL = re.compile(r"([a-z][a-z0-9_]*)(?:\[([^\[\]@]+)\])?(?:@([1-9][0-9]{0,4}))?")


class Task(NamedTuple):
    """A classification task. image_shape: (C, H, W) that every source of the task delivers.

    A grid may change a task's classes or the side of its images; then `name` is a label that says so,
    `cat_dog@224`, `objects9[cat,dog]`, `mine[disc,square]@64`, in every column and id.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    summary: str

    @property
    def base(self) -> str:
        """The name without what a grid changed."""
        return base_name(self.name)


_DIGITS = tuple("0123456789")

_TASKS = (
    Task(
        "digits",
        ("127", "056"),
        (3, 32, 32),
        "digits {1, 2, 7} against {0, 5, 6}, handwritten or rendered from fonts; no download",
    ),
    Task(
        "cifar10",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (3, 32, 32),
        "the ten classes of CIFAR-10",
    ),
    Task("cat_dog", ("cat", "dog"), (3, 300, 300), "cats against dogs, one of the three tasks of DUMB"),
    Task("bike_motorbike", ("bike", "motorbike"), (3, 300, 300), "bicycles against motorbikes, of DUMB"),
    Task("man_woman", ("man", "woman"), (3, 300, 300), "pictures of men against those of women, of DUMB"),
    Task(
        "objects9",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "horse", "ship", "truck"),
        (3, 32, 32),  # the smaller of the two sources' sizes: nothing that only one of them could show
        "the nine classes that CIFAR-10 and STL-10 share",
    ),
    Task("ten_digits", _DIGITS, (3, 32, 32), "the digits 0 to 9, handwritten, printed or of house numbers"),
    Task(
        "imagenet",
        tuple(f"class_{number:03d}" for number in range(1000)),
        (3, 224, 224),
        "the 1,000 classes of ImageNet 2012, in the order of their WordNet ids, as torchvision numbers them",
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _TASKS}


def known_tasks(catalogue: Catalogue) -> dict[str, Task]:
    """Return every task by name: the package's, and those that a user's sources declare.

    Raises:
        InputError: two sources declare a task of one name differently.
    """
    found = dict(TASKS)
    for name in catalogue.foreign("sources"):
        for task in catalogue.get("sources", name).info.declares:
            if found.setdefault(task.name, task)[:3] != task[:3]:
                raise InputError(
                    f"source {name!r}: declares the task {task.name!r} with other classes or another shape"
                )
    return found


def task_named(name: str, catalogue: Catalogue) -> Task:
    """Return a task, also one that a grid changed: its label says how.

    Raises:
        InputError: there is none of that name.
    """
    if name in TASKS:
        return TASKS[name]
    label = _LABEL.fullmatch(name)
    if label is not None and (label[2] or label[3]):
        return changed_task(
            label[1], label[2].split(",") if label[2] else None, int(label[3]) if label[3] else None, catalogue
        )
    tasks = known_tasks(catalogue)
    if name not in tasks:
        raise InputError(unknown("task", name, tasks))
    return tasks[name]


def changed_task(name: str, classes: Sequence[str] | None, side: int | None, catalogue: Catalogue) -> Task:
    """Return a task with other classes, or images of another side; a task that nobody declared needs both.

    What is as in the known task is left out of the label, so that a grid which repeats it computes the same.

    Raises:
        InputError: no such task is known, and classes or side are missing; names the key of `[tasks.NAME]`.
    """
    known = known_tasks(catalogue)
    old = known.get(name)
    if old is None:
        if classes is None:
            raise InputError(f"{unknown('task', name, known)} Or name its classes: [tasks.{name}] classes = [...]")
        if side is None:
            raise InputError(f"tasks.{name}.size: missing; a task of your own needs the side of its images in pixels")
        return Task(f"{name}[{','.join(classes)}]@{side}", tuple(classes), (3, side, side), "declared by a grid")
    label, shape = name, old.image_shape
    chosen = old.classes if classes is None else tuple(classes)
    if chosen != old.classes:
        label += f"[{','.join(chosen)}]"
    if side is not None and (side, side) != shape[1:]:
        label, shape = f"{label}@{side}", (shape[0], side, side)
    return old._replace(name=label, classes=chosen, image_shape=shape)


def base_name(label: str) -> str:
    """Return a task's name without what a grid changed: `cat_dog@224` -> `cat_dog`."""
    return re.split(r"[\[@]", label, maxsplit=1)[0]
