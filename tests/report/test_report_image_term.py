"""The image term against arithmetic and against a simulation; residuals of incomplete blocks against least squares."""

import numpy as np
import pytest

from dumb_bench.report.image_term import ImageBlocks, image_terms, influences
from dumb_bench.report.residuals import free_pairs, swept


def blocks(success, correct, source, label, sizes=(1000,)):
    """Return arrays (T, N) as blocks of tests; the labels of a set are those of its first test."""
    _, first, set_of = np.unique(source, return_index=True, return_inverse=True)
    rows = np.split(np.arange(len(success)), np.cumsum(sizes)[:-1])
    return ImageBlocks(label[first], set_of, [(part, success[part], correct[part]) for part in rows])


def image_term(success, correct, source, label, weight):
    (variance,) = image_terms(blocks(success, correct, source, label), np.asarray(weight)[None])
    return variance


def influence(success, correct, weight):
    zero = np.zeros(len(success), dtype=int)
    return influences(blocks(success, correct, zero, np.zeros(success.shape, dtype=int)), weight[None])[0, 0]


def test_one_test_is_the_variance_of_a_proportion():
    """u_i = (success_i - y) / n: the stratum's variance is n/(n-1) y(1-y)/n."""
    success = np.array([[True] * 3 + [False] * 7])
    everything = np.ones((1, 10), dtype=bool)
    label = np.zeros((1, 10), dtype=np.int64)
    found = image_term(success, everything, np.zeros(1, dtype=np.int64), label, np.ones(1))
    assert found == pytest.approx(10 / 9 * 0.3 * 0.7 / 10)


def test_by_hand_with_two_tests_two_classes_and_an_image_that_is_never_right():
    success = np.array([[1, 0, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
    correct = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], dtype=bool)
    weight = np.array([1.0, -1.0])
    # test 1: y = 1/2 of 4; test 2: y = 1/2 of 2
    wanted = np.array([0.5, -0.5, 0.5, -0.5, 0]) / 4 - np.array([0.5, -0.5, 0, 0, 0]) / 2
    assert influence(success, correct, weight) == pytest.approx(wanted)
    label = np.array([[0, 0, 1, 1, 1]] * 2)
    by_class = [wanted[:2], wanted[2:]]
    variance = sum(len(u) / (len(u) - 1) * ((u - u.mean()) ** 2).sum() for u in by_class)
    assert image_term(success, correct, np.zeros(2, dtype=int), label, weight) == pytest.approx(variance)


def test_the_same_images_cancel_and_other_images_add():
    rng = np.random.default_rng(0)
    success = np.repeat(rng.random((1, 50)) < 0.4, 2, axis=0)
    correct, label = np.ones((2, 50), dtype=bool), np.zeros((2, 50), dtype=np.int64)
    difference = np.array([1.0, -1.0])
    one = image_term(success[:1], correct[:1], np.zeros(1, dtype=int), label[:1], np.ones(1))
    assert image_term(success, correct, np.array([0, 0]), label, difference) == pytest.approx(0.0)
    assert image_term(success, correct, np.array([0, 1]), label, difference) == pytest.approx(2 * one)


def test_padding_and_tests_without_a_weight_or_an_image_change_nothing():
    rng = np.random.default_rng(1)
    correct, label = rng.random((3, 30)) < 0.9, np.tile(np.arange(30) % 3, (3, 1))
    success = correct & (rng.random((3, 30)) < 0.5)
    weight, source = np.array([0.5, 0.5, 0.0]), np.zeros(3, dtype=int)
    wanted = image_term(success, correct, source, label, weight)
    wide = [np.pad(array, ((0, 1), (0, 7))) for array in (success, correct)]
    padded = np.pad(label, ((0, 1), (0, 7)), constant_values=-1)
    padded[3] = padded[0]
    found = image_term(*wide, np.append(source, 0), padded, np.append(weight, 1.0))
    assert wanted > 0
    assert found == pytest.approx(wanted)


def test_it_is_the_variance_over_new_images():
    """2,000 draws of images: the mean of the term is the variance of the weighted sum of rates, models fixed."""
    rng = np.random.default_rng(2)
    tests, images, draws = 4, 60, 2000
    bias, weight = np.array([0.2, 0.5, -0.3, 0.0]), np.array([0.5, 0.5, -0.5, -0.5])
    sums, terms = np.zeros(draws), np.zeros(draws)
    label = np.tile(np.arange(images) % 2, (tests, 1))
    for draw in range(draws):
        ease = rng.normal(0, 1, images) + label[0]
        correct = ease + rng.normal(0, 1, (tests, images)) > -1
        success = correct & (ease * np.array([1, 0.2, 1, 0.2])[:, None] + bias[:, None] > 0.3)
        sums[draw] = weight @ (success.sum(axis=1) / correct.sum(axis=1))
        terms[draw] = image_term(success, correct, np.zeros(tests, dtype=int), label, weight)
    # the variance of 2,000 draws is known to sqrt(2 / 2000) = 3.2 %; three of these
    assert terms.mean() == pytest.approx(sums.var(ddof=1), rel=0.1)


def test_blocks_and_several_sums_at_once_change_nothing():
    rng = np.random.default_rng(5)
    correct = rng.random((9, 20)) < 0.8
    success, label = correct & (rng.random((9, 20)) < 0.4), np.tile(np.arange(20) % 3, (9, 1))
    source, weights = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0]), rng.normal(size=(3, 9))
    cut = image_terms(blocks(success, correct, source, label, sizes=(2, 4, 3)), weights)
    assert cut == pytest.approx([image_term(success, correct, source, label, weight) for weight in weights])


def test_a_sum_with_an_unknown_test_has_no_variance():
    everything, label = np.ones((2, 10), dtype=bool), np.zeros((2, 10), dtype=int)
    images = blocks(everything, everything, np.zeros(2, dtype=int), label)
    images = images._replace(blocks=[(np.array([0]), everything[:1], everything[:1])])
    found = image_terms(images, np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert np.isfinite(found[0]) and np.isnan(found[1])


def layout(keep, rows=5, columns=4):
    """Two blocks of rows x columns with some pairs missing."""
    row, column = np.divmod(np.arange(2 * rows * columns), columns)
    block = row // rows
    column = column + columns * block
    kept = np.flatnonzero(keep(row, column))
    return [np.unique(codes[kept], return_inverse=True)[1] for codes in (row, column, block)]


@pytest.mark.parametrize("keep", [
    lambda row, column: np.ones(len(row), dtype=bool), lambda row, column: (row * 3 + column * 5) % 4 > 0,
    lambda row, column: (row % 2 == column % 2) | (row > 4),
], ids=["complete", "missing", "in two parts"])  # fmt: skip
def test_residuals_are_those_of_least_squares(keep):
    row, column, block = layout(keep)
    values = np.random.default_rng(3).normal(size=(len(row), 2))
    dummies = np.concatenate([np.eye(row.max() + 1)[row], np.eye(column.max() + 1)[column]], axis=1)
    fitted = dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]
    assert swept(row, column, values, np.ones(len(row), dtype=bool)) == pytest.approx(values - fitted, abs=1e-5)
    for code in np.unique(block):
        here = block == code
        rank = np.linalg.matrix_rank(dummies[here])
        assert free_pairs(row, column, block)[code] == here.sum() - rank


def test_a_block_that_is_not_wanted_has_no_residual():
    row, column, block = layout(lambda row, column: np.ones(len(row), dtype=bool))
    values = np.random.default_rng(4).normal(size=(len(row), 1))
    found = swept(row, column, values, block == 1)
    assert (found[block == 0] == 0).all()
    assert (found[block == 1] != 0).all()
