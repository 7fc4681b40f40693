"""The smallest detectable effect against the exact variance of a weighted sum, test by test, and the stated figures."""

import itertools
import time

import numpy as np
import pytest
from scipy.stats import t as student

from dumb_bench import power
from dumb_bench.power import MODEL_SD, SLOPE_SD, Meeting, Smallest, smallest_effects

AXES = ("source", "architecture", "balance")
GRID = list(itertools.product("ab", "xyz", ("50/50", "20/80")))


def meeting(own, theirs, *, cells=GRID, their_cells=None, shared=False, images=120):
    """Cells that meet; `own` and `theirs`: seeds a cell, one number or one for each."""
    their_cells = their_cells or cells
    differs = {
        axis: np.array([[one[n] != other[n] for other in their_cells] for one in cells]) for n, axis in enumerate(AXES)
    }
    counts = np.broadcast_to(own, len(cells)).copy(), np.broadcast_to(theirs, len(their_cells)).copy()
    same = np.diag(counts[0]) if shared else np.zeros((len(cells), len(their_cells)), dtype=np.int64)
    return Meeting(*counts, differs, same, images)


def exact(met: Meeting, axis: str) -> float:
    """The standard error of the contrast, from a list of all tests and every random effect by itself."""
    own = [(k, s) for k, count in enumerate(met.surrogates) for s in range(count)]
    theirs = [(j, s) for j, count in enumerate(met.victims) for s in range(count)]
    tests = [(one, other) for one in own for other in theirs
             if not (met.shared[one[0], other[0]] and one[1] == other[1])]  # fmt: skip
    sides = {(one, other): tuple(bool(met.differs[name][one[0], other[0]]) for name in AXES) for one, other in tests}
    number = AXES.index(axis)
    sizes: dict[tuple[bool, ...], int] = {}
    for side in sides.values():
        sizes[side] = sizes.get(side, 0) + 1
    rest = {side[:number] + side[number + 1 :] for side in sizes}
    full = [pair for pair in rest if all((*pair[:number], v, *pair[number:]) in sizes for v in (True, False))]
    effects: dict[object, float] = {}
    variance = 0.0
    for (one, other), side in sides.items():
        if side[:number] + side[number + 1 :] not in full:
            continue
        weight = (1 if side[number] else -1) / (len(full) * sizes[side])
        variance += weight**2 * 0.25 / met.images
        for role, model in (("s", one), ("v", other)):
            effects[role, model] = effects.get((role, model), 0.0) + weight
            for name, value in zip(AXES, side, strict=True):
                effects[role, model, name, value] = effects.get((role, model, name, value), 0.0) + weight
    for key, total in effects.items():
        variance += total**2 * (MODEL_SD**2 if len(key) == 2 else SLOPE_SD**2 / 2)
    return float(np.sqrt(variance))


@pytest.mark.parametrize(("seeds", "points"), [(2, 4.3), (3, 3.4), (5, 2.6), (10, 1.8)])
def test_the_figures_of_the_second_simulation(seeds, points):
    """2 x 3 x 2 cells, roles apart, slopes of 5 points, 120 images: simulated figures, given to one decimal."""
    found = smallest_effects(meeting(seeds, seeds))["source"]
    assert 100 * found.effect == pytest.approx(points, abs=0.1)
    assert found.df == pytest.approx(24 * (seeds - 1))


UNEQUAL = np.array([3, 4, 3, 5, 3, 3, 4, 6, 3, 3, 3, 7])


@pytest.mark.parametrize("met", [
    meeting(3, 3), meeting(3, 3, shared=True), meeting(UNEQUAL, 4), meeting(UNEQUAL, UNEQUAL[::-1].copy()),
    meeting(3, 4, cells=GRID[:3], their_cells=GRID), meeting(4, 3, cells=[GRID[0], GRID[5]], their_cells=GRID[2:]),
], ids=["apart", "shared", "unequal", "both unequal", "three cells", "two cells"])  # fmt: skip
def test_the_standard_error_is_that_of_the_sum_over_all_tests(met):
    found = smallest_effects(met)
    resolved = [axis for axis in AXES if found[axis].effect == found[axis].effect]
    assert "source" in resolved
    for axis in resolved:
        effect, df, reason = found[axis]
        error = effect / (student.ppf(0.975, df) + student.ppf(0.8, df))
        assert error == pytest.approx(exact(met, axis), rel=1e-9), axis
        assert reason == ""


def test_shared_roles_have_half_the_degrees_of_freedom():
    found = smallest_effects(meeting(5, 5, shared=True))["source"]
    assert found.df == pytest.approx(12 * 4)


def test_what_cannot_be_resolved_says_why():
    one = smallest_effects(meeting(1, 5))
    assert {item.reason for item in one.values()} == {power.ONE_SEED}
    assert all(np.isnan(item.effect) for item in one.values())
    assert {item.reason for item in smallest_effects(meeting(3, 2)).values()} == {power.FEW_SEEDS}
    flat = smallest_effects(meeting(3, 3, cells=[cell for cell in GRID if cell[2] == "50/50"]))
    assert np.isnan(flat["balance"].effect)
    assert flat["balance"].reason == "no tests that differ in the balance beside tests that do not"
    assert flat["source"].reason == ""


def test_more_seeds_images_and_cells_never_hurt():
    def at(*seeds, **options) -> Smallest:
        return smallest_effects(meeting(*seeds, **options))["architecture"]

    assert at(3, 3).effect > at(3, 4).effect > at(4, 4).effect
    assert at(3, 3, images=20).effect > at(3, 3, images=200).effect


def test_detectable_is_the_sum_of_two_quantiles():
    assert power.detectable(0.01, 10.0) == pytest.approx(0.01 * (2.228139 + 0.879058), rel=1e-6)


def test_ten_million_tests_take_no_time():
    started = time.perf_counter()
    assert smallest_effects(meeting(300, 300))["source"].effect < 0.01
    assert time.perf_counter() - started < 1.0
