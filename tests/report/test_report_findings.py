"""What the findings may say: nothing that is not resolved."""

import re

import numpy as np
import pandas as pd
import pytest

from dumb_bench.report.findings import findings

ROW = {
    "reference": True, "primary": True, "largest": True, "label": "pgd", "setting": "8/255", "axis": "source",
    "level": "", "effect": -0.12, "low": -0.2, "high": -0.04, "p_holm": 0.0123, "resolved": True, "reason": "",
    "images_low": -0.25, "images_high": 0.01, "smallest": 0.05, "excess": -0.1, "excess_low": -0.19,
    "excess_high": -0.01, "n_tests": 1200, "n_surrogates": 12, "n_victims": 13,
}  # fmt: skip


def frame(*changes):
    return pd.DataFrame([{**ROW, **change} for change in changes])


def test_a_resolved_effect_has_its_interval_and_n():
    (text,) = findings(frame({}), "pgd@8/255")
    for part in ("declared contrast", "another source lowers success by 12.0 points", "[4.0, 20.0]", "p .012",
                 "1,200 tests of 12 surrogates and 13 victims",
                 "less what noise of the same size does: −10.0 [−19.0, −1.0]",
                 "on new images it is not resolved [−25.0, +1.0]"):  # fmt: skip
        assert part in text


def test_what_also_holds_for_new_images_is_said():
    (text,) = findings(frame({"images_high": -0.01}), None)
    assert "for new images too [−25.0, −1.0]" in text and "exploratory" in text


def test_an_open_effect_is_never_called_an_effect():
    (text,) = findings(frame({"resolved": False, "high": 0.01}), None)
    assert "not resolved" in text and "No effect of an axis is claimed" in text
    assert "from about 5.0 points on" in text
    assert "lowers" not in text and "raises" not in text


def test_one_seed_is_descriptive():
    bare = {"low": np.nan, "high": np.nan, "resolved": False, "reason": "descriptive: one seed in a cell"}
    (text,) = findings(frame(bare, {**bare, "axis": "balance"}), None)
    assert text.endswith("descriptive only (one seed in a cell). No effect of an axis is claimed.")


def test_a_defence_and_the_other_attacks():
    rows = frame(
        {"axis": "defence", "level": "pgd_at", "effect": -0.3},
        {"primary": False, "label": "cw", "effect": -0.1},
        {"primary": False, "label": "fgsm", "effect": -0.2},
        {"primary": False, "label": "di", "effect": 0.0, "resolved": False},
        {"primary": False, "label": "small", "largest": False},
    )
    texts = findings(rows, None)
    assert "a victim defended by pgd_at lowers success by 30.0 points" in texts[0]
    assert texts[1] == (
        "Other attacks (exploratory): a surrogate trained on another source changes success in 2 of 3 resolvably, "
        "by −20.0 to −10.0 points."
    )


@pytest.mark.parametrize("nothing", [None, frame().head(0)])
def test_without_effects_nothing_is_said(nothing):
    assert findings(nothing, None) == []


def test_no_sentence_without_a_number_of_tests_or_a_disclaimer():
    for text in findings(frame({}, {"axis": "balance", "resolved": False}), None):
        assert re.search(r"\d+ tests|not resolved|descriptive", text)


def test_an_effect_that_lacks_seeds_is_not_said_to_be_resolvable_at_its_size():
    few = {"resolved": False, "reason": "fewer than 3 seeds in a cell"}
    (text,) = findings(frame(few, {**few, "axis": "balance", "low": -0.1, "high": 0.1}), "pgd@8/255")
    assert "whatever the interval, since seeds are too few (fewer than 3 seeds in a cell)" in text
    assert "−12.0 points [−20.0, −4.0]" in text and text.endswith("No effect of an axis is claimed.")
    assert "on can be" not in text and "lowers" not in text


def test_few_seeds_and_a_wide_interval_are_told_apart():
    few = {"axis": "balance", "resolved": False, "reason": "fewer than 3 seeds in a cell"}
    texts = findings(frame({}, {"axis": "architecture", "resolved": False, "high": 0.01}, few), None)
    assert len(texts) == 3 and "lowers success by 12.0 points" in texts[0]
    assert "seeds are too few" in texts[1] and "another balance" in texts[1]
    assert "no evidence of equality" in texts[2] and "another architecture" in texts[2]
    assert not any("No effect of an axis" in text for text in texts)


def test_where_no_other_attack_has_seeds_enough_it_is_said():
    others = {"primary": False, "resolved": False, "reason": "fewer than 3 seeds in a cell"}
    texts = findings(frame({**others, "label": "cw"}, {**others, "label": "di"}), None)
    assert texts == [
        "Other attacks (exploratory): a surrogate trained on another source changes success in 0 of 2 resolvably "
        "(seeds too few)."
    ]
