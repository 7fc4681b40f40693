"""Known answers of the figures by case: radar, rows of attacks, spread, kinds of attack."""

import numpy as np
import pandas as pd
import pytest
from figure_frames import grid_frame

from dumb_bench.report.figures.architecture_matrix import ArchitectureMatrix
from dumb_bench.report.figures.base import NothingToShowError
from dumb_bench.report.figures.case_bars import CaseBars
from dumb_bench.report.figures.case_radar import CaseRadar
from dumb_bench.report.figures.kinds_of_attack import KindsOfAttack
from dumb_bench.report.figures.overview import Overview
from dumb_bench.report.figures.shown import look, short_names, told_apart
from dumb_bench.report.figures.source_impact import SourceImpact
from dumb_bench.report.figures.surrogate_victim_matrix import SurrogateVictimMatrix

LEVELS = {"C1": 0.8, "C2": 0.7, "C3": 0.6, "C4": 0.5, "C5": 0.4, "C6": 0.3, "C7": 0.2, "C8": 0.1}


def by_case(test):
    """The level of the case; ten points less for every attack but pgd."""
    return LEVELS[test["case"]] - (0.0 if test["attack"] == "pgd" else 0.1)


def test_the_radar_holds_each_attacks_mean_by_case_and_parts_the_kinds():
    data = CaseRadar().prepare(grid_frame(("pgd", "bim", "box_blur"), rate=by_case, noise=0.05))
    pgd = data[data["label"] == "pgd"].set_index("case")["rate"]
    assert pgd.to_dict() == pytest.approx(LEVELS)
    assert data.groupby("panel", sort=False)["label"].unique().map(list).to_dict() == {
        "mathematical attacks": ["pgd", "bim", "sign_noise"],
        "non-mathematical attacks": ["box_blur"],
    }
    assert set(data.loc[data["style"] == -1, "line"]) == {"random signs @ 0.1"}
    assert data.loc[data["style"] == -1, "rate"].to_numpy() == pytest.approx(np.full(8, 0.05))


def test_the_radar_has_at_most_seven_lines_a_panel():
    attacks = [f"attack{number}" for number in range(9)]
    data = CaseRadar().prepare(grid_frame(attacks, seeds=(0,), noise=None))
    lines = data.groupby("panel")["line"].nunique()
    assert lines.to_dict() == {"mathematical attacks (1 of 2)": 5, "mathematical attacks (2 of 2)": 4}


def test_the_radar_is_of_the_cases_that_exist_and_needs_three():
    with pytest.raises(NothingToShowError, match="the tests have C1, C3"):
        CaseRadar().prepare(grid_frame(sources=("a",), balances=("50/50",)))
    data = CaseRadar().prepare(grid_frame(balances=("50/50",)))
    assert set(data["spokes"]) == {"C1, C3, C5, C7"}
    assert "No test has the case C2, C4, C6, C8." in CaseRadar().caption(data)


def summary_frame(rows):
    """Hand-made rows of `summary`: (label, case, rate, low, high, noise, primary, largest)."""
    names = ["label", "case", "rate", "low", "high", "noise", "primary", "largest"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(
        setting=np.where(frame["largest"], "0.2", "0.1"), population="", norm="linf", reference=True, reason="",
        n_tests=4, n_images=90.0, n_surrogates=2, n_victims=2, own_source_images=np.nan, other_source_images=np.nan,
    )  # fmt: skip


BOTH = summary_frame(
    [
        ("pgd", "C1", 0.6, 0.5, 0.7, 0.05, True, False), ("pgd", "C5", 0.3, 0.2, 0.4, 0.05, True, False),
        ("pgd", "C1", 0.9, 0.8, 1.0, 0.06, False, True), ("fgsm", "C1", 0.8, None, None, None, False, True),
        ("fgsm", "C5", 0.5, None, None, None, False, True), ("fgsm", "WB", 1.0, None, None, None, False, True),
        ("sign_noise", "C1", 0.99, None, None, None, False, True),
    ]
)  # fmt: skip


def test_rows_of_attacks_are_at_the_primary_or_else_largest_strength_highest_mean_first():
    data = CaseBars().prepare(BOTH)
    assert list(dict.fromkeys(data["attack"])) == ["fgsm @ 0.2", "pgd @ 0.1"]
    assert list(dict.fromkeys(data["panel"])) == ["same architecture, same source", "same architecture, other source"]
    pgd = data[data["label"] == "pgd"]
    assert pgd[["case", "rate", "low", "high", "noise"]].to_numpy().tolist() == [
        ["C1", 0.6, 0.5, 0.7, 0.05],
        ["C5", 0.3, 0.2, 0.4, 0.05],
    ]
    assert "the 2 of 4 points without one are descriptive" in CaseBars().caption(data)


def test_an_attack_that_a_panel_lacks_keeps_an_empty_row_there():
    data = CaseBars().prepare(BOTH[~((BOTH["label"] == "pgd") & (BOTH["case"] == "C5"))])
    lacking = data[(data["label"] == "pgd") & data["rate"].isna()]
    assert lacking["panel"].tolist() == ["same architecture, other source"]


def test_the_source_pairs_cases_that_differ_in_nothing_else():
    frame = BOTH.copy()
    frame.loc[(frame["label"] == "pgd") & (frame["case"] == "C5"), ["own_source_images", "other_source_images"]] = (
        0.4,
        0.2,
    )
    frame.loc[(frame["label"] == "fgsm") & (frame["case"] == "C5"), "own_source_images"] = 0.5
    data = SourceImpact().prepare(frame).set_index("label")
    assert data.loc["pgd", ["rate_same", "rate_other", "own_source_images", "other_source_images"]].tolist() == [
        0.6, 0.3, 0.4, 0.2,
    ]  # fmt: skip
    assert np.isnan(data.loc["fgsm", "own_source_images"])  # only images of one source: no two designs to compare
    with pytest.raises(NothingToShowError, match="no attack was scored both"):
        SourceImpact().prepare(frame[frame["case"] == "C1"])


def test_the_overview_spreads_tests_and_the_noise_beside_them():
    tests = grid_frame(("pgd", "box_blur"), sources=("a",), architectures=("x",), noise=0.05)
    counted = tests["counted"] & (tests["label"] == "pgd")
    tests.loc[counted, "asr"] = np.linspace(0.0, 1.0, int(counted.sum()))
    data = Overview().prepare(tests).set_index("label")
    shares = data.loc["pgd", ["mean", "low5", "quarter", "median", "three_quarters", "high95"]]
    assert shares.to_numpy(dtype=float) == pytest.approx([0.5, 0.05, 0.25, 0.5, 0.75, 0.95])
    assert data.loc["pgd", "n_tests"] == 12  # 16 pairs, 4 of them white box
    assert data.loc["pgd", "noise_mean"] == pytest.approx(0.05)
    assert np.isnan(data.loc["box_blur", "noise_mean"])


def test_the_kinds_of_attack_are_compared_pair_by_pair_ties_apart():
    best = {"C1": 0.5, "C2": 0.2, "C3": 0.3}
    rates = {"pgd": lambda case: best[case] - 0.1, "bim": lambda case: best[case], "box_blur": lambda case: 0.3}
    cases = {"sources": ("a",), "noise": None}
    tests = grid_frame(("pgd", "bim", "box_blur"), **cases, rate=lambda t: rates[t["attack"]](min(t["case"], "C3")))
    data = KindsOfAttack().prepare(tests)
    rows = data[data["panel"] == "pairs won"].set_index("case")
    assert rows[["wins", "ties", "losses", "n_pairs"]].to_numpy().tolist() == [
        [8, 0, 0, 8], [0, 0, 16, 16], [0, 16, 0, 16], [0, 16, 0, 16],
    ]  # fmt: skip
    assert rows["mathematical"].tolist() == pytest.approx([0.5, 0.2, 0.3, 0.3])
    assert rows[["n_mathematical", "n_other"]].drop_duplicates().to_numpy().tolist() == [[2, 1]]
    with pytest.raises(NothingToShowError, match="do not hold both kinds"):
        KindsOfAttack().prepare(tests[tests["label"] != "box_blur"])


def test_the_architecture_matrix_parts_sources_and_leaves_white_box_out():
    data = ArchitectureMatrix().prepare(grid_frame(rate=by_case, balances=("50/50",)))
    cells = data.set_index(["panel", "surrogate_architecture", "victim_architecture"])
    assert cells["rate"].to_dict() == pytest.approx(
        {
            ("same source", "x", "x"): 0.8, ("same source", "x", "y"): 0.6, ("same source", "y", "x"): 0.6,
            ("same source", "y", "y"): 0.8, ("other source", "x", "x"): 0.4, ("other source", "x", "y"): 0.2,
            ("other source", "y", "x"): 0.2, ("other source", "y", "y"): 0.4,
        }
    )  # fmt: skip
    assert cells.loc[("same source", "x", "x"), "n_tests"] == 4  # 2 sources, 2 seeds: 8 pairs, 4 of them white box
    with pytest.raises(NothingToShowError, match="all models have x"):
        ArchitectureMatrix().prepare(grid_frame(architectures=("x",)))


def test_a_pair_of_architectures_without_tests_is_an_empty_cell():
    tests = grid_frame()
    gone = (tests["surrogate_architecture"] == "x") & (tests["victim_architecture"] == "y")
    cells = ArchitectureMatrix().prepare(tests[~gone]).set_index(["surrogate_architecture", "victim_architecture"])
    assert cells["rate"].isna().groupby(level=[0, 1]).all().to_dict() == {
        ("x", "x"): False, ("x", "y"): True, ("y", "x"): False, ("y", "y"): False,
    }  # fmt: skip


def test_the_matrix_orders_by_axis_and_names_what_varies():
    tests = grid_frame(sources=("s(o='b')", "s(o='a')"), balances=("20/80", "50/50"), architectures=("x",), seeds=(3,))
    defended = tests.copy()
    defended["victim_id"] += "|pgd_at"
    defended = defended.assign(victim_defence="pgd_at", reference=False, population="defended", white_box=False)
    data = SurrogateVictimMatrix().prepare(pd.concat([tests, defended], ignore_index=True))
    victims = data.drop_duplicates("victim_place").sort_values("victim_place")
    assert victims["victim_group"].tolist() == ["a  x"] * 4 + ["b  x"] * 4
    assert victims["victim_name"].tolist() == ["50/50  none", "50/50  pgd_at", "20/80  none", "20/80  pgd_at"] * 2
    assert data["surrogate_name"].unique().tolist() == ["50/50  none", "20/80  none"]
    assert len(data) == 4 * 8


def test_of_too_many_models_the_matrix_shows_the_reference_population():
    tests = grid_frame(sources=("a",), architectures=("x",), seeds=tuple(range(12)), noise=None)
    other = tests.assign(victim_id=tests["victim_id"] + "|other", victim_defence="pgd_at", reference=False)
    data = SurrogateVictimMatrix().prepare(pd.concat([tests, other], ignore_index=True))
    assert data["victim_id"].nunique() == 24
    assert not data["victim_id"].str.endswith("other").any()


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (['folder(origin="bing")', 'folder(origin="google")'], ["bing", "google"]),
        (["torchvision.alexnet(side=0)", "torchvision.vgg11_bn(side=0)"], ["alexnet", "vgg11_bn"]),
        (["alexnet", "alexnet_bn"], ["alexnet", "alexnet_bn"]),
        (["a.b", "a."], ["a.b", "a."]),
        (["torchvision.alexnet"], ["torchvision.alexnet"]),
    ],
)
def test_names_lose_what_all_share_but_no_part_of_a_word(names, short):
    assert [told_apart(names)[name] for name in names] == short


def test_short_names_are_distinct_and_series_look_different():
    names = short_names([("x" * 100 + "a" + "y" * 100, "0.1"), ("x" * 100 + "b" + "y" * 100, "0.1")])
    assert len(set(names.values())) == 2
    assert max(map(len, names.values())) <= 30
    looks = {(how["color"], how["marker"], str(how["ls"])) for how in map(look, range(24))}
    assert len(looks) == 24
