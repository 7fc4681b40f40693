"""What the sources of the task `ten_digits` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dumb_bench.data.published import counts_by_class

TASK = "ten_digits"

NATIVE = {str(digit): digit for digit in range(10)}
"""Class name -> the label that every one of the sources gives it."""


def digit_counts(train: Sequence[int], test: Sequence[int]) -> Callable[..., tuple[int, ...] | None]:
    """Return the declaration of a source by its number of images of each digit, 0 to 9."""
    return counts_by_class(dict(zip(NATIVE, train, strict=True)), dict(zip(NATIVE, test, strict=True)))
