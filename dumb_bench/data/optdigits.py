"""Handwritten digits: scikit-learn's copy of the UCI set `optdigits`."""

from __future__ import annotations

import gzip
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dumb_bench.data.base import Split, source
from dumb_bench.data.digits import COUNTS, TASK, digit_split, members


@cache
def _images() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return all 1,797 images, (N, 8, 8) in 0..16, and their digits (N,): what `load_digits` returns.

    The file is read where scikit-learn keeps it, since importing the package costs more than a second in every process;
    a test holds the result to `load_digits`, which also serves where a later version keeps the file elsewhere.
    """
    package = importlib.util.find_spec("sklearn")
    folders = list(package.submodule_search_locations or ()) if package else []
    path = Path(folders[0], "datasets", "data", "digits.csv.gz") if folders else Path()
    if path.is_file():
        with gzip.open(path, "rt") as lines:
            table = np.loadtxt(lines, delimiter=",", dtype=np.int64)
        return table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


@source("optdigits", tasks=(TASK,), origin="scikit-learn load_digits: UCI optdigits, handwritten, 8x8", counts=COUNTS)
def optdigits(task: str, split: str, *, root: Path | None = None, download: bool = False) -> Split:
    """Handwritten digits of 13 people, 8x8, upscaled (bicubic) to 32x32; shipped with scikit-learn.

    Returns images (N, 3, 32, 32) uint8; 300 a class in train, 50 in validation, 38 in tuning, 150 in test. An id holds
    the image's number in load_digits. `root` and `download` are not used: nothing is read or fetched.

    Raises:
        InputError: another task than `digits`, or an unknown split.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), its test set.
    """
    del root, download
    counts, digits = _images()
    return digit_split(
        "optdigits", task, split, counts, members("optdigits", digits).get(split, np.empty(0, np.int64)), digits
    )
