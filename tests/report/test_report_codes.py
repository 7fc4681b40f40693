"""Codes and sums by code against their plain definitions: equal to the last bit, however few or far apart codes are."""

import numpy as np
import pandas as pd
import pytest

from dumb_bench.report.design import combined, distinct, first_places, occurring
from dumb_bench.report.effects import _sums
from dumb_bench.report.rates import equal_weights


def codes(seed, count, most):
    return np.random.default_rng(seed).integers(0, most, count)


@pytest.mark.parametrize(("count", "most"), [(0, 1), (1, 1), (40, 3), (400, 7), (3, 1_000_000), (50, 40_000)])
def test_combined_numbers_the_distinct_pairs_in_their_order(count, most):
    first, second = codes(0, count, most), codes(1, count, max(most // 2, 1))
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    number = {pair: place for place, pair in enumerate(sorted(set(pairs)))}
    found = combined(first, second)
    assert found.tolist() == [number[pair] for pair in pairs] and found.dtype == np.int64


@pytest.mark.parametrize("count", [0, 1, 30, 500])
def test_first_places_and_what_occurs(count):
    found = combined(codes(2, count, 9), codes(3, count, 4))
    listed = found.tolist()
    assert first_places(found).tolist() == [listed.index(code) for code in range(len(set(listed)))]
    holes = codes(4, count, 20)
    assert np.flatnonzero(occurring(holes, 25)).tolist() == sorted(set(holes.tolist()))


def test_distinct_takes_null_for_a_value():
    frame = pd.DataFrame({"a": ["x", None, "x", None, "y"], "b": [1.0, np.nan, 1.0, 2.0, np.nan]})
    first, group = distinct(frame, ["a", "b"])
    assert sorted(first.tolist()) == [0, 1, 3, 4]
    assert group[0] == group[2] and len(set(group.tolist())) == 4
    assert [group[place] for place in first] == [0, 1, 2, 3]


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("left_out", [False, True])
def test_sums_are_added_in_the_order_of_the_rows(columns, left_out):
    rng = np.random.default_rng(5)
    by, values = codes(6, 600, 11), rng.normal(size=(600, columns)) * 10.0 ** rng.integers(-9, 9, (600, columns))
    if left_out:
        by[::4] = -1
    expected = np.zeros((14, columns))
    for code, row in zip(by, values, strict=True):
        if code >= 0:
            expected[code] += row
    assert (_sums(by, values, 14) == expected).all()
    assert (_sums(by, values[::-1], 14) != expected).any(), "other values give other sums"


@pytest.mark.parametrize("groups", [[3, 3, 900, 3], [5, 2_000_000, 5], [-1, -1, 4], ["a", "b", "b"]])
def test_weights_of_groups_are_those_of_their_shares(groups):
    plain = [1.0 / (len(set(groups)) * groups.count(group)) for group in groups]
    assert equal_weights(np.array(groups)).tolist() == plain
