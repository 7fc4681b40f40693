"""The choice of a strength, from curves made by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dumb_bench.attacks.tuning import Point, choose, largest_feasible, pruned

CURVE = [Point(1, 0.9, 0.2), Point(2, 0.7, 0.995), Point(3, 0.5, 1.0), Point(4, 0.41, 1.0), Point(5, 0.4, 1.0)]


def test_the_published_rule_takes_the_largest_of_the_best() -> None:
    chosen = choose(CURVE, 0.4, reference=True)
    assert chosen is not None and chosen.strength == 4  # 5 has SSIM .4 exactly, which is not above .4


def test_our_rule_takes_the_smallest_within_one_point_of_the_best() -> None:
    chosen = choose(CURVE, 0.4)
    assert chosen is not None and chosen.strength == 2
    later = choose([*CURVE[:1], Point(2, 0.7, 0.989), *CURVE[2:]], 0.4)
    assert later is not None and later.strength == 3  # 1.1 points below the best is too far


def test_without_a_feasible_strength_there_is_none() -> None:
    assert choose(CURVE, 0.9) is None
    assert choose(CURVE, 0.9, reference=True) is None
    found, measured = largest_feasible([1, 2, 3, 4, 5], dict(zip(range(1, 6), CURVE, strict=True)).__getitem__, 0.9)
    assert found is None and measured


@given(st.integers(1, 60), st.integers(0, 60))
def test_bisection_finds_the_last_feasible_strength_with_few_points(count: int, feasible: int) -> None:
    strengths = [float(number) for number in range(1, count + 1)]
    asked: list[float] = []

    def measure(strength: float) -> Point:
        asked.append(strength)
        return Point(strength, 1.0 if strength <= feasible else 0.0, 0.5)

    found, measured = largest_feasible(strengths, measure, 0.4)
    wanted = min(feasible, count)
    assert (found.strength if found else 0) == wanted
    assert len(asked) == len(set(asked)) <= count.bit_length()
    assert [point.strength for point in measured] == sorted(asked)


@given(
    st.data(),
    st.lists(st.sampled_from([0.0, 0.3, 0.98, 0.985, 0.99, 0.995, 1.0]), min_size=1, max_size=30),
    st.booleans(),
)
def test_pruning_changes_no_choice(data: st.DataObject, success: list[float], reference: bool) -> None:
    feasible = data.draw(st.integers(0, len(success)))
    points = {
        float(number): Point(float(number), 0.9 if number < feasible else 0.1, rate)
        for number, rate in enumerate(success)
    }
    asked: list[float] = []

    def measure(strength: float) -> Point:
        asked.append(strength)
        return points[strength]

    found = pruned(list(points), measure, 0.4, reference=reference)
    assert found == choose(list(points.values()), 0.4, reference=reference)
    if reference and feasible and success[feasible - 1] == 1:
        assert len(set(asked)) <= len(success).bit_length()


def test_pruning_stops_at_what_nothing_beats() -> None:
    curve = {point.strength: point for point in CURVE}
    asked: list[float] = []

    def measure(strength: float) -> Point:
        asked.append(strength)
        return curve[strength]

    assert pruned([1, 2, 3, 4, 5], measure, 0.4, reference=True) == CURVE[3]
    assert set(asked) == {3, 4, 5}, "bisection looks at 3, 4, 5; 4 fools all"
    asked.clear()
    assert pruned([1, 2, 3, 4, 5], measure, 0.4) == CURVE[1]
    assert set(asked) == {1, 2, 3, 4, 5}, "from below, 2 is within one point of all"
    assert pruned([1, 2], measure, 0.95) is None
