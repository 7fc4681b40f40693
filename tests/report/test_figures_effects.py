"""What the figures of effects, classes and definitions show, on frames made by hand."""

from __future__ import annotations

import effect_frames as made
import numpy as np
import pandas as pd
import pytest
from drawn_figures import prepared, said

from dumb_bench.report.figures.base import NothingToShowError

AXES = (("source", "differs"), ("architecture", ""), ("balance", ""))


def test_of_more_attacks_than_axes_a_row_is_an_attack() -> None:
    data = prepared("effects_forest", made.effects(["zoo", "pgd", "bim", "fgsm"], AXES))
    assert list(dict.fromkeys(data["panel"])) == ["source", "architecture", "balance"]
    first = data[data["panel"] == "source"]
    assert list(first["row"]) == ["zoo @ 8/255", "bim @ 8/255", "fgsm @ 8/255", "pgd @ 8/255"]
    assert list(first["bold"]) == [True, False, False, False]


def test_of_few_attacks_a_row_is_an_axis() -> None:
    levels = [("posterior", "csgld"), ("defence", "pgd_at"), ("defence", "jpeg"), *AXES]
    data = prepared("effects_forest", made.effects(["pgd"], levels))
    assert list(data["panel"].unique()) == ["pgd @ 8/255"]
    assert list(data["row"]) == [
        "source", "architecture", "balance", "defence: jpeg", "defence: pgd_at", "posterior: csgld",
    ]  # fmt: skip
    assert not data["bold"].any()


def test_the_primary_strength_and_else_the_largest_of_the_reference_population() -> None:
    frame = made.effects(["pgd", "bim"], AXES[:1])
    weaker = frame.assign(setting="4/255", largest=False, effect=-0.9)
    declared = weaker.assign(primary=weaker["label"] == "pgd")
    frame = pd.concat([frame.assign(primary=False), declared, frame.assign(reference=False, effect=0.9)])
    data = prepared("effects_forest", frame)
    assert dict(zip(data["row"], data["effect"], strict=True)) == pytest.approx(
        {"pgd @ 4/255": -0.9, "bim @ 8/255": float(frame["effect"].iloc[1])}
    )


def test_what_was_not_tested_keeps_its_row_and_says_so() -> None:
    frame = made.effects(["pgd", "bim"], AXES[:2])
    data = prepared("effects_forest", frame[~((frame["label"] == "bim") & (frame["axis"] == "architecture"))])
    missing = data[data["n_tests"] == 0]
    assert list(zip(missing["panel"], missing["row"], strict=True)) == [("architecture", "bim @ 8/255")]
    assert missing["effect"].isna().all()
    assert "2 of 3 are resolved" in said(
        "effects_forest", frame.iloc[:3].assign(resolved=[True, True, False]).astype({"resolved": object})
    )


def test_effects_without_an_interval_are_called_descriptive() -> None:
    caption = said("effects_forest", made.effects(["pgd"], AXES, known=False))
    assert "0 of 3 are resolved" in caption
    assert "Not claimed: descriptive: one seed in a cell." in caption
    assert "3 of 3 rows have no interval: descriptive." in said("image_designs", made.effects(["pgd"], AXES))


def test_the_x_axis_holds_every_interval() -> None:
    frame = made.effects(["pgd"], AXES).assign(images_low=-0.8, images_high=0.7)
    data = prepared("effects_forest", frame)
    assert data["axis_from"].iloc[0] < -0.8
    assert data["axis_to"].iloc[0] > 0.7


def test_one_image_design_is_no_comparison() -> None:
    frame = made.effects(["pgd"], AXES).assign(victim_images=np.nan)
    assert "no axis has tests on images of both sources" in said("image_designs", frame)
    data = prepared("image_designs", made.effects(["pgd"], AXES).assign(surrogate_images=0.2, victim_images=-0.1))
    assert set(data["surrogate_images"]) == {0.2}
    assert set(data["victim_images"]) == {-0.1}


def test_a_class_is_named_or_numbered_and_white_box_left_out() -> None:
    frame = made.classes(["cat", None], ["C1", "C7", "WB"])
    data = prepared("class_success", frame)
    assert list(data["name"]) == ["cat", "cat", "class 1", "class 1"]
    assert list(data["case"]) == ["C1", "C7"] * 2
    assert set(prepared("class_success", frame.drop(columns="class_name"))["name"]) == {"class 0", "class 1"}


def test_a_constant_answer_is_flagged() -> None:
    frame = made.classes(["cat", "dog"], ["C1", "C5"]).assign(rate=[0.4, 0.6, 0.99, 0.0], high=None, low=None)
    data = prepared("class_success", frame)
    assert list(data.loc[data["constant"], "case"]) == ["C5", "C5"]
    assert "So it looks in C5." in said("class_success", frame)
    assert "No case looks so." in said("class_success", frame.assign(rate=0.5))
    assert "constant" not in said("class_success", made.classes(["cat", "dog", "cow"]))
    assert "answers one class" not in said("class_success", made.classes(["cat", "dog", "cow"]))


def test_more_than_twelve_classes_are_a_heat_map() -> None:
    from dumb_bench.report.figures.class_success import ClassSuccess

    few, many = (prepared("class_success", made.classes([str(i) for i in range(n)])) for n in (12, 13))
    assert ClassSuccess().size(few)[1] == 2.9
    assert ClassSuccess().size(many)[1] > 2.9


def test_definitions_stand_in_order_with_what_is_known() -> None:
    names = ["surrogate_fooled", "mine", "victim_correct", "all_images"]
    frame = made.definitions("pgd", names, ["C5", "C1", "WB"])
    frame.loc[frame["definition"] == "surrogate_fooled", "known"] = 0.5
    data = prepared("definitions_of_success", frame)
    assert list(dict.fromkeys(data["name"])) == ["all images", "victim right (standard)", "surrogate fooled", "mine"]
    assert list(data["case"]) == ["C1", "C5"] * 4
    caption = said("definitions_of_success", frame)
    assert "Least share of tests for which it is known: surrogate fooled 50 %." in caption
    assert "Both right" not in caption
    assert "Tests: C1 6, C5 6." in caption


def test_only_rows_with_a_rate_are_shown() -> None:
    frame = made.definitions("pgd", ["victim_correct", "targeted"], ["C1"])
    frame.loc[frame["definition"] == "targeted", "rate"] = np.nan
    assert list(prepared("definitions_of_success", frame)["definition"]) == ["victim_correct"]
    with pytest.raises(NothingToShowError):
        prepared("definitions_of_success", frame.assign(rate=np.nan))
