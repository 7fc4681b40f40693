"""USPS: digits from envelopes, 16x16."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dumb_bench.data.base import Split, source
from dumb_bench.data.published import Half, opened, split_of
from dumb_bench.data.tasks import Task
from dumb_bench.data.ten_digits import NATIVE, TASK, digit_counts

TRAIN = (1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644)
TEST = (359, 264, 198, 166, 200, 160, 170, 147, 166, 177)


@source(
    "usps",
    tasks=(TASK,),
    origin="torchvision USPS: handwritten on envelopes, 16x16; downloaded on first use",
    counts=digit_counts(TRAIN, TEST),
    published=True,
)
def usps(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """USPS: handwritten digits from envelopes, 16x16 grey; 8 MB, downloaded on first use.

    Returns images (N, 3, H, W) uint8, white on black: 7,291 training images, of which a tenth is for validation and a
    tenth for tuning, and 2,007 test images. root: the folder that holds `usps.bz2` and `usps.t.bz2`, compared with
    their published MD5 sums each time.

    Raises:
        InputError: an unknown split or class, or files that are missing or altered.

    Source: J. J. Hull, A database for handwritten text recognition research (1994).
    """
    from torchvision.datasets import USPS

    del task
    place = root or Path("data")

    def read(test: bool) -> Half:
        _, file, md5 = USPS.split_list["test" if test else "train"]
        data = opened(
            "usps", place, [(file, md5)], lambda fetch: USPS(place, train=not test, download=fetch), download=download
        )
        return Half(data.data, np.asarray(data.targets, dtype=np.int64))

    return split_of("usps", wanted, split, NATIVE, read)
