"""MNIST: handwritten digits, 28x28."""

from __future__ import annotations

from pathlib import Path

from dumb_bench.data.base import Split, source
from dumb_bench.data.published import Half, opened, split_of
from dumb_bench.data.tasks import Task
from dumb_bench.data.ten_digits import NATIVE, TASK, digit_counts

TRAIN = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
TEST = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


@source(
    "mnist",
    tasks=(TASK,),
    origin="torchvision MNIST: handwritten, 28x28; downloaded on first use",
    counts=digit_counts(TRAIN, TEST),
    published=True,
)
def mnist(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """MNIST: handwritten digits, 28x28 grey; 12 MB, downloaded on first use.

    Returns images (N, 3, H, W) uint8, white on black. test: the 10,000 test images; of each digit's training images a
    tenth is for validation, a tenth for tuning. root: the folder that holds `MNIST/raw`. Its archives are compared with
    their published MD5 sums when they are fetched; the unpacked files have none.

    Raises:
        InputError: an unknown split or class, or files that are missing.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition (1998).
    """
    from torchvision.datasets import MNIST

    del task
    place = root or Path("data")
    files = [
        (f"{half}-{kind}", None) for half in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]

    def read(test: bool) -> Half:
        data = opened(
            "mnist", place / "MNIST" / "raw", files, lambda fetch: MNIST(place, train=not test, download=fetch),
            download=download,
        )  # fmt: skip
        return Half(data.data.numpy(), data.targets.numpy())

    return split_of("mnist", wanted, split, NATIVE, read)
