"""Intervals: hand-made contributions, and coverage on grids with a known truth."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from dumb_bench.case import case_of
from dumb_bench.report.design import design, take
from dumb_bench.report.effects import NO_TESTS, NO_VARIATION, ONE_SEED, TWO_OF_A_POOL, crossed, holm, interval


def pairs(surrogates, victims, *, copied=False):
    """Rows of models (source, architecture, seed), white-box pairs left out."""
    rows = []
    for one, other in itertools.product(surrogates, victims):
        if one == other:
            continue
        row = {}
        for role, model in (("surrogate", one), ("victim", other)):
            row |= {
                f"{role}_{key}": value for key, value in zip(("source", "architecture", "seed"), model, strict=True)
            }
        rows.append({**row, "copied": copied})
    return pd.DataFrame(rows)


def test_two_pools_by_hand():
    tests = pairs([("a", "x", 0), ("a", "x", 1)], [("b", "x", 10), ("b", "x", 11)])
    rates = np.array([0.5, 0.6, 0.2, 0.4])
    found = crossed(design(tests), rates[:, None], np.full(4, 0.25))
    # contributions, centred: surrogates +-.0625, victims +-.0375; residual of the pairs +-.025 (weighted +-.00625)
    by_surrogate, by_victim, residual = 2 * 2 * 0.0625**2, 2 * 2 * 0.0375**2, 4 * 4 * 0.00625**2
    assert found.estimate[0] == pytest.approx(0.425)
    assert found.variance[0] == pytest.approx(max(by_surrogate + by_victim - residual, (by_surrogate + by_victim) / 2))
    total = by_surrogate + by_victim
    assert found.df[0] == pytest.approx(np.clip(total**2 / ((by_surrogate**2 + by_victim**2) / 3) - 2, 1, 2))


def test_half_is_the_floor():
    tests = pairs([("a", "x", 0), ("a", "x", 1)], [("b", "x", 10), ("b", "x", 11)])
    rates = np.array([0.5, 0.1, 0.1, 0.51])
    found = crossed(design(tests), rates[:, None], np.full(4, 0.25))
    both = 2 * 2 * (0.01 / 8) ** 2 * 2
    assert found.variance[0] == pytest.approx(both / 2)


def test_one_pool_inside_a_cell_is_scaled():
    models = [("a", "x", seed) for seed in range(3)]
    tests = pairs(models, models)
    effect = np.array([0.1, 0.0, -0.1])
    rates = 0.5 + effect[tests["surrogate_seed"]] + 2 * effect[tests["victim_seed"]]
    found = crossed(design(tests), rates[:, None], np.full(6, 1 / 6))
    # the mean of three models whose own effects are a + b = 3 * effect: variance s^2 / 3
    assert found.variance[0] == pytest.approx(np.var(3 * effect, ddof=1) / 3)


def test_two_seeds_of_one_pool_borrow_from_other_cells():
    models = [(source, "x", seed) for source in "ab" for seed in range(2)]
    tests = pairs(models, models)
    inside = (tests["surrogate_source"] == tests["victim_source"]).to_numpy()
    effect = {("a", 0): 0.1, ("a", 1): -0.1, ("b", 0): 0.05, ("b", 1): -0.05}
    rates = np.array(
        [
            0.5 + effect[r.surrogate_source, r.surrogate_seed] + effect[r.victim_source, r.victim_seed]
            for r in tests.itertuples()
        ]
    )
    found = crossed(design(tests), rates[:, None], inside / inside.sum())
    # each model's a + b = 2 * effect; mean over two cells of two
    assert found.variance[0] == pytest.approx(2 * 2 * (0.1 / 2) ** 2 + 2 * 2 * (0.05 / 2) ** 2)
    alone = take(design(tests), np.flatnonzero(inside))
    assert crossed(alone, rates[inside, None], np.full(4, 0.25)).reason == TWO_OF_A_POOL


def test_copied_rows_are_not_independent():
    tests = pairs([("a", "x", seed) for seed in range(6)], [("b", "x", 10), ("b", "x", 11)], copied=True)
    rates = np.where(tests["victim_seed"] == 10, 0.4, 0.2)
    found = interval(design(tests), rates, np.full(12, 1 / 12), low=0.0)
    assert found.n_surrogates == 0
    assert found.df == 1
    half = student.ppf(0.975, 1) * 0.1
    assert (found.low, found.high) == (0.0, 1.0)
    assert half == pytest.approx(1.2706, abs=1e-3)


def test_one_seed_is_descriptive():
    tests = pairs([("a", "x", 0)], [("b", "x", 10), ("b", "x", 11)])
    found = interval(design(tests), np.array([0.1, 0.2]), np.array([0.5, 0.5]))
    assert found.estimate == pytest.approx(0.15)
    assert found.reason == ONE_SEED
    assert math.isnan(found.low) and not found.resolved


def test_without_tests_or_variation():
    tests = pairs([("a", "x", 0), ("a", "x", 1)], [("b", "x", 10), ("b", "x", 11)])
    assert interval(design(tests), np.zeros(4), np.zeros(4)).reason == NO_TESTS
    assert interval(design(tests), np.zeros(4), np.full(4, 0.25)).reason == NO_VARIATION


def test_white_box_rows_do_not_move_the_centre():
    models = [(source, "x", seed) for source in "ab" for seed in range(3)]
    tests = pairs(models, models)
    rates = np.random.default_rng(0).uniform(0.2, 0.6, len(tests))
    weight = np.where(tests["surrogate_source"] == tests["victim_source"], 1 / 12, 0.0)
    extra = tests.iloc[:6].assign(**{f"victim_{key}": tests.iloc[:6][f"surrogate_{key}"] for key in ("source", "seed")})
    more = pd.concat([tests, extra], ignore_index=True)
    one = crossed(design(tests), rates[:, None], weight)
    other = crossed(design(more), np.append(rates, np.ones(6))[:, None], np.append(weight, np.zeros(6)))
    assert one.variance[0] == pytest.approx(other.variance[0])


def test_holm():
    assert holm([0.01, 0.04, 0.03, float("nan")])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(holm([0.01, float("nan")])[1])


def grid(seeds, *, shared):
    """2 sources x 3 architectures x 2 balances x seeds on each side; white-box pairs left out."""
    cells = list(itertools.product("ab", "xyz", ("50/50", "20/80")))
    rows = []
    for (i, s), (j, v) in itertools.product(itertools.product(range(12), range(seeds)), repeat=2):
        if shared and (i, s) == (j, v):
            continue
        one, other = cells[i], cells[j]
        keys = ("source", "architecture", "balance")
        row = {f"surrogate_{key}": value for key, value in zip(keys, one, strict=True)}
        row |= {f"victim_{key}": value for key, value in zip(keys, other, strict=True)}
        differs = {f"{key}_differs": a != b for key, a, b in zip(keys, one, other, strict=True)}
        seed = v if shared else 100 + v
        rows.append(
            {
                **row,
                "surrogate_seed": s,
                "victim_seed": seed,
                "case": case_of(**differs),
                "i": i,
                "j": j,
                "s": s,
                "v": v,
            }
        )
    return pd.DataFrame(rows)


def simulated(tests, seeds, replicates, rng, interaction):
    """True rates (T,) and observed ones (T, R): crossed effects sd .04, pair residual sd .02, 150 images a test."""
    i, j, s, v = (tests[key].to_numpy() for key in "ijsv")
    same = (tests["surrogate_source"] == tests["victim_source"]).to_numpy().astype(int)
    truth = 0.45 + 0.08 * np.sin(5 * i + 3 * j) - 0.12 * (1 - same)
    a, b = rng.normal(0, 0.04, (2, 12, seeds, replicates))
    c, d = rng.normal(0, 1, (2, 12, seeds, 2, replicates)) * interaction
    rate = (
        truth[:, None]
        + a[i, s]
        + b[j, v]
        + c[i, s, same]
        + d[j, v, same]
        + rng.normal(0, 0.02, (len(tests), replicates))
    )
    return truth, rng.binomial(150, np.clip(rate, 0, 1)) / 150


@pytest.mark.parametrize("interaction", [0.0, 0.04])
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("shared", [True, False], ids=["one_pool", "two_pools"])
def test_coverage(seeds, shared, interaction):
    """400 grids: nominal .95; one pool may be conservative for C1 and for C5 - C1, never the other way."""
    tests = grid(seeds, shared=shared)
    truth, rates = simulated(tests, seeds, 400, np.random.default_rng(7), interaction)
    plan = design(tests)
    means = {case: (tests["case"] == case).to_numpy() / (tests["case"] == case).sum() for case in ("C1", "C5", "C8")}
    for name, weight in {**means, "C5 - C1": means["C5"] - means["C1"]}.items():
        found = crossed(plan, rates, weight)
        covered = np.abs(found.estimate - weight @ truth) <= student.ppf(0.975, found.df) * np.sqrt(found.variance)
        conservative = shared and "C1" in name
        assert 0.90 <= covered.mean() <= (1.0 if conservative else 0.99), name


@pytest.mark.parametrize(("shared", "share"), [(False, 0.8), (True, 1.0)], ids=["missing_pairs", "one_pool"])
def test_residuals_are_counted_once_where_pairs_are_missing(shared, share):
    """Nothing but pair residuals, 1,000 grids: V is the variance or the floor G/2, never G.

    E[G] is twice the variance, in one pool of 5 seeds 2 * 4/3 of it; the larger of two noisy numbers lies a bit higher.
    """
    rng = np.random.default_rng(2)
    tests = grid(5, shared=shared)
    tests = tests[rng.random(len(tests)) < share].reset_index(drop=True)
    rates = 0.5 + rng.normal(0, 0.05, (len(tests), 1000))
    weight = (tests["case"] == "C1").to_numpy() / (tests["case"] == "C1").sum()
    found = crossed(design(tests), rates, weight)
    truth = (weight**2).sum() * 0.05**2
    floor = 4 / 3 if shared else 1.0
    assert floor <= found.variance.mean() / truth <= 1.2 * floor
