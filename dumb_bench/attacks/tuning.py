"""The choice of a strength, apart from how images are made: pure functions of measured curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

NEAR = 0.01
"""Success rates this close to the best count as good as it: the smallest of their strengths is taken."""


class Point(NamedTuple):
    """One strength as measured. ssim: the mean over images. success: the share of the surrogate's right answers."""

    strength: float
    ssim: float
    success: float


def choose(points: Sequence[Point], threshold: float, *, reference: bool = False) -> Point | None:
    """Return the point of highest success among those whose SSIM lies strictly above the threshold; None without one.

    reference: ties go to the largest strength (the rule that reproduces the choices of Alecci et al., RAID 2023);
    otherwise the smallest strength within one point of the best is taken.
    """
    allowed = [point for point in points if point.ssim > threshold]
    if not allowed:
        return None
    best = max(point.success for point in allowed)
    if reference:
        return max((point for point in allowed if point.success == best), key=lambda point: point.strength)
    return min((point for point in allowed if point.success >= best - NEAR), key=lambda point: point.strength)


def largest_feasible(
    strengths: Sequence[float], measure: Callable[[float], Point], threshold: float
) -> tuple[Point | None, list[Point]]:
    """Return the point of the largest strength whose SSIM lies strictly above the threshold, and all points measured.

    strengths: rising. Bisection: it takes SSIM to fall as the strength rises, and needs about log2 of their number.
    """
    low, high = -1, len(strengths)
    found: Point | None = None
    measured: list[Point] = []
    while high - low > 1:
        middle = (low + high) // 2
        point = measure(strengths[middle])
        measured.append(point)
        if point.ssim > threshold:
            low, found = middle, point
        else:
            high = middle
    return found, sorted(measured)
