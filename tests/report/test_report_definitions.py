"""Success under every definition: folders whose rates can be counted by hand, and what holds for any labels."""

import shutil
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled_results import rows_of, write
from scipy.stats import binomtest
from synthetic_results import Shape, build

from dumb_bench.errors import DamagedFileError
from dumb_bench.report.class_rates import class_rates
from dumb_bench.report.contrasts import summary
from dumb_bench.report.definitions import DEFINITIONS, NO_SURROGATE, NOT_STORED, definitions, rates_of, shown
from dumb_bench.report.design import design, take
from dumb_bench.report.effects import interval
from dumb_bench.report.groups import prepared
from dumb_bench.report.load import load
from dumb_bench.report.per_image import per_image
from dumb_bench.report.rates import equal_weights, wilson, wilson_bounds
from dumb_bench.report.replicated import means

TRUTH = [0, 1, 0, 1, 0, 1, 0, 1]
CLEAN = {
    ("s", "optdigits"): [0, 1, 0, 1, 0, 1, 1, 1],  # wrong on image 6
    ("v", "optdigits"): [1, 1, 0, 1, 0, 1, 0, 1],  # wrong on image 0
    ("w", "optdigits"): [0, 0, 0, 1, 0, 1, 0, 1],  # wrong on image 1
}
OWN = {("s", "optdigits"): [1, 0, 1, 0, 0, 1, 1, 1]}  # fooled on images 0 to 3
ATTACKED = {
    ("s", "v", "optdigits"): [1, 0, 1, 1, 1, 1, 1, 1],  # wrong on 0, 1, 2, 4, 6
    ("s", "w", "optdigits"): [0, 1, 1, 1, 0, 1, 0, 0],  # wrong on 2, 7
    ("s", "s", "optdigits"): [1, 0, 1, 0, 0, 1, 1, 1],
}
BY_HAND = {  # victim -> definition -> hits, images
    "v": {"all_images": (5, 8), "victim_correct": (4, 7), "both_correct": (3, 6), "surrogate_fooled": (2, 3),
          "common_correct": (2, 5)},
    "w": {"all_images": (2, 8), "victim_correct": (2, 7), "both_correct": (2, 6), "surrogate_fooled": (1, 3),
          "common_correct": (2, 5)},
}  # fmt: skip
"""Compared are s, v and w (the white box takes part): right together on images 2, 3, 4, 5, 7."""


def by_hand(**changes):
    given = {"truth": {"optdigits": TRUTH}, "clean": CLEAN, "attacked": ATTACKED, "own": OWN} | changes
    return rows_of(**given)


@pytest.mark.parametrize("identity", [True, False], ids=["identity control", "clean predictions of models"])
def test_every_definition_counted_by_hand(tmp_path, identity):
    results = load(write(tmp_path, by_hand(identity=identity, more_clean=() if identity else (1, 1, 1))))
    tests = shown(prepared(results))
    found = rates_of(results, tests)
    names = list(DEFINITIONS)
    for victim, expected in BY_HAND.items():
        row = tests.index[tests["victim_id"] == victim][0]
        counts = {name: (found.hits[row, i], found.images[row, i]) for i, name in enumerate(names) if name in expected}
        assert counts == expected
    assert np.isnan(found.rates[:, names.index("targeted")]).all()


def test_flags_image_by_image(tmp_path):
    rows = by_hand()
    for row in rows["models"]:  # other draws than those of the attacked images: the identity control's count
        row["clean_predictions"] = [[1 - label for label in TRUTH]]
    results = load(write(tmp_path, rows))
    tests = results.tests[results.tests["test_id"] == "pgd optdigits > v < s"]
    found = per_image(results, tests)

    def places(flags):
        return np.flatnonzero(flags[0]).tolist()

    assert places(~found.correct) == [0]
    assert places(found.wrong) == [0, 1, 2, 4, 6]
    assert places(found.success) == [1, 2, 4, 6]
    assert places(~found.surrogate_correct) == [6]
    assert places(found.surrogate_fooled) == [0, 1, 2, 3]  # wrong on 6 too, but clean as well
    assert found.answered.all()
    assert found.known.all()
    assert found.surrogate_known.all()


def test_a_surrogate_of_several_models_has_no_clean_labels(tmp_path):
    rows = by_hand()
    for row in rows["tests"]:
        row["surrogate_id"] = "s and t"
    results = load(write(tmp_path, rows))
    found = per_image(results, results.tests)
    assert found.known.all()
    assert not found.surrogate_known.any()


def test_image_sources_weigh_the_same(tmp_path):
    tests = shown(prepared(load(build(tmp_path, Shape(seeds=(0, 1, 2), controls=False, blur=())))))
    sources = np.array(["a", "a", "a", "b"], dtype=object)
    rates = np.array([[0.1, 0.1], [0.2, np.nan], [0.3, 0.3], [0.8, np.nan]])
    found = means(design(tests.iloc[:4]), rates, sources, np.arange(4), bare="no interval")
    assert found.rate == pytest.approx([0.5, 0.2])
    assert found.n_tests.tolist() == [4, 2]
    assert found.reason == ["no interval"] * 2


def test_the_table_of_definitions(tmp_path):
    results = load(write(tmp_path, by_hand()))
    table = definitions(results, prepared(results)).set_index(["case", "definition"])
    for name in BY_HAND["v"]:
        rates = [BY_HAND[victim][name][0] / BY_HAND[victim][name][1] for victim in "vw"]
        row = table.loc["C1", name]
        assert row["rate"] == pytest.approx(np.mean(rates), abs=1e-15)
        assert (row["n_tests"], row["known"], row["n_images"]) == (2, 1.0, BY_HAND["v"][name][1])
    assert "targeted" not in table.index.get_level_values("definition")
    white = table.loc["WB", "both_correct"]
    assert (white["rate"], white["n_images"], white["reason"]) == (4 / 7, 7, "white box: shown apart")
    assert table.loc["WB", "surrogate_fooled"]["rate"] == 1.0


def test_targets(tmp_path):
    targets = [2, 2, 1, 2, 1, 2, 2, 2]  # v: right clean on 2 and 4, and takes both for 1
    results = load(write(tmp_path, by_hand(targets=targets)))
    table = definitions(results, prepared(results)).set_index(["case", "definition"])
    assert table.loc["C1", "targeted"]["rate"] == pytest.approx((2 / 7 + 1 / 7) / 2)
    assert table.loc["C1", "targeted"]["n_images"] == 7


def test_sources_of_other_sizes_are_padded(tmp_path):
    small = {("s", "rendered"): [0, 1, 1], ("v", "rendered"): [0, 1, 1], ("w", "rendered"): [1, 1, 1]}
    attacked = {("s", "v", "rendered"): [1, 1, 0], ("s", "w", "rendered"): [1, 0, 1]}
    rows = by_hand(
        truth={"optdigits": TRUTH, "rendered": [0, 1, 1]}, clean=CLEAN | small, attacked=ATTACKED | attacked,
        own=OWN | {("s", "rendered"): [0, 1, 0]},
    )  # fmt: skip
    results = load(write(tmp_path, rows))
    tests = shown(prepared(results))
    found = per_image(results, tests)
    row = tests.index[(tests["victim_id"] == "v") & (tests["image_source"] == "rendered")][0]
    assert found.known[row].tolist() == [True] * 3 + [False] * 5
    assert found.success[row].tolist() == [True, False, True] + [False] * 5
    assert found.surrogate_fooled[row].tolist() == [False, False, True] + [False] * 5
    whole = tests.index[(tests["victim_id"] == "v") & (tests["image_source"] == "optdigits")][0]
    assert found.wrong[whole].tolist() == [place in (0, 1, 2, 4, 6) for place in range(8)]
    assert found.correct.sum(axis=1).tolist() == tests["n_victim_correct"].tolist()
    common = rates_of(results, tests).images[row, list(DEFINITIONS).index("common_correct")]
    assert common == 2  # w is wrong on one of three


def test_repeated_rows_are_read_under_the_id_of_the_scored_one(tmp_path):
    rows = by_hand()
    for row in rows["tests"]:
        if row["victim_id"] == "v" and row["attack"] == "pgd":
            row |= {"test_id": "another name", "copied": True, "attack_id": "blur"}
    results = load(write(tmp_path, rows))
    tests = results.tests[results.tests["test_id"] == "another name"]
    assert per_image(results, tests).success.tolist() == [[place in (1, 2, 4, 6) for place in range(8)]]
    assert not per_image(results, tests).surrogate_known.any()


def test_without_a_surrogate_two_definitions_are_empty(tmp_path):
    rows = by_hand()
    for row in rows["tests"]:
        row["copied"] = True
    rows["attacks"] = []
    table = definitions(results := load(write(tmp_path, rows)), prepared(results)).set_index(["case", "definition"])
    for name in ("both_correct", "surrogate_fooled"):
        assert table.loc["C1", name]["reason"] == NO_SURROGATE
        assert np.isnan(table.loc["C1", name]["rate"])
    assert table.loc["C1", "all_images"]["rate"] == 7 / 16


@pytest.mark.parametrize("how", ["empty", "taken out"])
def test_results_without_predictions(tmp_path, how):
    rows = by_hand()
    if how == "empty":
        rows["predictions"] = []
    folder = write(tmp_path, rows)
    if how == "taken out":
        shutil.rmtree(folder / "tables" / "predictions")
    results = load(folder)
    assert per_image(results, results.tests) is None
    table = definitions(results, prepared(results)).set_index(["case", "definition"])
    assert table.loc["C1", "victim_correct"]["rate"] == pytest.approx(3 / 7)
    for name in ("all_images", "both_correct", "surrogate_fooled", "common_correct"):
        row = table.loc["C1", name]
        assert (row["reason"], row["known"], row["n_tests"]) == (NOT_STORED, 0.0, 0)
        assert np.isnan(row["rate"])


def test_damaged_predictions_are_no_missing_predictions(tmp_path):
    folder = write(tmp_path, by_hand())
    path = folder / "tables" / "predictions" / "part-0.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DamagedFileError, match="predictions"):
        per_image(load(folder), load(folder).tests)


def test_two_sets_of_one_size_make_the_truth_unknown(tmp_path):
    rows = by_hand()
    other = [dict(row, unit_key="other", label=1 - row["label"]) for row in rows["images"]]
    results = load(write(tmp_path / "same", rows | {"images": rows["images"] + other}), everything=True)
    assert not per_image(results, results.tests).answered.any()
    longer = [*other, dict(other[-1], index=8)]
    results = load(write(tmp_path / "longer", rows | {"images": rows["images"] + longer}), everything=True)
    assert per_image(results, results.tests).known.all()


def test_the_standard_definition_is_the_summary(tmp_path):
    results = load(build(tmp_path, Shape(seeds=(0, 1, 2), attacks={"tifgsm": (0.12, 0.24)})))
    tests = prepared(results)
    found = definitions(results, tests)
    found = found[found["definition"] == "victim_correct"]
    both = found.merge(summary(tests), on=["population", "label", "setting", "case"], suffixes=("", "_summary"))
    assert len(both) == len(found) == 18
    assert set(found["label"]) == {"tifgsm", "box_blur"}
    for name in ("rate", "low", "high", "n_tests", "n_images"):
        np.testing.assert_allclose(both[name], both[f"{name}_summary"], rtol=0, atol=1e-12)
    assert both["low"].notna().sum() == 16
    assert (both["reason"] == both["reason_summary"]).all()


def test_intervals_of_several_rates_are_those_of_each(tmp_path):
    results = load(build(tmp_path, Shape(seeds=(0, 1, 2), controls=False, blur=())))
    tests = shown(prepared(results))
    tests = tests[tests["counted"]].reset_index(drop=True)
    success = tests["n_success"] / tests["n_victim_correct"]
    rates = np.stack([success, success**2, success], axis=1)
    rates[::7, 2] = np.nan
    sources = tests["image_source"].to_numpy(dtype=object)
    here = np.flatnonzero(tests["case"] == "C3")
    plan = design(tests)
    found = means(plan, rates, sources, here)
    for column in range(3):
        kept = np.flatnonzero(np.isfinite(rates[:, column]))
        used = here[np.isfinite(rates[here, column])]
        weight = np.zeros(len(tests))
        weight[used] = equal_weights(sources[used])
        alone = interval(take(plan, kept), rates[kept, column], weight[kept], low=0.0)
        assert (found.low[column], found.high[column]) == pytest.approx((alone.low, alone.high), abs=1e-14)
        assert found.rate[column] == pytest.approx(alone.estimate, abs=1e-14)
        assert (found.reason[column], found.n_tests[column]) == ("", len(used))
    assert found.low[0] != found.low[2]


def test_wilson_of_many_is_wilson_of_each():
    trials = np.repeat(np.arange(0, 40, 3), 5)
    hits = np.minimum(np.tile([0, 1, 7, 20, 99], 14), trials)
    found = wilson_bounds(hits, trials)
    for k, n, low, high in zip(hits.tolist(), trials.tolist(), *found, strict=True):
        assert (low, high) == pytest.approx(wilson(k, n), abs=1e-15)
        if n:
            bounds = binomtest(k, n).proportion_ci(method="wilson")
            assert (low, high) == pytest.approx((bounds.low, bounds.high), abs=1e-12)
    for hits, trials in (([3], [2]), ([-1], [2]), ([1, 1], [2])):
        with pytest.raises(ValueError, match="successes"):
            wilson_bounds(np.array(hits), np.array(trials))


def test_success_by_class(tmp_path):
    constant = [1] * 8  # attacked, w always answers 1: success 1 on class 0, 0 on class 1
    results = load(write(tmp_path, by_hand(attacked={("s", "w", "optdigits"): constant})))
    table = class_rates(results, prepared(results)).set_index(["case", "class"])
    assert table.loc["C1", 0]["rate"] == 1.0
    assert table.loc["C1", 1]["rate"] == 0.0
    assert table["n_images"].tolist() == [4, 3]
    assert table["n_tests"].tolist() == [1, 1]
    assert table["class_name"].tolist() == ["127", "056"]


BOOLEANS = st.booleans()
labels = st.lists(st.integers(0, 2), min_size=5, max_size=5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(truth=labels, clean=st.tuples(labels, labels, labels), attacked=st.tuples(labels, labels, labels), fair=BOOLEANS)
def test_what_holds_for_any_labels(tmp_path, truth, clean, attacked, fair):
    names = ("s", "v", "w")
    before = {(name, "optdigits"): truth if fair else found for name, found in zip(names, clean, strict=True)}
    after = {("s", name, "optdigits"): found for name, found in zip(names, attacked, strict=True)}
    results = load(write(tmp_path, rows_of({"optdigits": truth}, before, after, {("s", "optdigits"): attacked[0]})))
    tests = prepared(results)
    if tests.empty or shown(tests).empty:
        return
    tests = shown(tests)
    found = rates_of(results, tests)
    hits, images = (pd.DataFrame(values, columns=list(DEFINITIONS)) for values in found)
    computed = hits.drop(columns="targeted").notna()
    assert computed[["all_images", "victim_correct", "both_correct", "surrogate_fooled"]].all(axis=None)
    assert (hits <= images).where(computed, True).all(axis=None)
    order = ["surrogate_fooled", "both_correct", "victim_correct", "all_images"]
    for narrow, wide in pairwise(order):
        assert (hits[narrow] <= hits[wide]).all()
        assert (images[narrow] <= images[wide]).all()
    known = computed["common_correct"]
    assert (images["common_correct"][known] <= images["victim_correct"][known]).all()
    assert images["all_images"].eq(5).all()
    if fair:
        same = ["all_images", "victim_correct", "both_correct", "common_correct"]
        assert hits[same].nunique(axis=1).eq(1).all()
        assert images[same].nunique(axis=1).eq(1).all()
