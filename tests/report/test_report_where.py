"""A part of the results: conditions on tests, what goes with them, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dumb_bench
from dumb_bench.errors import InputError
from dumb_bench.report.findings import findings
from dumb_bench.report.frames import Frames
from dumb_bench.report.gates import gates
from dumb_bench.report.generate import generate
from dumb_bench.report.load import Results, load
from dumb_bench.report.side_by_side import named
from dumb_bench.report.where import OUTCOMES, parse_where, restricted

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"


@pytest.fixture(scope="module")
def whole() -> Results:
    return load(EXAMPLE)


def part(whole: Results, *texts: str) -> Results:
    return restricted(whole, parse_where(texts))


def attacks(results: Results) -> pd.DataFrame:
    return results.tests[~results.tests["control"].astype(bool)]


@pytest.mark.parametrize("text, kept", [
    ("attack=tifgsm", lambda tests: tests["attack"] == "tifgsm"),
    ("attack=tifgsm, box_blur", lambda tests: tests["attack"].isin(["tifgsm", "box_blur"])),
    ("attack!=tifgsm", lambda tests: tests["attack"] != "tifgsm"),
    ("case=C1,C2", lambda tests: tests["case"].isin(["C1", "C2"])),
    ("strength<=0.16", lambda tests: tests["strength"] <= 0.16),
    ("strength<0.16", lambda tests: tests["strength"] < 0.16),
    ("strength>16/100", lambda tests: tests["strength"] > 0.16),
    ("strength>=0.16", lambda tests: tests["strength"] >= 0.16),
    ("strength!=0.16", lambda tests: tests["strength"] != 0.16),
    ("norm=", lambda tests: tests["norm"].isna()),
    ("norm=linf", lambda tests: tests["norm"] == "linf"),
    ("white_box=true", lambda tests: tests["white_box"].astype(bool)),
    ("white_box!=true", lambda tests: ~tests["white_box"].astype(bool)),
    ("victim_seed=5201", lambda tests: tests["victim_seed"] == 5201),
])  # fmt: skip
def test_the_tests_that_a_condition_holds_for(whole: Results, text: str, kept) -> None:  # type: ignore[no-untyped-def]
    if "seed" in text:
        text = f"victim_seed={whole.tests['victim_seed'].iloc[0]}"
        seed = whole.tests["victim_seed"].iloc[0]
        wanted = attacks(whole)[attacks(whole)["victim_seed"] == seed]
    else:
        wanted = attacks(whole)[kept(attacks(whole)).to_numpy(dtype=bool)]
    found = attacks(part(whole, text))
    assert 0 < len(found) < len(attacks(whole)) + ("," in text)
    assert found["test_id"].tolist() == wanted["test_id"].tolist()


def test_controls_are_not_asked_which_attack_they_are_nor_identity_how_strong(whole: Results) -> None:
    found = part(whole, "attack=tifgsm", "strength=0.16", "victim_architecture=small_vgg").tests
    assert set(found["attack"]) == {"tifgsm", "identity", "sign_noise", "delta_swap"}
    assert set(found.loc[found["attack"] != "identity", "strength"]) == {0.16}
    assert set(found["victim_architecture"]) == {"small_vgg"}


def test_success_of_what_is_left_is_what_the_whole_report_says_of_it(whole: Results) -> None:
    own, other = (
        frame[(frame["label"] == "tifgsm") & (frame["strength"] == 0.16)].set_index("case")
        for frame in (Frames(part(whole, "attack=tifgsm", "strength=0.16")).summary, Frames(whole).summary)
    )
    assert len(own) == 9
    for column in ("rate", "low", "high", "n_tests", "noise", "excess"):
        assert np.allclose(own[column].astype(float), other[column].astype(float), equal_nan=True), column


def test_sets_go_with_the_tests(whole: Results) -> None:
    found = part(whole, "attack=box_blur")
    assert set(found.attacks["attack_id"]) == set(found.tests["attack_id"])
    assert found.meta.counts == {} and whole.meta.counts
    assert found.meta.part == "Only tests with attack=box_blur: 2,304 of 5,760, and their controls."
    (gate,) = (gate for gate in gates(found) if gate.name == "Completeness")
    assert gate.status == "not applicable" and "Only a part" in gate.sentence


def test_no_condition_changes_nothing(whole: Results) -> None:
    assert part(whole) is whole


@pytest.mark.parametrize("text, sentence", [
    ("attack=pgd", "no test is left; attack has box_blur, tifgsm"),
    ("strength=0.9", "no test is left; strength has 0.08, 0.16, 0.24, 1, 2"),
    ("strength<=x", "strength is a number, such as 0.1"),
    ("attack<3", "attack is no number; use = or !="),
    ("white_box=yes", "white_box is true or false, got 'yes'"),
    ("attak=pgd", "the table tests has no column 'attak' to choose by; nearest: attack, "),
    ("arch=pgd", "nearest: surrogate_architecture, victim_architecture, "),
    ("attack", "expected COLUMN=VALUE"),
    ("=pgd", "expected COLUMN=VALUE"),
    ("case=\x1b[31m", r"case=\x1b[31m"),
    *((f"{name}>0", "is what a test measured") for name in sorted(OUTCOMES)),
])  # fmt: skip
def test_what_cannot_be_chosen_is_said_in_one_line(whole: Results, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        part(whole, text)
    assert sentence in str(raised.value) and str(raised.value).isprintable()


def test_two_conditions_that_exclude_each_other_leave_nothing(whole: Results) -> None:
    with pytest.raises(InputError, match="no test is left; strength has 1, 2"):
        part(whole, "attack=box_blur", "strength=0.08")


def test_the_page_says_what_was_chosen(tmp_path: Path) -> None:
    text = generate(EXAMPLE, tmp_path, where=["attack=tifgsm", "strength>0.1"]).read_text()
    assert "Only tests with attack=tifgsm and strength&gt;0.1: 2,304 of 5,760, and their controls." in text
    assert "Declared before the run" not in text and "this contrast is exploratory" in text
    assert "everything is exploratory, whatever was declared" in text
    rows = pd.read_csv(tmp_path / "tables" / "tests.csv")
    assert "box_blur" not in set(rows.astype(str).stack())


def test_findings_of_a_part_are_exploratory(whole: Results) -> None:
    seed = whole.tests["surrogate_seed"].min()
    chosen = part(whole, "attack=tifgsm", f"surrogate_seed={seed}", f"victim_seed={seed}")
    text = findings(Frames(chosen).effects, chosen.meta.declared, chosen.meta.part)[0]
    assert text.startswith("tifgsm at 0.24 (exploratory: tests chosen after the run): descriptive only")


def test_in_a_notebook_parts_can_be_taken_of_parts() -> None:
    results = dumb_bench.load(EXAMPLE).where("attack=tifgsm").where("strength=0.24")
    assert set(attacks(results)["strength"]) == {0.24} and "class_success" in results.tests
    summary = results.frame("summary")
    assert summary is not None and set(summary.loc[summary["label"] == "tifgsm", "strength"]) == {0.24}


def test_several_studies_are_all_restricted(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "other")
    sides = named([EXAMPLE, tmp_path / "other"], ["attack=box_blur"])
    assert [set(attacks(side.frames.results)["attack"]) for side in sides] == [{"box_blur"}] * 2
    with pytest.raises(InputError, match=r"\(example\): no test is left"):
        named([EXAMPLE, tmp_path / "other"], ["attack=pgd"])
