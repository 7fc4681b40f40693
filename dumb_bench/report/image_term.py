"""The part of an estimate's variance that comes from the images: what a claim about new images adds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import combined

Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]
Reals = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]

_CHUNK = 4096


def influence(success: Bools, correct: Bools, weight: Reals) -> Reals:
    """Return u (N,): u_i = sum_t w_t (success_ti - y_t correct_ti) / n_t, with n_t = sum_i correct_ti, y_t the rate.

    It is what image i moves sum_t w_t y_t by, to first order (a ratio's linearisation: Cochran 1977, section 6.3; its
    sum is 0). Tests without a correct image take no part.
    """
    found = np.zeros(success.shape[1])
    for start in range(0, len(weight), _CHUNK):
        part = slice(start, start + _CHUNK)
        hit, right = (success[part] & correct[part]).astype(np.float64), correct[part].astype(np.float64)
        count = right.sum(axis=1)
        share = np.where(count > 0, weight[part] / np.maximum(count, 1), 0.0)
        found += share @ hit - (share * hit.sum(axis=1) / np.maximum(count, 1)) @ right
    return found


def image_term(success: Bools, correct: Bools, source: Codes, label: Labels, weight: Reals) -> float:
    """Return the variance of sum_t w_t y_t over images drawn at random within (image source, class).

    success, correct (T, N): whether the victim of test t is right on image i when clean, and wrong when attacked;
    source (T,): code of the test's image source, whose images the columns are; label (T, N): the images' classes, the
    same for all tests of a source, -1 where a source has no image i; weight (T,). With `influence` u over all tests of
    a source and n images in a stratum, V = sum over strata n/(n-1) sum_i (u_i - mean u)^2. A stratum of one image shows
    no variance and adds none.

    Added to the crossed variance of `effects` it gives an interval for new seeds *and* new images. The sum is slightly
    too large: the noise of single images that only one pair of models shows is in the residuals of that variance too,
    and so counted twice.
    """
    variance = 0.0
    for code in np.unique(source[weight != 0]):
        rows = np.flatnonzero((source == code) & (weight != 0))
        moved = influence(success[rows], correct[rows], weight[rows])
        classes = label[rows[0]]
        there = np.flatnonzero(classes >= 0)
        if not len(there):
            continue
        stratum = combined(classes[there].astype(np.int64), np.zeros(len(there), dtype=np.int64))
        count = np.bincount(stratum)
        mean = np.bincount(stratum, weights=moved[there]) / count
        spread = np.bincount(stratum, weights=(moved[there] - mean[stratum]) ** 2)
        variance += float((np.where(count > 1, count / np.maximum(count - 1, 1), 0.0) * spread).sum())
    return variance
