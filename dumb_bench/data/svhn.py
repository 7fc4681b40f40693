"""SVHN: house numbers, 32x32."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dumb_bench.data.base import Split, source
from dumb_bench.data.published import Half, opened, split_of
from dumb_bench.data.tasks import Task
from dumb_bench.data.ten_digits import NATIVE, TASK, digit_counts

TRAIN = (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659)
TEST = (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595)


@source(
    "svhn",
    tasks=(TASK,),
    origin="torchvision SVHN: photographs of house numbers, 32x32; downloaded on first use",
    counts=digit_counts(TRAIN, TEST),
    published=True,
)
def svhn(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """SVHN: digits cut out of photographs of house numbers, 32x32 in colour; 250 MB, downloaded on first use.

    Returns images (N, 3, H, W) uint8: 73,257 training images (without the extra ones), of which a tenth is for
    validation and a tenth for tuning, and 26,032 test images. root: the folder that holds `train_32x32.mat` and
    `test_32x32.mat`, compared with their published MD5 sums each time.

    Raises:
        InputError: an unknown split or class, or files that are missing or altered.

    Source: Y. Netzer et al., Reading digits in natural images with unsupervised feature learning (2011).
    """
    from torchvision.datasets import SVHN

    del task
    place = root or Path("data")

    def read(test: bool) -> Half:
        half = "test" if test else "train"
        _, file, md5 = SVHN.split_list[half]
        data = opened(
            "svhn", place, [(file, md5)], lambda fetch: SVHN(place, split=half, download=fetch), download=download
        )
        return Half(data.data.transpose(0, 2, 3, 1), np.asarray(data.labels, dtype=np.int64))

    return split_of("svhn", wanted, split, NATIVE, read)
