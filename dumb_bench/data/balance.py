"""The class proportions of a training set: `"20/80"`, and which images they leave."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dumb_bench.data.images import permutation
from dumb_bench.errors import InputError, unknown
from dumb_bench.wording import printable

MODES: dict[str, str] = {
    "paper": "the majority keeps its images, the minority is cut; training and validation alike",
    "fixed_total": "as many images whatever the balance; training only, validation stays whole",
}

SUBSETS = ("all", "half_a", "half_b")

_LONG_TAIL = re.compile(r"lt([1-9]\d{0,3})(r?)")
_SHARE = re.compile(r"[1-9]\d?(\.\d*[1-9])?|0\.\d*[1-9]")


def parse(balance: str, classes: int) -> tuple[Fraction, ...]:
    """Return the share (0..1) of each class: `"20/80"` -> (1/5, 4/5).

    A long tail `"lt10"`: class k of K has 10^(-k / (K - 1)) of what class 0 has, so that the first class is 10 times
    the last one; `"lt10r"`: the last class is the largest; `"lt1"`: all alike (Cui et al. 2019, Cao et al. 2019).

    Raises:
        InputError: neither a long tail nor one positive percentage per class, or they do not sum to 100.
    """
    tail = _LONG_TAIL.fullmatch(balance)
    if tail:
        return _long_tail(int(tail[1]), classes, reverse=bool(tail[2]))
    shares = balance.split("/")
    if not all(_SHARE.fullmatch(share) for share in shares):
        raise InputError(
            f'balance: expected percentages above 0 such as "20/80", or a long tail such as "lt10", '
            f'got "{printable(balance, 80)}"'
        )
    if len(shares) != classes:
        raise InputError(f'balance: expected {classes} percentages, one per class, got "{printable(balance, 80)}"')
    exact = tuple(Fraction(share) / 100 for share in shares)
    if sum(exact) != 1:
        raise InputError(f'balance: expected percentages that sum to 100, got "{printable(balance, 80)}"')
    return exact


def _long_tail(ratio: int, classes: int, *, reverse: bool) -> tuple[Fraction, ...]:
    """Return the shares of an exponential profile; rounded to 9 digits, so that they are alike on every machine."""
    weights = [Fraction(round(10**9 * ratio ** (-place / max(classes - 1, 1))), 10**9) for place in range(classes)]
    weights[-1] = Fraction(1, ratio)
    if reverse:
        weights.reverse()
    return tuple(weight / sum(weights) for weight in weights)


def counts(balance: str, available: Sequence[int], mode: str) -> tuple[int, ...]:
    """Return how many images of each class a balance leaves. n, below, is the smallest number available of any class.

    `paper`: n * b / max(b), rounded down: the majority keeps n, the minority is cut (Alecci et al. 2023).
    `fixed_total`: n in all, whatever the balance, shared by largest remainder.

    Raises:
        InputError: bad balance or mode, or a class would be left without an image.
    """
    if mode not in MODES:
        raise InputError(unknown("balance_mode", mode, MODES))
    shares = parse(balance, len(available))
    total = min(available)
    if mode == "paper":
        kept = [int(total * share / max(shares)) for share in shares]
    else:
        kept = [int(total * share) for share in shares]
        by_remainder = sorted(range(len(shares)), key=lambda label: kept[label] - total * shares[label])
        for label in by_remainder[: total - sum(kept)]:
            kept[label] += 1
    if min(kept) == 0:
        raise InputError(
            f'balance: "{balance}" of {total} images a class leaves class {kept.index(0)} without an image'
        )
    return tuple(kept)


def subsample(labels: npt.NDArray[np.int64], balance: str, mode: str, seed: int) -> npt.NDArray[np.int64]:
    """Return the images (M,) that a balance leaves, in ascending order, drawn at random by the seed.

    labels: (N,), every class present. Of one seed and class a smaller count is a subset of a larger one.

    Raises:
        InputError: as `counts`.
    """
    available = np.bincount(labels).tolist()
    chosen = []
    for label, count in enumerate(counts(balance, available, mode)):
        own = np.flatnonzero(labels == label)
        chosen.append(own[permutation(len(own), seed, label)[:count]])
    return np.sort(np.concatenate(chosen))


def subset_counts(available: Sequence[int], subset: str) -> tuple[int, ...]:
    """Return how many images of each class `subset_members` takes of those available.

    Raises:
        InputError: there is no such subset.
    """
    if subset not in SUBSETS:
        raise InputError(unknown("subset", subset, SUBSETS))
    if subset == "all":
        return tuple(available)
    return tuple(count // 2 if subset == "half_a" else count - count // 2 for count in available)


def subset_members(labels: npt.NDArray[np.int64], subset: str, seed: int) -> npt.NDArray[np.int64]:
    """Return the images (M,) of a subset, in ascending order: all, or one of two disjoint random halves of each class.

    labels: (N,). The seed must be the same for both halves; with an odd number of images `half_b` has one more.

    Raises:
        InputError: there is no such subset.
    """
    if subset not in SUBSETS:
        raise InputError(unknown("subset", subset, SUBSETS))
    if subset == "all":
        return np.arange(len(labels))
    chosen = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        shuffled, half = own[permutation(len(own), seed, int(label))], len(own) // 2
        chosen.append(shuffled[:half] if subset == "half_a" else shuffled[half:])
    return np.sort(np.concatenate(chosen))
