"""One row a defence: the strongest attack, intervals only where there is one condition; the table and its files."""

from __future__ import annotations

from pathlib import Path

import effect_frames as made
import pandas as pd
import pytest
from drawn_figures import HOSTILE, prepared, said
from jinja2 import Environment, PackageLoader, StrictUndefined

from dumb_bench.report.defence_page import defence_table, section
from dumb_bench.report.defence_summary import attack_text, defence_summary

ATTACKS = (("fgsm", 0.1), ("pgd", 8 / 255))


def by_hand(rates: dict[tuple[str, str, str], float]) -> pd.DataFrame:
    """Rows of (source, measure, attack) -> accuracy, for one defence, beside undefended ones of .5."""
    frame = made.defences(["jpeg"], ATTACKS, ["a", "b"])
    kept = []
    for row in frame.to_dict("records"):
        key = (str(row["image_source"]), str(row["measure"]), row["attack"] if isinstance(row["attack"], str) else "")
        if key in rates:
            difference = rates[key] - 0.5
            ends = {"low": difference - 0.1, "high": difference + 0.1}
            kept.append({**row, "accuracy": rates[key], "difference": difference, **ends})
    return pd.DataFrame(kept)


def test_the_strongest_attack_is_the_one_with_the_lowest_mean_accuracy() -> None:
    rates = {
        ("a", "white box", "fgsm"): 0.1, ("b", "white box", "fgsm"): 0.9, ("a", "white box", "pgd"): 0.3,
        ("b", "white box", "pgd"): 0.5,
    }  # fmt: skip
    found = defence_summary(by_hand(rates)).iloc[0]
    assert (found["attack"], found["attacks"], found["conditions"], found["n_pairs"]) == ("pgd", 2, 2, 6)
    assert (found["accuracy"], found["difference"]) == pytest.approx((0.4, -0.1))
    assert pd.isna(found["low"])
    assert pd.isna(found["high"])


def test_one_condition_keeps_its_interval() -> None:
    found = defence_summary(by_hand({("a", "white box", "fgsm"): 0.2, ("a", "clean", ""): 0.95}))
    assert list(found["measure"]) == ["clean", "white box"]
    assert list(found["low"]) == pytest.approx([0.35, -0.4])
    assert list(found["high"]) == pytest.approx([0.55, -0.2])
    assert list(found["undefended"]) == [0.5, 0.5]


def test_undefended_models_are_no_row_of_their_own() -> None:
    frame = pd.concat([made.defences(["none", "jpeg"])])
    assert set(defence_summary(frame)["defence"]) == {"jpeg"}
    assert "not drawn" in said("defences", made.defences(["none"]))


def test_variants_of_an_attack_are_told_apart() -> None:
    frame = made.defences(["jpeg"], [("pgd", 0.1)])
    twice = pd.concat([frame.assign(attack_params='{"eot":5}'), frame.assign(attack_params='{"eot":1}', accuracy=0.99)])
    found = defence_summary(twice[twice["attack"].notna()])
    assert list(found["attack"]) == ["pgd (eot=5)"] * 2


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"attack": "pgd", "norm": "linf", "strength": 8 / 255}, "pgd @ 8/255"),
        ({"attack": "blur", "norm": None, "strength": 2.0}, "blur @ 2"),
        ({"attack": "grey", "norm": float("nan"), "strength": None}, "grey"),
        ({"attack": None, "norm": None, "strength": None}, ""),
    ],
)
def test_attacks_in_words(row: dict[str, object], text: str) -> None:
    assert attack_text(row) == text


def test_the_figure_sets_the_interval_of_the_difference_at_the_accuracy() -> None:
    data = prepared("defences", by_hand({("a", "white box", "fgsm"): 0.25, ("a", "clean", ""): 1.0}))
    assert list(data["panel"]) == ["clean", "white box"]
    assert list(data["accuracy_low"]) == pytest.approx([0.9, 0.15])
    assert list(data["accuracy_high"]) == pytest.approx([1.0, 0.35])


def test_the_table() -> None:
    frame = by_hand({("a", "white box", "fgsm"): 0.25, ("a", "clean", ""): 1.0, ("b", "clean", ""): 0.9})
    frame.loc[frame["measure"] == "white box", ["low", "high"]] = -0.25
    table = defence_table(frame)
    assert [name for name, _ in table.head] == ["defence", "clean", "difference", "white box", "difference", "pairs"]
    assert table.rows == [
        [
            ("jpeg", ""), ("95.0", ""), ("+45.0", ""), ("25.0", "fgsm @ 0.1"), ("−25.0", "same for every seed"),
            ("3 to 6", ""),
        ]
    ]  # fmt: skip


def test_the_page_part_and_its_latex_hold_hostile_names(tmp_path: Path) -> None:
    found = section(made.defences(HOSTILE), tmp_path)
    text = (tmp_path / "defence_table.tex").read_text()
    assert r"100 \% \textbackslash{}alpha\_\{\textasciicircum{}\}" in text
    assert found["tables"][0]["files"] == ["defences.csv", "defence_table.tex"]
    environment = Environment(
        loader=PackageLoader("dumb_bench.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    macro = "{% macro section_figures(name) %}[{{ name }}]{% endmacro %}"
    page = environment.from_string(macro + '{% include "defences.html.j2" %}').render(defences=found)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "[defences]" in page
    assert "5 of 5 defences shown" in page


def test_without_a_pair_the_table_says_so(tmp_path: Path) -> None:
    table = section(made.defences(["none"]), tmp_path)["tables"][0]
    assert table["rows"] == []
    assert table["empty"].startswith("No defended victim")
