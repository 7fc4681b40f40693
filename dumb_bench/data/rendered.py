"""Printed digits: those of the fonts that matplotlib ships, distorted, as small as optdigits."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dumb_bench.data.base import SPLITS, Split, source
from dumb_bench.data.digits import COUNTS, TASK, digit_split


@cache
def _images() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return all 1,076 images, (N, 8, 8) in 0..16, their digits (N,) and splits (N,), an index into `SPLITS`."""
    with files("dumb_bench.data").joinpath("rendered_digits.npz").open("rb") as file, np.load(file) as stored:
        return stored["counts"], stored["digit"].astype(np.int64), stored["split"]


@source(
    "rendered",
    tasks=(TASK,),
    origin="drawn from 17 TrueType fonts that matplotlib ships, distorted, 8x8",
    counts=COUNTS,
)
def rendered(task: str, split: str, *, root: Path | None = None, download: bool = False) -> Split:
    """Printed digits of 17 fonts, randomly distorted, 8x8 as optdigits, upscaled (bicubic) to 32x32; shipped.

    Returns images (N, 3, 32, 32) uint8; 300 a class in train, 50 in validation, 38 in tuning, 150 in test. The 8x8
    images are package data, made by `python -m dumb_bench.data.rendering`: they do not depend on the FreeType
    installed. `root` and `download` are not used.

    Raises:
        InputError: another task than `digits`, or an unknown split.

    Source: DejaVu, STIX and Computer Modern (BaKoMa) fonts.
    """
    del root, download
    counts, digits, splits = _images()
    own = np.flatnonzero(splits == SPLITS.index(split)) if split in SPLITS else np.empty(0, np.int64)
    return digit_split("rendered", task, split, counts, own, digits)
