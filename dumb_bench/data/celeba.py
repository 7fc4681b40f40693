"""CelebA: portraits of people who are known to the public."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dumb_bench.data.base import SPLITS, Listed, Split, source
from dumb_bench.data.images import permutation
from dumb_bench.data.pictures import read_listed
from dumb_bench.data.published import check_split, native_labels, opened
from dumb_bench.data.tasks import Task

NATIVE = {"woman": 0, "man": 1}

PER_CLASS: dict[str, int] = {"train": 3500, "validation": 500, "tuning": 500, "test": 1000}
"""As in DUMB's sets. There are 68,261 men in CelebA's train, 8,458 in its valid and 7,715 in its test; more women."""


def _counts(task: Task, split: str, params: Mapping[str, Any]) -> tuple[int, ...] | None:
    del params
    return (PER_CLASS[split],) * len(task.classes) if split in SPLITS and set(task.classes) <= set(NATIVE) else None


def listed(task: Task, split: str, *, root: Path | None = None, download: bool = False) -> Listed:
    """Return the files of a split; see `celeba`.

    Raises:
        InputError: an unknown split or class, or files that are missing or altered.
    """
    from torchvision.datasets import CelebA

    check_split("celeba", split)
    native = native_labels("celeba", task, NATIVE)
    place = root or Path("data")
    half = {"train": "train", "test": "test"}.get(split, "valid")
    folder = place / CelebA.base_folder
    sums = [(file, md5) for _, md5, file in CelebA.file_list if not file.endswith(".zip")]
    data = opened(
        "celeba", folder, [*sums, ("img_align_celeba", None)],
        lambda fetch: CelebA(place, split=half, download=fetch), download=download,
    )  # fmt: skip
    male = data.attr[:, data.attr_names.index("Male")].numpy()
    start = PER_CLASS["validation"] if split == "tuning" else 0
    drawn = []
    for label in native:
        own = np.flatnonzero(male == label)
        drawn.append(own[permutation(len(own), "celeba", half, label)][start : start + PER_CLASS[split]])
    chosen = np.sort(np.concatenate(drawn))
    labels = np.array([native.index(label) for label in male[chosen].tolist()], dtype=np.int64)
    names = [data.filename[number] for number in chosen]
    paths = tuple(folder / "img_align_celeba" / name for name in names)
    return Listed(place, paths, labels, tuple(f"{half}/{name}" for name in names))


@source(
    "celeba",
    tasks=("man_woman",),
    origin="torchvision CelebA: aligned portraits, 178x218; downloaded on first use",
    counts=_counts,
    listed=listed,
    published=True,
)
def celeba(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """CelebA: portraits, labelled by its attribute `Male`; 1.4 GB, downloaded on first use with the package gdown.

    Returns images (N, 3, H, W) uint8, the centre cut out and resized (`data.pictures`), in the numbers of DUMB's sets:
    3,500 a class in train, 500 each in validation and tuning (both of CelebA's `valid`), 1,000 in test, by a fixed
    random order. No person is in two of CelebA's parts. root: the folder that holds `celeba`; the lists are compared
    with their published MD5 sums each time, the archive when it is fetched.

    The labels are annotators' binary impressions of a picture, not statements of the people shown. The pictures were
    gathered from the Internet by the MMLab of the Chinese University of Hong Kong, do not belong to it and have no
    common licence; it allows non-commercial research only and no redistribution.

    Raises:
        InputError: an unknown split or class, files that are missing or altered, or an image that cannot be read.

    Source: Z. Liu, P. Luo, X. Wang, X. Tang, Deep learning face attributes in the wild (ICCV 2015).
    """
    del task
    files = listed(wanted, split, root=root, download=download)
    return read_listed(files, wanted, keep=files.root if download else None)
