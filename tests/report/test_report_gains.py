"""Gains, cycle against mean_logits and T-DEE on worlds with a known truth."""

import numpy as np
import pytest
from scipy.stats import t as student
from synthetic_posteriors import CHAIN, CURVE, LONG, NULL, POOL, SHORT, World, planted, results_of

from dumb_bench.report.aggregations import cycle_against_mean
from dumb_bench.report.effects import ONE_SEED, crossed
from dumb_bench.report.equivalents import _lineage, equivalents
from dumb_bench.report.gains import EQUAL_EPOCHS, SAME_RECIPE, gains, nearest
from dumb_bench.report.paired import TOO_FEW, Panel, positions
from dumb_bench.report.posteriors import observations

ONE_HOW = {key: rate for key, rate in planted().items() if key[3] == "mean_logits"}


@pytest.fixture(scope="module")
def observed():
    return observations(results_of(World(draws=3), seed=1))


def test_planted_gains_are_recovered(observed):
    found = gains(observed)
    chain = found[(found["posterior"] == CHAIN) & (found["samples"] == 5)]
    assert len(chain) == 2 * 2 * 4
    assert ((chain["low"] < 0.175) & (chain["high"] > 0.175)).mean() >= 0.75
    assert chain["resolved"].all()
    assert chain["gain"].to_numpy() == pytest.approx((chain["rate"] - chain["single_rate"]).to_numpy())
    nothing = found[(found["posterior"] == NULL) | (found["posterior"] == CHAIN) & (found["samples"] == 1)]
    assert len(nothing) == 2 * 2 * 4 * 2
    assert not nothing["resolved"].any()


def test_the_family_counts_one_comparison_once(observed):
    found = gains(observed)
    both = found[(found["posterior"] == CHAIN) & (found["aggregation"] == "cycle") & (found["samples"] == 5)]
    first, second = (both[both["against"] == kind] for kind in (EQUAL_EPOCHS, SAME_RECIPE))
    assert list(first["p_holm"]) == list(second["p_holm"])
    # 2 aggregations x 4 relations x: chains 3, ensembles of the same recipe 4, of equal epochs another recipe 1
    assert set(found["family"]) == {2 * 4 * (3 + 4 + 1)}


def test_equal_epochs_name_the_network_or_say_that_there_is_none(observed):
    found = gains(observed)
    rows = found[(found["against"] == EQUAL_EPOCHS) & found["posterior"].str.startswith("deep_ensemble")]
    five, fifteen = rows[rows["samples"] == 5], rows[rows["samples"] == 15]
    assert set(five["single_recipe"]) == {LONG}
    assert set(five["epochs_ratio"]) == {1.0}
    assert fifteen["gain"].isna().all()
    assert set(fifteen["reason"]) == {"no single network was trained for as many epochs"}
    assert set(fifteen["epochs_ratio"]) == {3.0}


def test_nearest_is_within_a_tenth():
    singles = {"a": 10.0, "b": 60.0}
    assert nearest(66.0, singles).recipe == "b"
    assert nearest(67.0, singles).recipe is None
    assert nearest(67.0, singles).epochs == 60.0
    assert nearest(float("nan"), singles).reason == "epochs are not stored"
    assert nearest(10.0, {}).reason == "no single network"


def test_one_seed_is_never_resolved():
    found = gains(observations(results_of(World(ONE_HOW, seeds=(0,)))))
    compared = found[found["gain"].notna()]
    assert len(compared)
    assert set(compared["reason"]) == {ONE_SEED}
    assert not found["resolved"].any()


def test_few_successes_are_never_resolved():
    truth = dict.fromkeys(ONE_HOW, 0.0)
    found = gains(observations(results_of(World(truth, sources=("a",), spread=0.0, n_images=20))))
    compared = found[found["gain"].notna()]
    assert set(compared["reason"]) == {TOO_FEW}


def test_only_what_both_have_is_compared(observed):
    """Without the chain's tests on one victim, the single network's tests on it are left out as well."""
    gone = (observed["posterior"] == CHAIN) & (observed["victim_id"] == observed["victim_id"].iloc[0])
    some = observed[~gone].reset_index(drop=True)
    found = gains(some)
    row = found[(found["posterior"] == CHAIN) & (found["against"] == SAME_RECIPE)].iloc[0]
    assert row["n_tests"] == row["n_single_tests"]
    whole = gains(observed)
    assert (found["n_tests"].min(), whole["n_tests"].min()) == (33, 36)


def test_draws_are_averaged_and_are_no_replicates(observed):
    ensembles = observed[(observed["posterior"] == f"deep_ensemble(members={POOL})") & (observed["samples"] == 2)]
    assert set(ensembles["n_draws"]) == {3}
    seeds = ensembles[(ensembles["aggregation"] == "cycle") & (ensembles["relation"] == ensembles["relation"].iloc[0])]
    assert len(seeds) == 36
    raw = results_of(World(draws=3), seed=1).tests
    one = ensembles.iloc[0]
    keys = ["surrogate_posterior", "surrogate_samples", "surrogate_aggregation", "surrogate_source", "victim_id",
            "surrogate_architecture", "surrogate_seed", "surrogate_recipe"]  # fmt: skip
    same = raw[(raw[keys] == one[keys]).all(axis=1)]
    assert len(same) == 3
    assert one["asr"] == pytest.approx(same["asr"].mean())


def test_t_dee_of_the_planted_curve(observed):
    found = equivalents(observed)
    chain = found[(found["posterior"] == CHAIN) & (found["samples"] == 5)]
    assert set(chain["members"]) == {"1, 2, 5, 15"}
    # .475 lies half way between F(2) = .40 and F(5) = .55
    assert chain["tdee"].mean() == pytest.approx(3.5, abs=0.3)
    assert ((chain["low"] <= 3.5) & (chain["high"] >= 3.5)).mean() >= 0.75
    nothing = found[found["posterior"] == NULL]
    assert (nothing["low_text"] == "below 1").all()
    assert not (found["posterior"].str.startswith("deep_ensemble")).any()
    assert set(found.loc[found["posterior"] == "point", "recipe"]) == {LONG}


def test_above_the_curve_is_no_number():
    truth = ONE_HOW | {(CHAIN, LONG, 5, "mean_logits"): 0.85}
    found = equivalents(observations(results_of(World(truth, sources=("a",)))))
    chain = found[(found["posterior"] == CHAIN) & (found["samples"] == 5)]
    assert set(chain["tdee_text"]) == set(chain["low_text"]) == set(chain["high_text"]) == {"above 15"}
    assert chain[["tdee", "low", "high"]].isna().all(axis=None)


def test_the_single_network_stands_in_for_an_ensemble_of_one():
    truth = {key: rate for key, rate in ONE_HOW.items() if key[2] != 1 or key[0] == "point"}
    found = equivalents(observations(results_of(World(truth, sources=("a",)))))
    assert set(found["members"]) == {"1, 2, 5, 15"}
    alone = {key: rate for key, rate in truth.items() if key[:2] != ("point", SHORT)}
    assert set(equivalents(observations(results_of(World(alone, sources=("a",)))))["members"]) == {"2, 5, 15"}


def test_cycle_at_equal_steps_and_at_equal_gradients():
    world = World(sources=("a",), steps={"mifgsm": (2, 10)}, record=(1, 2, 5))
    found = cycle_against_mean(observations(results_of(world)))
    five = found[(found["posterior"] == CHAIN) & (found["samples"] == 5)]
    steps = {(row.compared, row.mean_steps, row.cycle_steps) for row in five.itertuples()}
    assert steps == {
        ("equal steps", 2, 2), ("equal steps", 10, 10), ("equal gradients", 2, 10),
        ("equal gradients, recorded steps", 1, 5), ("equal gradients, recorded steps", 2, 10),
    }  # fmt: skip
    equal = five["compared"] == "equal steps"
    assert set(five.loc[equal, "backwards_ratio"]) == {0.2}
    assert set(five.loc[~equal, "backwards_ratio"]) == {1.0}
    assert not five.loc[equal, "resolved"].any()
    two = five[five["compared"] == "equal gradients"]
    # success grows as steps^.25: 10 steps against 2
    truth = 0.475 * (1 - 0.2**0.25) - np.array([0.05, 0.0]) * (1 - 0.2**0.25)
    assert two.sort_values("relation")["gain"].to_numpy() == pytest.approx(truth, abs=0.03)


def replicated(panel, group, replicates, rng):
    """Return rates (T, R) and their means (T,): network, chain and victim effects sd .03, residual sd .02."""
    truth = group.apply(lambda row: ONE_HOW[row["posterior"], row["recipe"], row["samples"], "mean_logits"], axis=1)
    truth = truth.to_numpy()
    own = rng.normal(0, 0.03, (len(panel.plan.cell), replicates))
    pools = rng.normal(0, 0.03, (len(panel.plan.cell), POOL, replicates))
    effects = own[panel.plan.surrogate] + own[panel.plan.victim]
    for index in np.flatnonzero(group["posterior"].str.startswith("deep_ensemble")):
        members = pools[panel.plan.surrogate[index], : group["samples"].iloc[index]].mean(axis=0)
        effects[index] = members + own[panel.plan.victim[index]]
    rates = truth[:, None] + effects + rng.normal(0, 0.02, effects.shape)
    return rng.binomial(120, np.clip(rates, 0, 1)) / 120, truth


@pytest.mark.parametrize("seeds", [2, 4])
def test_coverage_of_gains_and_of_the_inverted_contrast(seeds):
    """300 grids: nominal .95 for the chain's gain and for its contrast with the curve where they are equal."""
    world = World(ONE_HOW, sources=("a",), seeds=tuple(range(seeds)), victim_seeds=tuple(range(100, 100 + seeds)))
    group = observations(results_of(world))
    panel = Panel.of(_lineage(group))
    rates, truth = replicated(panel, group, 300, np.random.default_rng(3))
    place = positions(group, ["posterior", "recipe", "samples"])
    chain, single = place[CHAIN, LONG, 5], place["point", LONG, 1]
    curve = {size: place[f"deep_ensemble(members={POOL})", SHORT, size] for size in CURVE}
    contrasts = {
        "gain": panel.weight(chain) - panel.weight(single),
        "at 3.5": panel.weight(chain) - (panel.weight(curve[2]) + panel.weight(curve[5])) / 2,
    }
    for name, weight in contrasts.items():
        found = crossed(panel.plan, rates, weight)
        half = student.ppf(0.975, found.df) * np.sqrt(found.variance)
        assert 0.90 <= (np.abs(found.estimate - weight @ truth) <= half).mean() <= 0.99, name
    together = crossed(panel.plan, rates[:, :1], np.stack(list(contrasts.values()), axis=1))
    for index, weight in enumerate(contrasts.values()):
        alone = crossed(panel.plan, rates[:, :1], weight)
        assert together.variance[index] == pytest.approx(alone.variance[0])
        assert together.estimate[index] == pytest.approx(alone.estimate[0])
