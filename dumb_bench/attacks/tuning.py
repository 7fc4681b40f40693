"""The choice of a strength, apart from how images are made: pure functions of measured curves."""

from __future__ import annotations

import math
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

    strengths: rising. Bisection: it takes SSIM to cross the threshold once, and needs about log2 of their number.
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


def pruned(
    strengths: Sequence[float], measure: Callable[[float], Point], threshold: float, *, reference: bool = False
) -> Point | None:
    """Return what `choose` returns of all strengths, without measuring those that could not change it.

    strengths: rising. It takes SSIM to cross the threshold once, as `largest_feasible` does; success may go up and
    down. From the largest allowed strength downwards, none beats or ties with one that fools every image (reference);
    where the largest fools every image, the first from below within one point of that is the smallest.
    """
    largest, _ = largest_feasible(strengths, measure, threshold)
    if largest is None:
        return None
    allowed = [strength for strength in strengths if strength <= largest.strength]
    enough = 1 if reference else 1 - NEAR if largest.success == 1 else math.inf
    points = [largest]
    for strength in reversed(allowed) if reference else allowed:
        points.append(measure(strength))
        if points[-1].success >= enough and points[-1].ssim > threshold:
            break
    return choose(points, threshold, reference=reference)
