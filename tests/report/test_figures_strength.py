"""Known answers of the figures of strengths: tuning, visibility, cost."""

import numpy as np
import pandas as pd
import pytest
from figure_frames import grid_frame, sets_frame, tunings_frame
from synthetic_results import Shape, build

from dumb_bench.report.figures.base import NothingToShowError
from dumb_bench.report.figures.cost import Cost
from dumb_bench.report.figures.shown import MAX_SERIES
from dumb_bench.report.figures.tuning_history import TuningHistory
from dumb_bench.report.figures.visibility import Visibility
from dumb_bench.report.frames import Frames
from dumb_bench.report.load import load
from dumb_bench.report.visibility import COLUMNS, visibility


@pytest.fixture(scope="module")
def tests():
    return grid_frame(("pgd", "box_blur"), strengths=(0.1, 0.2), rate=lambda t: 2 * t["strength"], noise=0.05)


def test_visibility_joins_success_with_the_sets_behind_it(tests):
    frame = visibility(tests, sets_frame(tests))
    assert list(frame.columns) == list(COLUMNS)
    found = frame.set_index(["label", "setting"])
    assert found.index.tolist() == [
        ("box_blur", "0.1"), ("box_blur", "0.2"), ("pgd", "0.1"), ("pgd", "0.2"), ("sign_noise", "0.1"),
        ("sign_noise", "0.2"),
    ]  # fmt: skip
    pgd = found.loc[("pgd", "0.2")]
    assert pgd[["rate", "mean_ssim", "mean_l2_delivered", "mean_linf_delivered"]].tolist() == pytest.approx(
        [0.4, 0.8, 2.0, 0.2]
    )
    assert pgd[["backwards", "forwards", "seconds"]].tolist() == pytest.approx([10.0, 11.0, 0.1])
    assert (pgd["n_tests"], pgd["n_sets"], pgd["n_surrogates"]) == (16 * 15, 16, 16)


def test_what_strengths_share_is_a_cost_of_all_of_them(tests):
    sets = sets_frame(tests)
    sets.loc[(sets["attack"] == "pgd") & (sets["strength"] == 0.2), ["backwards", "forwards"]] = 0
    found = visibility(tests, sets).set_index(["label", "setting"])
    assert found.loc[("pgd", "0.2"), "backwards"] == 10.0


def test_only_counted_tests_of_the_reference_population_enter(tests):
    other = tests.assign(reference=False, asr=1.0)
    white = tests.assign(counted=False, asr=1.0)
    alone = visibility(tests, sets_frame(tests))
    mixed = visibility(pd.concat([tests, other, white], ignore_index=True), sets_frame(tests))
    pd.testing.assert_frame_equal(mixed, alone)
    assert list(visibility(other, sets_frame(other)).columns) == list(COLUMNS)


def test_a_tuned_attack_is_one_point_without_a_strength(tests):
    tuned = tests[tests["role"] == "attack"].assign(setting="tuned")
    found = visibility(tuned, sets_frame(tests)).set_index("label")
    assert found.loc["pgd", ["rate", "mean_ssim"]].tolist() == pytest.approx([0.3, 0.85])
    assert np.isnan(found.loc["pgd", "strength"])


def test_visibility_is_drawn_for_each_measure_that_is_stored(tests):
    frame = visibility(tests, sets_frame(tests))
    data = Visibility().prepare(frame)
    pgd = data[(data["label"] == "pgd") & (data["panel"] == "mean SSIM")]
    assert pgd[["x", "rate"]].to_numpy().tolist() == pytest.approx(np.array([[0.9, 0.2], [0.8, 0.4]]))
    assert set(data.loc[data["style"] == -1, "label"]) == {"sign_noise"}
    assert set(Visibility().prepare(frame.assign(mean_l2_delivered=np.nan))["panel"]) == {"mean SSIM"}
    with pytest.raises(NothingToShowError, match="neither SSIM nor norms"):
        Visibility().prepare(frame.assign(mean_l2_delivered=np.nan, mean_ssim=np.nan))
    with pytest.raises(NothingToShowError, match="no test of an attack"):
        Visibility().prepare(frame[frame["role"] == "noise"])


def test_without_stored_sets_there_is_success_but_neither_visibility_nor_cost(tests):
    frame = visibility(tests, sets_frame(tests).iloc[:0])
    assert frame.set_index(["label", "setting"]).loc[("pgd", "0.1"), "rate"] == pytest.approx(0.2)
    for plot, reason in ((Visibility(), "neither SSIM nor norms"), (Cost(), "no cost")):
        with pytest.raises(NothingToShowError, match=reason):
            plot.prepare(frame)


def test_cost_leaves_out_what_an_attack_does_not_use(tests):
    data = Cost().prepare(visibility(tests, sets_frame(tests)))
    found = data.groupby("panel", sort=False)["line"].unique().map(list).to_dict()
    assert found == {
        "gradients": ["pgd @ 0.2"], "passes": ["pgd @ 0.2"], "time": ["box_blur @ 0.2", "pgd @ 0.2"],
    }  # fmt: skip
    assert data.loc[data["panel"] == "gradients", "x"].tolist() == [10.0]
    assert "Times were taken on a CPU." in Cost().caption(data)
    with pytest.raises(NothingToShowError, match="no cost"):
        Cost().prepare(visibility(tests, sets_frame(tests).assign(backwards=0, forwards=0, seconds=np.nan)))


def test_more_series_than_can_be_told_apart_are_said():
    tests = grid_frame([f"a{number}" for number in range(MAX_SERIES + 3)], seeds=(0,), sources=("a",), noise=None)
    data = Cost().prepare(visibility(tests, sets_frame(tests)))
    assert f"Drawn: the {MAX_SERIES} with the highest success" in Cost().caption(data)


def test_the_history_holds_the_curve_and_the_choice():
    data = TuningHistory().prepare(tunings_frame(["pgd"], surrogates=2))
    first = data[data["surrogate_id"] == "m1"]
    assert first["success"].tolist() == [0.2, 0.55, 1.0]
    assert first["ssim"].tolist() == [0.8, 0.5, 0.3]
    assert first["chosen"].tolist() == [False, True, False]
    assert "above 0.4" in TuningHistory().caption(data)


def test_the_history_says_what_found_no_strength_and_leaves_out_what_had_no_choice():
    none = TuningHistory().prepare(tunings_frame(["pgd"], surrogates=2, chosen=None))
    assert not none["chosen"].any()
    assert "In 2 of 2 cells no strength keeps it there" in TuningHistory().caption(none)
    frame = tunings_frame(["pgd", "grey_scale"])
    frame["strengths"] = [[0.1] if name == "grey_scale" else [0.1, 0.2, 0.3] for name in frame["attack"]]
    frame["mean_ssim"] = [[0.8] if name == "grey_scale" else [0.8, 0.5, 0.3] for name in frame["attack"]]
    frame["n_fooled"] = [[4] if name == "grey_scale" else [4, 10, 20] for name in frame["attack"]]
    assert set(TuningHistory().prepare(frame)["panel"]) == {"pgd"}
    with pytest.raises(NothingToShowError, match="no attack was tried at two strengths"):
        TuningHistory().prepare(frame[frame["attack"] == "grey_scale"])
    with pytest.raises(NothingToShowError, match="No strength was tuned"):
        TuningHistory().prepare(frame.iloc[:0])


def test_a_surrogate_that_gets_nothing_right_has_no_success():
    frame = tunings_frame(["pgd"], surrogates=1).assign(n_surrogate_correct=0)
    assert TuningHistory().prepare(frame)["success"].isna().all()


def test_the_frame_comes_from_stored_tables(tmp_path):
    shape = Shape(sources=("a", "b"), architectures=("x",), balances=("50/50",), seeds=(0,), n_images=10)
    frame = Frames(load(build(tmp_path / "r", shape))).visibility
    found = frame.set_index(["label", "setting"])
    assert found.loc[("tifgsm", "0.16"), "mean_ssim"] == pytest.approx(np.exp(-4 * 0.16**2))
    assert found.loc[("tifgsm", "0.16"), "backwards"] == 1.0
    assert found["mean_l2_delivered"].isna().all()  # the builder stores no means of norms
