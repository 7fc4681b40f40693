"""Whole numbers behind rates: what was planted comes back, or nothing does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumb_bench.published.counts import ContradictionError, Rates, recover


def rates(n, pairs):
    """As the published scripts write them: float32 over both classes, all digits in one."""
    both = [float(f"{np.float32(1) - np.float32(1 - sum(k) / sum(n)):.8g}") for k in pairs]
    return Rates(both, [k[0] / n[0] for k in pairs], [k[1] / n[1] for k in pairs])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_recovered_is_what_was_planted(data):
    n = (data.draw(st.integers(1, 150)), data.draw(st.integers(1, 150)))
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n[0]), st.integers(0, n[1])), min_size=1, max_size=12))
    found = recover(rates(n, pairs))
    if found is not None:
        assert (found.n, found.k.tolist()) == (n, [list(k) for k in pairs])


def test_coprime_successes_determine_the_denominators():
    found = recover(rates((123, 149), [(99, 39), (1, 1)]))
    assert found is not None
    assert found.n == (123, 149)
    assert found.k.tolist() == [[99, 39], [1, 1]]


def test_several_explanations_are_none():
    assert recover(rates((60, 70), [(0, 0)])) is None  # nothing but zeros
    assert recover(rates((60, 60), [(30, 30), (20, 20)])) is None  # 120 and 120 explain it as well


def test_the_rate_over_both_classes_decides_between_multiples():
    # 1/2 and 1/3 in one class: n is 6, 12, ..., 150; together with the other class only one weight fits
    found = recover(rates((60, 149), [(30, 7), (20, 100)]))
    assert found is not None
    assert found.n == (60, 149)


@pytest.mark.parametrize("column", ["both", "first", "second"])
def test_a_rate_that_no_count_explains_is_named(column):
    planted = rates((123, 149), [(99, 39), (1, 1), (50, 50), (7, 8)])
    values = list(getattr(planted, column))
    values[2] += 1e-5
    with pytest.raises(ContradictionError) as caught:
        recover(planted._replace(**{column: values}))
    assert caught.value.row == 2
