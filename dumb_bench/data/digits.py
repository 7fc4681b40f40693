"""What the two sources of the task `digits` share: classes, split sizes, and how an 8x8 image becomes a 32x32 one."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import numpy.typing as npt

from dumb_bench.data.base import SPLITS, Split
from dumb_bench.data.images import permutation
from dumb_bench.errors import InputError, unknown

TASK = "digits"

CLASSES: tuple[tuple[int, ...], ...] = ((1, 2, 7), (0, 5, 6))
"""The digits of each class, in the order of the task's class names."""

PER_CLASS: dict[str, int] = {"train": 300, "validation": 50, "tuning": 38, "test": 150}
"""Images of each class in each split: 538 in all, what optdigits has of its smaller class."""

COUNTS = {TASK: {split: (count,) * len(CLASSES) for split, count in PER_CLASS.items()}}
"""The same numbers, as a source declares them."""

SIDE, FACTOR, LEVELS = 8, 4, 16
"""An optdigits image is 8x8; each value counts the set pixels, 0..16, of a 4x4 block of a 32x32 bitmap."""


def block_counts(bitmaps: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Count the set pixels of each 4x4 block, as optdigits was made: (..., 32, 32) bool -> (..., 8, 8) uint8 in 0..16.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998).
    """
    blocks = bitmaps.reshape(*bitmaps.shape[:-2], SIDE, FACTOR, SIDE, FACTOR)
    return np.asarray(blocks.sum(axis=(-3, -1)), dtype=np.uint8)


def _bicubic() -> npt.NDArray[np.int64]:
    """Return the (32, 8) weights of the 4-fold bicubic upscale times 1024: whole numbers; the border is repeated."""
    weights = np.zeros((SIDE * FACTOR, SIDE))
    for row in range(SIDE * FACTOR):
        centre = (row + 0.5) / FACTOR - 0.5
        first = int(np.floor(centre)) - 1
        for tap in range(first, first + 4):
            distance = abs(centre - tap)
            if distance <= 1:
                weight = 1.5 * distance**3 - 2.5 * distance**2 + 1
            else:
                weight = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
            weights[row, min(max(tap, 0), SIDE - 1)] += weight
    return np.asarray(weights * 1024, dtype=np.int64)


def upscale(counts: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Upscale block counts (N, 8, 8) in 0..16 to images (N, 3, 32, 32) uint8, the same in all three channels.

    Whole-number arithmetic from end to end, so the images are the same bits with every library version.

    Source: R. Keys, Cubic convolution interpolation for digital image processing (1981), a = -1/2.
    """
    weights = _bicubic()
    scaled = weights @ counts.astype(np.int64) @ weights.T * 255
    unit = 1024 * 1024 * LEVELS
    grey = np.clip((scaled + unit // 2) // unit, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(grey[:, None], (len(grey), 3, *grey.shape[1:])))


def members(source: str, digits: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the image numbers of each split, by class and then in a fixed random order.

    digits: (N,) the digit of each of the source's images. Every split holds `PER_CLASS` images of each class; what is
    left over belongs to none.
    """
    parts: dict[str, list[npt.NDArray[np.int64]]] = {split: [] for split in SPLITS}
    bounds = (0, *accumulate(PER_CLASS[split] for split in SPLITS))
    for label, own in enumerate(CLASSES):
        numbers = np.flatnonzero(np.isin(digits, own))
        numbers = numbers[permutation(len(numbers), "digits", source, label)]
        for split, start, end in zip(SPLITS, bounds, bounds[1:], strict=False):
            parts[split].append(numbers[start:end])
    return {split: np.concatenate(found) for split, found in parts.items()}


def labels_of(digits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the class index of each digit: (N,) of digits that belong to a class -> (N,) int64."""
    return np.isin(digits, CLASSES[1]).astype(np.int64)


def digit_split(
    source: str,
    task: str,
    split: str,
    counts: npt.NDArray[np.uint8],
    numbers: npt.NDArray[np.int64],
    digits: npt.NDArray[np.int64],
) -> Split:
    """Return the split made of some of a source's images.

    counts: (N, 8, 8) in 0..16, all images. numbers: (M,) those of the split. digits: (N,).

    Raises:
        InputError: the task is not `digits`, or there is no such split.
    """
    if task != TASK:
        raise InputError(f"source {source!r}: {unknown('task', task, [TASK])}")
    if split not in SPLITS:
        raise InputError(f"source {source!r}: {unknown('split', split, SPLITS)}")
    return Split(upscale(counts[numbers]), labels_of(digits[numbers]), tuple(f"{source}/{n:04d}" for n in numbers))
