"""What the page shows first, under which names, and what it folds: labels, the primary contrast, tables, claims."""

import dataclasses
import json
import re

import matplotlib as mpl
import pytest
from figure_frames import grid_frame
from synthetic_results import Shape, build

from dumb_bench.catalogue import Catalogue
from dumb_bench.report.contrasts import summary
from dumb_bench.report.figures.base import WIDEST
from dumb_bench.report.generate import generate
from dumb_bench.report.groups import prepared, variant_labels
from dumb_bench.report.html import case_table, claims
from dumb_bench.report.load import load
from dumb_bench.report.render import _fitting, canvas_of, prepared_data
from dumb_bench.report.style import PLAIN

SEVEN = dict.fromkeys(("tifgsm", "fgsm", "pgd", "bim", "mifgsm", "rfgsm", "square"), (0.08, 0.24))


def labels(*params, attack="pgd", targeted=False):
    variants = [(attack, json.dumps(entry), targeted) for entry in params]
    found = variant_labels(variants)
    return [found[variant] for variant in variants]


def test_a_parameter_that_is_null_is_left_out_of_a_label():
    assert labels({"steps": 10, "eot": None}, {"steps": 10, "eot": 5}) == ["pgd", "pgd (eot=5)"]
    assert labels({"norm": "linf"}, {"norm": "l2"}) == ["pgd (norm=linf)", "pgd (norm=l2)"]
    assert labels({"steps": 10, "eot": None}) == ["pgd"]


def test_labels_stay_distinct_where_only_a_null_tells_variants_apart():
    assert labels({"eot": None}, {}) == ["pgd (eot=None)", "pgd"]


def variants(tmp_path, primary, **shape):
    """Return the tests of a grid whose pgd has two variants, with eot = 5 and without."""
    plan = {"report": {"primary": primary, "notes": [], "title": None, "description": None}}
    shape = Shape(architectures=("x",), balances=("50/50",), seeds=(0,), blur=(), controls=False, **shape)
    results = load(build(tmp_path, shape, plan=plan))
    tests = results.tests
    plain = tests["attack"] == "eot"
    tests["attack_params"] = ['{"eot": null, "steps": 10}' if own else '{"eot": 5, "steps": 10}' for own in plain]
    tests["attack"] = "pgd"
    return prepared(dataclasses.replace(results, tests=tests))


def test_of_several_variants_the_plainest_is_the_declared_contrast(tmp_path):
    tests = variants(tmp_path, "pgd@0.1", attacks={"eot": (0.1, 0.2), "pgd": (0.1, 0.2)})
    assert set(tests["label"]) == {"pgd", "pgd (eot=5)"}
    shown = tests[tests["primary"]]
    assert set(zip(shown["label"], shown["setting"], strict=True)) == {("pgd", "0.1")}


def test_only_variants_with_the_declared_strength_are_asked(tmp_path):
    tests = variants(tmp_path, "pgd@0.2", attacks={"eot": (0.1,), "pgd": (0.2,)})
    shown = tests[tests["primary"]]
    assert set(zip(shown["label"], shown["setting"], strict=True)) == {("pgd (eot=5)", "0.2")}


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    shape = Shape(attacks=SEVEN, architectures=("x",), balances=("50/50",), seeds=(0,), victim_seeds=(5,))
    return build(tmp_path_factory.mktemp("seven"), shape)


def test_a_long_table_folds_all_but_the_contrast_and_the_largest_strengths(seven):
    found = case_table(summary(prepared(load(seven))))
    assert [(row["label"], row["setting"]) for row in found["rows"]] == [
        *((name, "0.24" if name != "box_blur" else "2") for name in sorted([*SEVEN, "box_blur"])),
    ]
    assert len(found["folded"]) == 8 == found["total"] - len(found["rows"])
    assert [case for case, _ in found["cases"]] == ["C1", "C5"]
    assert found["without"] == ["C2", "C3", "C4", "C6", "C7", "C8"]


def test_a_short_table_stands_open(tmp_path):
    frame = summary(prepared(load(build(tmp_path, Shape(architectures=("x",), seeds=(0,))))))
    found = case_table(frame)
    assert len(found["rows"]) == found["total"] == 5 and found["folded"] == []


def test_what_is_folded_is_in_the_page_and_prints(seven, tmp_path):
    text = generate(seven, tmp_path).read_text(encoding="utf-8")
    assert "Other strengths and populations: 8 rows more" in text
    assert "7 lines</summary>" in text and "pgd at 0.24: median" in text
    assert re.search(r"@media print \{.*details::details-content \{ content-visibility: visible", text, re.DOTALL)
    assert "No test has the case C2, C3, C4, C6, C7, C8." in text


def contrast(*p_values):
    cases = ("C1", "C2", "C3")[: len(p_values)]
    frame = summary(grid_frame(seeds=(0, 1, 2), rate=lambda test: 0.4 + 0.01 * test["victim_seed"]))
    rows = frame[frame["case"].isin(cases) & (frame["label"] == "pgd")].reset_index(drop=True)
    return rows.assign(
        excess=0.1, excess_low=0.01, excess_high=0.2, excess_p=p_values, excess_reason="", reason="", few="",
        minus_c1=float("nan"),
    )  # fmt: skip


def test_more_than_noise_is_said_only_where_holm_agrees():
    assert claims(contrast(0.001, 0.002, 0.03)) == [
        "More success than noise of the same size, interval above zero and Holm’s p below .05: C1, C2, C3."
    ]
    said = claims(contrast(0.001, 0.03, 0.03))  # Holm: .003, .06, .06
    assert said[0].endswith("p below .05: C1.")
    assert said[1] == "Not told apart from noise of the same size, or below it: C2, C3."


@pytest.mark.parametrize("name", ["success_by_case", "case_bars", "overview", "source_impact", "case_radar"])
def test_no_figure_is_wider_than_a_page(name):
    tests = grid_frame(("pgd", "fgsm", "box_blur"), seeds=(0,), strengths=(0.1,))
    entry = Catalogue().get("figures", name)
    frame = summary(tests) if entry.info.table == "summary" else tests
    plot = entry.call()
    assert canvas_of(plot, entry.info, prepared_data(plot, entry.info, frame)).get_figwidth() <= WIDEST


def test_panels_of_success_by_case_stand_by_success_and_hold_the_cases_there_are():
    rates = {"pgd": 0.1, "fgsm": 0.7, "bim": 0.4}
    tests = grid_frame(tuple(rates), balances=("50/50",), rate=lambda test: rates[test["attack"]], noise=None)
    entry = Catalogue().get("figures", "success_by_case")
    plot = entry.call()
    data = prepared_data(plot, entry.info, summary(tests))
    assert list(dict.fromkeys(data["panel"])) == ["pgd @ 0.1", "fgsm @ 0.1", "bim @ 0.1"]
    canvas = canvas_of(plot, entry.info, data)
    assert [text.get_text() for text in canvas.axes[0].get_xticklabels()] == ["C1", "C3", "C5", "C7", "WB"]
    assert "No test has the case C2, C4, C6, C8." in plot.caption(data)


def test_a_title_that_is_too_wide_takes_two_lines_before_it_loses_letters():
    with mpl.rc_context(PLAIN.all()):
        assert _fitting("mifgsm (norm=linf) @ 0.01568", 2.4) == "mifgsm (norm=linf) @ 0.01568"
        assert _fitting("mifgsm (norm=linf) @ 0.01568", 1.7) == "mifgsm (norm=linf)\n@ 0.01568"
        assert "..." in _fitting("W" * 44, 1.7)
