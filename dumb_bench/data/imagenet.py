"""ImageNet 2012, from archives that the user has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dumb_bench.data.base import SPLITS, Listed, Split, source
from dumb_bench.data.images import permutation
from dumb_bench.data.pictures import read_listed
from dumb_bench.data.published import check_split, native_labels, opened
from dumb_bench.data.tasks import TASKS, Task

NATIVE = {name: number for number, name in enumerate(TASKS["imagenet"].classes)}

HELD = 10
"""Training images of each class that are for validation, and as many for tuning."""

TRAIN, TEST = 100, 50


def _counts(task: Task, split: str, params: Mapping[str, Any]) -> tuple[int, ...] | None:
    if split not in SPLITS:
        return None
    sizes = {"train": params.get("train_per_class", TRAIN), "test": params.get("test_per_class", TEST)}
    return (sizes.get(split, HELD),) * len(task.classes)


def listed(
    task: Task,
    split: str,
    *,
    root: Path | None = None,
    download: bool = False,
    train_per_class: int = TRAIN,
    test_per_class: int = TEST,
) -> Listed:
    """Return the files of a split; see `imagenet`.

    Raises:
        InputError: an unknown split or class, or files that are missing.
    """
    from torchvision.datasets import ImageNet

    check_split("imagenet", split)
    native = native_labels("imagenet", task, NATIVE)
    place = root or Path("data")
    folder = place / "imagenet"
    half = "val" if split == "test" else "train"
    found = opened(
        "imagenet", folder, [("meta.bin", None), ("train", None), ("val", None)],
        lambda unpack: [ImageNet(folder, split=part) for part in ("train", "val") if unpack or part == half][-1],
        download=download,
    )  # fmt: skip
    targets = np.array(found.targets, dtype=np.int64)
    shares = {
        "validation": (0, HELD),
        "tuning": (HELD, HELD),
        "train": (2 * HELD, train_per_class),
        "test": (0, test_per_class),
    }
    first, many = shares[split]
    paths: list[Path] = []
    labels: list[int] = []
    for position, label in enumerate(native):
        own = np.flatnonzero(targets == label)
        drawn = np.sort(own[permutation(len(own), "imagenet", half, label)][first : first + many])
        paths += [Path(found.samples[number][0]) for number in drawn]
        labels += [position] * len(drawn)
    ids = tuple(f"{half}/{path.parent.name}/{path.name}" for path in paths)
    return Listed(place, tuple(paths), np.array(labels, dtype=np.int64), ids)


@source(
    "imagenet",
    tasks=("imagenet",),
    origin="torchvision ImageNet 2012: photographs; unpacked from archives of your own",
    counts=_counts,
    listed=listed,
    published=True,
)
def imagenet(
    task: str,
    split: str,
    *,
    root: Path | None = None,
    download: bool = False,
    wanted: Task,
    train_per_class: Annotated[int, Field(ge=1, le=700)] = TRAIN,
    test_per_class: Annotated[int, Field(ge=1, le=50)] = TEST,
) -> Split:
    """ImageNet 2012: photographs of 1,000 classes, from the user's own archives; nothing can be downloaded.

    Returns images (N, 3, H, W) uint8, the centre cut out and resized (`data.pictures`): of each class `train_per_class`
    in train, 10 each in validation and tuning, by a fixed random order of its training images, and `test_per_class` of
    the 50 validation images in test. At 224 pixels 100,000 images are 15 GB: they are held in memory unless they were
    decoded below `root/.decoded` (when files may be fetched). Class k of the task is the k-th WordNet id.

    root: the folder that holds `imagenet`, in it ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar and
    ILSVRC2012_img_val.tar, which are compared with their published MD5 sums and unpacked there by `fetch`.

    Raises:
        InputError: an unknown split or class, archives that are missing or altered, or an image that cannot be read.

    Source: O. Russakovsky et al., ImageNet large scale visual recognition challenge (2015); research only.
    """
    del task
    files = listed(
        wanted, split, root=root, download=download, train_per_class=train_per_class, test_per_class=test_per_class
    )
    return read_listed(files, wanted, keep=files.root if download else None)
