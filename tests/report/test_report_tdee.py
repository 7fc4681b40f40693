"""T-DEE: hand-computed values of a hand-made curve, and spans of inverted intervals."""

import math

import numpy as np
import pytest

from dumb_bench.report.tdee import deep_ensemble_equivalent, interpolation, inverted, sizes

MEMBERS, SUCCESS = (1, 2, 5, 15), (0.30, 0.40, 0.55, 0.60)


@pytest.mark.parametrize(
    ("rate", "value"),
    [
        (0.35, 1.5),  # half way from .30 to .40
        (0.475, 3.5),  # half way from .40 to .55, sizes 2 to 5
        (0.56, 7.0),  # a fifth of the way from .55 to .60, sizes 5 to 15
        (0.30, 1.0),
        (0.40, 2.0),
        (0.55, 5.0),
        (0.60, 15.0),
    ],
)
def test_a_rate_on_the_curve(rate, value):
    found = deep_ensemble_equivalent(MEMBERS, SUCCESS, rate)
    assert found.place == "inside"
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.text == f"{value:.1f}"


@pytest.mark.parametrize(("rate", "place", "text"), [(0.29, "below", "below 1"), (0.61, "above", "above 15")])
def test_outside_the_curve_is_no_number(rate, place, text):
    found = deep_ensemble_equivalent(MEMBERS, SUCCESS, rate)
    assert (found.place, found.text) == (place, text)
    assert math.isnan(found.value)


def test_a_curve_that_falls_counts_its_first_crossing():
    members, success = (1, 2, 3, 4), (0.2, 0.6, 0.4, 0.8)
    assert deep_ensemble_equivalent(members, success, 0.5).value == pytest.approx(1.75)
    assert deep_ensemble_equivalent(members, success, 0.7).value == pytest.approx(3.75)
    assert deep_ensemble_equivalent((1, 2, 3), (0.2, 0.6, 0.4), 0.61).text == "above 3"


def test_a_level_stretch_ends_where_it_begins():
    assert deep_ensemble_equivalent((1, 2, 4), (0.2, 0.5, 0.5), 0.5).value == pytest.approx(2.0)


def test_without_a_single_network_the_curve_begins_later():
    assert deep_ensemble_equivalent((2, 5), (0.4, 0.5), 0.3).text == "below 2"


@pytest.mark.parametrize(
    ("members", "success"), [((2, 1), (0.1, 0.2)), ((), ()), ((0, 1), (0.1, 0.2)), ((1, 2), (0.1,)), ((1, 1), (0, 1))]
)
def test_what_is_no_curve_is_refused(members, success):
    with pytest.raises(ValueError, match="expected"):
        deep_ensemble_equivalent(members, success, 0.1)


def test_the_weights_give_the_curve_and_its_own_equivalent():
    at = sizes(MEMBERS)
    assert (at[0], at[-1], len(at)) == (1.0, pytest.approx(15.0), 281)
    curve = np.asarray(SUCCESS) @ interpolation(MEMBERS, at)
    assert curve[at.searchsorted(3.5 - 1e-9)] == pytest.approx(0.475)
    for size, rate in zip(at[::20], curve[::20], strict=True):
        assert deep_ensemble_equivalent(MEMBERS, SUCCESS, float(rate)).value == pytest.approx(size)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [(2.0, 3.5, ("2.0", "3.5")), (1.0, 3.5, ("below 1", "3.5")), (4.0, 15.0, ("4.0", "above 15")),
     (1.0, 15.0, ("below 1", "above 15"))],
)  # fmt: skip
def test_spans_are_open_at_the_ends_of_the_curve(low, high, texts):
    at = sizes(MEMBERS)
    estimate = deep_ensemble_equivalent(MEMBERS, SUCCESS, 0.45)
    span = inverted(MEMBERS, at, (at > low - 1e-9) & (at < high + 1e-9), estimate)
    assert (span.low.text, span.high.text) == texts


def test_a_gap_inside_does_not_narrow_the_span():
    at = sizes((1, 3))
    possible = ((at > 1.15) & (at < 1.3)) | ((at > 2.5) & (at < 2.7))
    span = inverted((1, 3), at, possible, deep_ensemble_equivalent((1, 3), (0.1, 0.2), 0.15))
    assert (span.low.value, span.high.value) == (pytest.approx(1.2), pytest.approx(2.65))


def test_resolved_from_all_of_the_curve():
    estimate = deep_ensemble_equivalent(MEMBERS, SUCCESS, 0.7)
    span = inverted(MEMBERS, sizes(MEMBERS), np.zeros(281, dtype=bool), estimate)
    assert (span.low.text, span.high.text) == ("above 15", "above 15")
