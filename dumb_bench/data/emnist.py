"""EMNIST: the digits of NIST's forms, 28x28."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dumb_bench.data.base import Split, source
from dumb_bench.data.published import Half, opened, split_of
from dumb_bench.data.tasks import Task
from dumb_bench.data.ten_digits import NATIVE, TASK, digit_counts


@source(
    "emnist",
    tasks=(TASK,),
    origin="torchvision EMNIST digits: handwritten, 28x28; downloaded on first use",
    counts=digit_counts((24_000,) * 10, (4_000,) * 10),
    published=True,
)
def emnist(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """EMNIST's balanced digits, 28x28 grey; 560 MB with its letters, downloaded on first use.

    Returns images (N, 3, H, W) uint8, upright (the files hold them transposed): 240,000 training images, of which a
    tenth is for validation and a tenth for tuning, and 40,000 test images. It is made of the same NIST forms as MNIST,
    by other processing, so some writers are in both. root: the folder that holds `EMNIST/raw`.

    Raises:
        InputError: an unknown split or class, or files that are missing.

    Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, EMNIST: extending MNIST to handwritten letters (2017).
    """
    from torchvision.datasets import EMNIST

    del task
    place = root or Path("data")

    def read(test: bool) -> Half:
        half = "test" if test else "train"
        files = [(f"emnist-digits-{half}-{kind}", None) for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        data = opened(
            "emnist", place / "EMNIST" / "raw", files,
            lambda fetch: EMNIST(place, split="digits", train=not test, download=fetch), download=download,
        )  # fmt: skip
        return Half(np.ascontiguousarray(data.data.numpy().transpose(0, 2, 1)), data.targets.numpy())

    return split_of("emnist", wanted, split, NATIVE, read, width=6)
