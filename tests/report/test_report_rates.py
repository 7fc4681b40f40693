"""Rates of hand-made frames, names of groups, and the table that everything is drawn from."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from synthetic_results import Shape, build

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.report.contrasts import summary
from dumb_bench.report.groups import parse_primary, prepared, strength_text
from dumb_bench.report.load import load
from dumb_bench.report.rates import equal_weights, success_by, wilson


def test_wilson_against_published_values():
    # Newcombe (1998), table I: 81 of 263, and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(20, 20).high == 1.0
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="successes"):
        wilson(3, 2)


def test_image_sources_have_equal_weight():
    frame = pd.DataFrame(
        {
            "image_source": ["a", "a", "a", "b"],
            "asr": [0.1, 0.2, 0.3, 0.8],
            "n_victim_correct": [10, 20, 30, 40],
            "surrogate_id": ["s"] * 4,
            "victim_id": ["u", "v", "w", "u"],
            "case": ["C1"] * 4,
        }
    )
    row = success_by(frame, ["case"]).iloc[0]
    assert row["rate"] == pytest.approx((0.2 + 0.8) / 2)
    assert (row["n_tests"], row["n_images"], row["n_victims"]) == (4, 25.0, 3)
    assert equal_weights(["a", "a", "b"]).tolist() == [0.25, 0.25, 0.5]
    assert success_by(frame.assign(asr=np.nan), ["case"]).empty


@pytest.mark.parametrize(
    ("strength", "norm", "text"),
    [
        (8 / 255, "linf", "8/255"),
        (0.24, "linf", "0.24"),
        (0.2, "linf", "0.2"),
        (1.5, None, "1.5"),
        (float("nan"), None, ""),
    ],
)
def test_strength_text(strength, norm, text):
    assert strength_text(strength, norm) == text


def test_primary_is_parsed():
    assert parse_primary("pgd@8/255") == ("pgd", pytest.approx(8 / 255))
    assert parse_primary("tifgsm@tuned") == ("tifgsm", None)
    assert parse_primary(None) == ("", None)
    assert parse_primary("pgd@1/0") == ("pgd", None)


def test_summary_recovers_the_generative_model(tmp_path):
    results = load(build(tmp_path, Shape(attacks={"tifgsm": (0.12, 0.24)})))
    found = summary(prepared(results))
    rows = found[(found["label"] == "tifgsm") & (found["setting"] == "0.24")].set_index("case")
    assert rows.loc["C1", "rate"] == pytest.approx(0.55, abs=0.04)
    assert rows.loc["C5", "minus_c1"] == pytest.approx(-0.15, abs=0.04)
    assert rows.loc["C5", "minus_c1_holm"] < 0.05
    assert rows.loc["C2", "minus_c1_low"] < 0 < rows.loc["C2", "minus_c1_high"]
    assert rows["excess"].drop("WB").to_numpy() == pytest.approx((rows["rate"] - rows["noise"]).drop("WB"))
    assert (rows.loc["C1", "n_tests"], rows.loc["WB", "n_tests"]) == (48, 48)
    assert rows.loc["C1", "noise_n"] == 48
    assert (rows["low"].drop("WB") <= rows["rate"].drop("WB")).all()
    assert rows["reason"]["WB"]
    pooled = (rows["own_source_images"] + rows["other_source_images"]) / 2
    assert rows["rate"].to_numpy() == pytest.approx(pooled, abs=1e-9)


def test_a_declared_primary_is_found(tmp_path):
    plan = {"report": {"primary": "fgsm@0.1"}}
    tests = prepared(load(build(tmp_path, Shape(attacks={"fgsm": (0.1, 0.2), "bim": (0.2,)}, seeds=(0,)), plan=plan)))
    assert set(tests.loc[tests["primary"], "attack"]) == {"fgsm"}
    assert set(tests.loc[tests["primary"], "setting"]) == {"0.1"}


def test_defences_are_never_mixed(tmp_path):
    shape = Shape(seeds=(0, 1), victim_seeds=(5, 6), victim_defences=("none", "pgd_at"), architectures=("x",))
    found = summary(prepared(load(build(tmp_path, shape))))
    rows = found[(found["label"] == "tifgsm") & (found["setting"] == "0.24") & (found["case"] == "C1")]
    assert sorted(rows["population"]) == ["victim defence none", "victim defence pgd_at"]
    assert rows.set_index("population")["reference"].to_dict() == {
        "victim defence none": True,
        "victim defence pgd_at": False,
    }
    plain, robust = rows.sort_values("population")["rate"]
    assert robust == pytest.approx(plain / 2, abs=0.05)


def test_tuned_strengths_are_one_setting_and_meet_their_own_noise(tmp_path):
    results = load(build(tmp_path, Shape(architectures=("x",), attacks={"pgd": (0.1, 0.2)}, blur=())))
    tests = results.tests
    chosen = {name: (0.1, 0.2)[index % 2] for index, name in enumerate(sorted(set(tests["surrogate_id"])))}
    made = tests["attack"].isin(["pgd", "delta_swap"])
    kept = ~made | (tests["strength"] == tests["surrogate_id"].map(chosen))
    tests.loc[made, "strength_rule"] = "tuned"
    noise = tests["attack"] == "sign_noise"
    tests.loc[noise, "asr"] = tests.loc[noise, "strength"]
    found = summary(prepared(dataclasses.replace(results, tests=tests[kept].reset_index(drop=True))))
    rows = found[found["label"] == "pgd"].set_index("case")
    assert set(rows["setting"]) == {"tuned"}
    assert rows.loc["C1", "noise"] == pytest.approx(0.15)
    assert rows["primary"].all()
    assert rows.loc["C1", "swap_n"] == rows.loc["C1", "n_tests"]


def test_a_missing_seed_keeps_the_interval(tmp_path):
    results = load(build(tmp_path, Shape(seeds=(0, 1, 2), architectures=("x", "y"), controls=False, blur=())))
    tests = prepared(results)
    lost = tests["surrogate_id"] == tests["surrogate_id"].iloc[0]
    found = summary(tests[~lost])
    rows = found[(found["label"] == "tifgsm") & (found["case"] != "WB")]
    assert (rows["reason"] == "").all()


def test_load_refuses_what_is_no_result(tmp_path):
    with pytest.raises(InputError, match="no result folder"):
        load(tmp_path)
    damaged = build(tmp_path / "damaged", Shape(seeds=(0,)))
    (damaged / "tables" / "tests" / "part-0.parquet").write_bytes(b"no parquet")
    with pytest.raises(DamagedFileError, match="tests"):
        load(damaged)


@pytest.mark.parametrize(
    "text, strength",
    [("pgd@8/255", 8 / 255), ("pgd@2.5/255", 2.5 / 255), ("pgd@8 / 255", 8 / 255), ("pgd@0.1", 0.1), ("pgd", None)],
)
def test_a_declared_contrast_is_read_as_the_grid_reads_it(text, strength):
    assert parse_primary(text) == ("pgd", strength)
