"""The part of an estimate's variance that comes from the images: what a claim about new images adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]
Reals = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]

_CHUNK = 4096


class ImageBlocks(NamedTuple):
    """Outcomes of single images in some tests (T of them), a block of tests at a time.

    labels (S, N): the classes of the images of every set, -1 where a set has no image i; set_of (T,): each test's set.
    blocks: rows (R,) of the tests, success and correct (R, N): whether the victim is right on image i when clean, and
    then wrong when attacked. A test is whole in one block; one whose outcomes are unknown is in none.
    """

    labels: Labels
    set_of: Codes
    blocks: Iterable[tuple[Codes, Bools, Bools]]


def influences(images: ImageBlocks, weights: Reals) -> Reals:
    """Return u (S, K, N) of K weighted sums of rates, `weights` (K, T), by set of images.

    u_i = sum_t w_t (success_ti - y_t correct_ti) / n_t over the tests of the set, with n_t = sum_i correct_ti and y_t
    the rate. It is what image i moves the sum by, to first order (a ratio's linearisation: Cochran 1977, section 6.3;
    its sum is 0). Tests without a correct image take no part. NaN for a sum with a test whose outcomes are unknown.
    """
    found = np.zeros((len(images.labels), len(weights), images.labels.shape[1]))
    seen = np.zeros(weights.shape[1], dtype=bool)
    for rows, success, correct in images.blocks:
        for code in np.unique(images.set_of[rows]):
            for part in _parts(np.flatnonzero(images.set_of[rows] == code)):
                hit, right = (success[part] & correct[part]).astype(np.float64), correct[part].astype(np.float64)
                count = right.sum(axis=1)
                share = np.where(count > 0, weights[:, rows[part]] / np.maximum(count, 1), 0.0)
                found[code] += share @ hit - (share * (hit.sum(axis=1) / np.maximum(count, 1))) @ right
        seen[rows] = True
    found[:, ((weights != 0) & ~seen).any(axis=1)] = np.nan
    return found


def _parts(rows: Codes) -> list[Codes]:
    return np.array_split(rows, -(-len(rows) // _CHUNK)) if len(rows) else []


def image_terms(images: ImageBlocks, weights: Reals) -> Reals:
    """Return the variances (K,) of K weighted sums of rates, `weights` (K, T), over images drawn at random within
    (image source, class).

    With u of `influences` and n images in a stratum, V = sum over strata n/(n-1) sum_i (u_i - mean u)^2. A stratum of
    one image shows no variance and adds none.

    Added to the crossed variance of `effects` it gives an interval for new seeds *and* new images. The sum is slightly
    too large: the noise of single images that only one pair of models shows is in the residuals of that variance too,
    and so counted twice.
    """
    variance = np.zeros(len(weights))
    for moved, classes in zip(influences(images, weights), images.labels, strict=True):
        for label in np.unique(classes[classes >= 0]):
            u = moved[:, classes == label]
            n = u.shape[1]
            if n > 1:
                variance += n / (n - 1) * ((u - u.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return variance
