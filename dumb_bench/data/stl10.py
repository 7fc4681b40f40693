"""STL-10: photographs of ten classes, 96x96."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dumb_bench.data.base import Split, source
from dumb_bench.data.published import Half, counts_by_class, opened, split_of
from dumb_bench.data.tasks import Task

CLASSES = ("airplane", "bird", "automobile", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
"""In the publisher's order; its `car` is called as in CIFAR-10."""


@source(
    "stl10",
    tasks=("objects9", "cat_dog"),
    origin="torchvision STL10: photographs, 96x96; downloaded on first use",
    counts=counts_by_class(dict.fromkeys(CLASSES, 500), dict.fromkeys(CLASSES, 800)),
    published=True,
)
def stl10(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """STL-10: photographs of ten classes, 96x96; 2.6 GB, downloaded on first use.

    Returns images (N, 3, H, W) uint8; of each class 400 in train, 50 in validation and 50 in tuning, from the 500
    labelled training images, and 800 in test. The 100,000 images without labels are not used. root: the folder that
    holds `stl10_binary`; the four files that are read are compared with their published MD5 sums each time.

    Raises:
        InputError: an unknown split or class, or files that are missing or altered.

    Source: A. Coates, H. Lee, A. Y. Ng, An analysis of single-layer networks in unsupervised feature learning (2011).
    The pictures are of ImageNet: beside `imagenet` this is no other source.
    """
    from torchvision.datasets import STL10

    class Labelled(STL10):  # type: ignore[misc]
        train_list = STL10.train_list[:2]

    del task
    place = root or Path("data")
    files = [(file, md5) for file, md5 in (*Labelled.train_list, *Labelled.test_list)]

    def read(test: bool) -> Half:
        half = "test" if test else "train"
        data = opened(
            "stl10", place / Labelled.base_folder, files,
            lambda fetch: Labelled(place, split=half, download=fetch), download=download,
        )  # fmt: skip
        return Half(data.data.transpose(0, 2, 3, 1), data.labels.astype(np.int64))

    return split_of("stl10", wanted, split, {name: number for number, name in enumerate(CLASSES)}, read)
