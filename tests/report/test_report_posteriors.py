"""Configurations, their costs, the page's section; recorded steps stay out of everything else."""

import csv
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic_posteriors import CHAIN, LONG, SHORT, World, build, planted, results_of
from synthetic_results import Shape
from synthetic_results import build as build_plain

from dumb_bench.report.contrasts import summary
from dumb_bench.report.figures.series import amount
from dumb_bench.report.gates import gates
from dumb_bench.report.generate import generate
from dumb_bench.report.groups import prepared
from dumb_bench.report.limits import provenance, size
from dumb_bench.report.load import load
from dumb_bench.report.posterior_page import claims
from dumb_bench.report.posteriors import configurations, has_posteriors, not_stored, observations, steps_of

FIGURES = ("success_by_training_cost", "success_by_samples", "success_by_iterations")
FEW = {key: rate for key, rate in planted().items() if key[0] != "snapshot(cycles=3)" and key[2] < 15}
SMALL = World(FEW, sources=("a",), seeds=(0, 1, 2), victim_seeds=(100, 101, 102), n_images=50, record=(1, 5))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("posteriors")
    return generate(build(root / "results", SMALL), root / "out")


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page.read_text(), flags=re.S)))


def test_the_page_has_the_section_with_its_tables(drawn):
    text = text_of(drawn)
    for part in (
        "Bayesian surrogates: mifgsm at 0.1", "Success and its four costs", "Gain over the single network at equal",
        "cycle against mean_logits", "Deep-ensemble equivalent (T-DEE)", "not resolved, which is not equal",
        "more success, resolved: in every relation: csgld", "deep_ensemble(members=15) / small(epochs=12), 5",
        "below 1",
    ):  # fmt: skip
        assert part in text, part
    assert "Not stored with these results" not in text
    for figure in FIGURES:
        for kind in ("csv", "png", "pdf"):
            assert (drawn.parent / "figures" / f"{figure}.{kind}").is_file()
    for link in re.findall(r'href="([^#"][^"]*)"', drawn.read_text()):
        assert (drawn.parent / link).is_file(), link


def test_the_tables_are_written(drawn):
    folder = drawn.parent / "tables"
    for name in ("posterior_costs", "posterior_gains", "cycle_against_mean", "tdee"):
        rows = list(csv.DictReader((folder / f"{name}.csv").read_text().splitlines()))
        assert rows, name
        tex = (folder / f"{name}.tex").read_text()
        assert r"\toprule" in tex and r"small(epochs=60)" in tex
        assert not re.search(r"(?<!\\)_", re.sub(r"(?m)^%.*$|scriptsize|cmidrule", "", tex))
    costs = pd.read_csv(folder / "posterior_costs.csv")
    chain = costs[(costs["posterior"] == CHAIN) & (costs["samples"] == 5)].set_index("aggregation")
    assert (
        set(chain["epochs"]) == {60} and set(chain["gradients"]) == {60000} and set(chain["weights_bytes"]) == {20000}
    )
    assert set(chain.loc["mean_logits", "backwards"]) == {50} and set(chain.loc["cycle", "backwards"]) == {10}
    assert set(chain["memory_bytes"]) == {5000}
    ensemble = costs[costs["posterior"].str.startswith("deep_ensemble") & (costs["samples"] == 2)]
    assert set(ensemble["epochs"]) == {24}


def test_iterations_are_drawn_from_recorded_steps_and_the_end(drawn):
    rows = pd.read_csv(drawn.parent / "figures" / "success_by_iterations.csv")
    assert sorted(set(rows["iteration"])) == [1, 5, 10]
    assert (rows["final"] == (rows["iteration"] == 10)).all()
    assert set(rows.loc[rows["posterior"] == CHAIN, "samples"]) == {5}
    costs = pd.read_csv(drawn.parent / "figures" / "success_by_training_cost.csv")
    assert set(costs["measure"]) == {"training epochs", "training gradients"}
    assert "step" not in pd.read_csv(drawn.parent / "tables" / "posterior_costs.csv")


def test_steps_enter_nothing_else(tmp_path):
    with_steps = load(build(tmp_path / "some", SMALL))
    without = load(build(tmp_path / "none", replace(SMALL, record=())))
    kept = with_steps.tests["step"].isna()
    assert 0 < kept.sum() < len(kept)
    by_hand = replace(
        with_steps, tests=with_steps.tests[kept], attacks=with_steps.attacks[with_steps.attacks["step"].isna()]
    )
    assert len(by_hand.tests) == len(without.tests) and len(by_hand.attacks) == len(without.attacks)
    one, other = prepared(with_steps), prepared(by_hand)
    pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(summary(one), summary(other))
    assert gates(with_steps) == gates(by_hand)
    # intermediate iterates fool 1 in 100 of the surrogate's images, final ones 99
    assert {gate.name: gate.status for gate in gates(with_steps)}["Success on the surrogate itself"] == "pass"
    final = with_steps.final
    assert size(final, one) == size(by_hand, other) and provenance(final) == provenance(by_hand)


def test_the_page_of_a_run_with_steps_counts_final_sets_only(drawn):
    sets = len(load(drawn.parent.parent / "results").final.attacks)
    assert re.search(rf"adversarial sets\s+{sets:,}\b", text_of(drawn))


def test_a_grid_of_single_networks_has_no_section(tmp_path):
    results = build_plain(tmp_path / "results", Shape(architectures=("x",), balances=("50/50",), n_images=20))
    assert not has_posteriors(load(results).tests)
    page = generate(results, tmp_path / "out")
    assert "Bayesian" not in page.read_text()
    names = {path.stem for path in (tmp_path / "out").rglob("*.*")}
    assert not names & {*FIGURES, "posterior_gains", "posterior_costs", "tdee", "cycle_against_mean"}


def test_an_aggregation_alone_is_enough():
    tests = pd.DataFrame({"surrogate_posterior": ["point", None], "surrogate_aggregation": ["mean_logits", None]})
    assert not has_posteriors(tests)
    assert has_posteriors(tests.assign(surrogate_aggregation=["mean_logits", "cycle"]))
    assert has_posteriors(tests.assign(surrogate_posterior=["point", "swag"]))


def test_an_older_folder_says_what_is_missing(tmp_path):
    page = generate(build(tmp_path / "results", replace(SMALL, costs=False, record=())), tmp_path / "out")
    text = text_of(page)
    assert "Not stored with these results, and shown as a dash: training gradients, bytes of weights, memory." in text
    assert "Success against iterations is not drawn: no steps were recorded." in text
    costs = pd.read_csv(tmp_path / "out" / "figures" / "success_by_training_cost.csv")
    assert set(costs["measure"]) == {"training epochs"}


def test_a_section_without_counted_tests_still_stands(tmp_path):
    folder = build(tmp_path / "results", replace(SMALL, seeds=(), record=()))
    assert "Bayesian" not in generate(folder, tmp_path / "none").read_text()
    page = generate(build(tmp_path / "shared", replace(SMALL, shared=0.5)), tmp_path / "out")
    text = text_of(page)
    assert "No test of an attack enters a comparison" in text
    assert "Success against training cost is not drawn" in text
    assert len((tmp_path / "out" / "tables" / "posterior_gains.csv").read_text().splitlines()) == 1


def test_strengths_that_share_their_passes_cost_what_the_first_does():
    results = results_of(replace(SMALL, strengths=(0.1, 0.2), record=(5,)))
    attacks = results.attacks.copy()
    attacks.loc[attacks["strength"] == 0.2, "backwards"] = 0
    attacks.loc[attacks["step"].notna(), "backwards"] = None
    found = configurations(observations(replace(results, attacks=attacks)))
    chain = found[(found["posterior"] == CHAIN) & (found["samples"] == 5) & (found["aggregation"] == "mean_logits")]
    assert set(chain.loc[chain["step"].isna(), "backwards"]) == {50}
    assert set(chain.loc[chain["step"].notna(), "backwards"]) == {25}


def test_a_surrogate_that_is_no_stored_model_costs_a_dash():
    results = results_of(SMALL)
    models = results.models[results.models["posterior"] != CHAIN]
    found = configurations(observations(replace(results, models=models)))
    chain = found["posterior"] == CHAIN
    assert found.loc[chain, ["epochs", "gradients", "weights_bytes"]].isna().all(axis=None)
    assert found.loc[~chain, ["epochs", "gradients", "weights_bytes"]].notna().all(axis=None)
    assert not_stored(found) == []
    assert not_stored(found[chain]) == ["training epochs", "training gradients", "training time", "bytes of weights"]


def test_a_single_network_has_one_aggregation():
    observed = observations(results_of(SMALL))
    assert set(observed.loc[observed["posterior"] == "point", "aggregation"]) == {"mean_logits"}
    assert set(observed.loc[observed["posterior"] == CHAIN, "aggregation"]) == {"mean_logits", "cycle"}
    assert set(observed["recipe"]) == {SHORT, LONG}


def test_a_recorded_step_that_is_the_last_is_the_final_image():
    observed = observations(results_of(replace(SMALL, record=(5, 10))))
    assert set(observed["step"].dropna()) == {5}


@pytest.mark.parametrize(("params", "steps"), [('{"steps": 7}', 7), ("{}", None), ("no json", None), (None, None)])
def test_steps_of(params, steps):
    assert steps_of(params) == steps


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (12, "12"),
        (999.6, "1 k"),
        (60000, "60 k"),
        (1.5e9, "1.5 G"),
        (2e13, "20 T"),
        (np.nan, "–"),
        (0.001, "0.001"),
        (1e-4, "1e-4"),
        (0.0000253, "2.53e-5"),
        (0.0, "0"),
    ],
)
def test_amounts(value, text):
    assert amount(value) == text


def test_only_resolved_gains_are_claimed():
    row = {"posterior": CHAIN, "recipe": LONG, "samples": 5, "aggregation": "cycle", "against": "same recipe",
           "relation": "same architecture, same source", "gain": 0.1, "low": 0.05, "high": 0.15}  # fmt: skip
    texts = {
        name: " ".join(claims(pd.DataFrame([{**row, "resolved": resolved, "reason": reason}])))
        for name, resolved, reason in (("yes", True, ""), ("no", False, ""), ("bare", False, "descriptive: one seed"))
    }
    assert "more success, resolved" in texts["yes"] and "+10.0 points" in texts["yes"]
    assert "more success" not in texts["no"] and "not resolved, which is not equal" in texts["no"]
    assert "more success" not in texts["bare"] and "nothing is claimed: 1 gains (one seed)" in texts["bare"]
    assert all("Against the single network at equal epochs: nothing to compare." in text for text in texts.values())
