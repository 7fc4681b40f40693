"""The short form of benchmarks/coverage.py: intervals hold the truth as often as they say, and others do not."""

import itertools

import numpy as np
import pytest
from coverage import AXES, Scenario, measure, pairs_of, scenarios, simulated, table
from scipy.stats import binom

from dumb_bench.power import MIN_SEEDS, MIN_SEEDS_NEAR_ENDS

GRIDS = 120


def middle(trials: int, *, low: float = 0.93, high: float = 0.98) -> tuple[int, int]:
    """The numbers of covered grids that a coverage between `low` and `high` leaves with probability below .001."""
    return int(binom.ppf(0.0005, trials, low)), int(binom.ppf(0.9995, trials, high))


@pytest.mark.parametrize(("shared", "interactions", "missing"), list(itertools.product((False, True), repeat=3)))
def test_coverage_from_the_least_number_of_seeds(shared, interactions, missing):
    found = measure(Scenario(shared, interactions, missing=missing), MIN_SEEDS, GRIDS, others=False)
    covered = sum(found[axis, "crossed"].covered for axis in AXES)
    assert {found[axis, "crossed"].grids for axis in AXES} == {GRIDS}
    low, high = middle(3 * GRIDS)
    assert low <= covered <= high
    assert found["source", "crossed"].covered >= middle(GRIDS)[0]


@pytest.mark.parametrize("level", ["near 0", "near 1"])
def test_coverage_near_the_ends(level):
    found = measure(Scenario(False, True, level), MIN_SEEDS_NEAR_ENDS, GRIDS, others=False)
    for axis in AXES:
        low, high = middle(GRIDS)
        assert low <= found[axis, "crossed"].covered <= high


def test_tests_taken_as_independent_and_the_bootstrap_are_worse():
    """With interactions the naive interval of the source is far too narrow; without, the bootstrap is far too wide."""
    with_slopes = measure(Scenario(False, True), MIN_SEEDS, GRIDS)
    assert with_slopes["source", "naive"].covered < binom.ppf(0.001, GRIDS, 0.85)
    without = measure(Scenario(False, False), MIN_SEEDS, GRIDS)
    assert without["source", "bootstrap"].width > 1.5 * without["source", "crossed"].width
    assert without["source", "bootstrap"].covered >= GRIDS - 2


def test_one_seed_has_no_interval():
    found = measure(Scenario(False, True), 1, 20, others=False)
    assert {item.grids for item in found.values()} == {0}
    line = table({f"{Scenario(False, True).name}|1|source|crossed": [0, 0, float("nan")]}).splitlines()[-1]
    assert line.startswith("| 1 | roles apart, middle, with interactions | source | none |")


def test_the_truth_is_the_mean_of_what_is_simulated():
    """Over 4,000 grids, near 0: where the mean of a transform is not the transform of the mean."""
    scenario, rng = Scenario(True, True, "near 0"), np.random.default_rng(0)
    tests = pairs_of(scenario, 2, rng)
    truth, rates = simulated(tests, scenario, 2, 4000, rng)
    error = rates.std(axis=1) / np.sqrt(4000)
    off = (rates.mean(axis=1) - truth) / error
    assert np.abs(off).max() < 5
    assert off.std() < 1.3


def test_missing_tests_are_missing_and_white_box_is_left_out():
    rng = np.random.default_rng(0)
    assert len(pairs_of(Scenario(True, True), 2, rng)) == 24 * 24 - 24
    kept = len(pairs_of(Scenario(False, True, missing=True), 2, rng))
    assert binom.ppf(0.001, 576, 0.8) < kept < binom.ppf(0.999, 576, 0.8)
    assert len({scenario.name for scenario in scenarios()}) == len(scenarios()) == 20
