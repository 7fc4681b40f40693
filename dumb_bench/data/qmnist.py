"""QMNIST: MNIST made again from its sources, with 50,000 more test images."""

from __future__ import annotations

from pathlib import Path

from dumb_bench.data.base import Split, source
from dumb_bench.data.published import Half, opened, split_of
from dumb_bench.data.tasks import Task
from dumb_bench.data.ten_digits import NATIVE, TASK


@source(
    "qmnist",
    tasks=(TASK,),
    origin="torchvision QMNIST: handwritten, 28x28; downloaded on first use",
    published=True,
)
def qmnist(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """QMNIST: MNIST made again from the NIST images, 28x28 grey; downloaded on first use.

    Returns images (N, 3, H, W) uint8. test: the 50,000 test images that MNIST does not have. The training images are
    MNIST's, redone: beside `mnist` this is hardly another source, but it has other test images. root: the folder that
    holds `QMNIST/raw`. How many images of each digit there are is counted, so a plan needs the files.

    Raises:
        InputError: an unknown split or class, or files that are missing.

    Source: C. Yadav, L. Bottou, Cold Case: the Lost MNIST Digits (NeurIPS 2019).
    """
    from torchvision.datasets import QMNIST

    del task
    place = root or Path("data")

    def read(test: bool) -> Half:
        half = "test" if test else "train"
        files = [(f"qmnist-{half}-images-idx3-ubyte", None), (f"qmnist-{half}-labels-idx2-int", None)]
        what = "test50k" if test else "train"
        data = opened(
            "qmnist", place / "QMNIST" / "raw", files, lambda fetch: QMNIST(place, what=what, download=fetch),
            download=download,
        )  # fmt: skip
        return Half(data.data.numpy(), data.targets[:, 0].numpy())

    return split_of("qmnist", wanted, split, NATIVE, read)
