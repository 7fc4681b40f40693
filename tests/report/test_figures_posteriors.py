"""What the figures of posteriors and of clean accuracy show, on frames made by hand."""

from __future__ import annotations

import inspect

import effect_frames as made
import numpy as np
import pandas as pd
import pytest
from drawn_figures import prepared, said

from dumb_bench.catalogue import Catalogue
from dumb_bench.report.figures.series import configuration_names, recipe_words
from dumb_bench.report.figures.success_by_cycles import SAMPLES_PER_CYCLE, samples_per_cycle


@pytest.mark.parametrize("name", SAMPLES_PER_CYCLE)
def test_the_samples_of_a_cycle_are_the_plugin_s_default(name: str) -> None:
    parameters = inspect.signature(Catalogue().get("posteriors", name).call).parameters
    assert parameters["samples_per_cycle"].default == SAMPLES_PER_CYCLE[name]


def test_every_posterior_of_cycles_is_known() -> None:
    catalogue = Catalogue()
    calls = {name: catalogue.get("posteriors", name).call for name in catalogue.names("posteriors")}
    cyclical = {name for name, call in calls.items() if "samples_per_cycle" in inspect.signature(call).parameters}
    assert cyclical == set(SAMPLES_PER_CYCLE)


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("csgld", 3), ("csgld(cycles=7)", 3), ("csgld(cycles=7, samples_per_cycle=12)", 12), ("snapshot", 1),
        ("snapshot(samples_per_cycle=2)", 2), ("swag(samples=5)", None), ("csgldish", None),
    ],
)  # fmt: skip
def test_samples_of_a_cycle(text: str, samples: int | None) -> None:
    assert samples_per_cycle(text) == samples


def test_cycles_are_whole_and_stand_beside_networks() -> None:
    frame = made.posteriors(["csgld", "deep_ensemble", "fge"], [1, 2, 3, 6], [None])
    data = prepared("success_by_cycles", frame)
    found = data.groupby("series")["cycles"].agg(lambda part: sorted(set(part)))
    assert found.to_dict() == {"csgld": [1, 2], "deep_ensemble": [1, 2, 3, 6], "single network": [1]}
    assert "not drawn" in said("success_by_cycles", made.posteriors(["csgld"], [1, 3], [None]))
    assert "not drawn" in said("success_by_cycles", made.posteriors(["deep_ensemble"], [1, 3], [None]))


def test_cycles_stand_beside_ensembles_of_their_own_recipe() -> None:
    frame = made.posteriors(["csgld", "deep_ensemble"], [3, 6], [None])
    longer = frame[frame["posterior"] == "deep_ensemble"].assign(recipe="small(epochs=60)")
    assert set(prepared("success_by_cycles", pd.concat([frame, longer]))["recipe"]) == {"small"}
    only = pd.concat([frame[frame["posterior"] != "deep_ensemble"], longer])
    assert set(prepared("success_by_cycles", only)["recipe"]) == {"small", "small(epochs=60)"}


def test_samples_leave_out_what_has_one_number() -> None:
    frame = pd.concat([made.posteriors(["csgld"], [1, 3]), made.posteriors(["swag"], [5])])
    assert set(prepared("success_by_samples", frame)["series"]) == {"csgld", "single network"}
    assert "no posterior has two" in said("success_by_samples", made.posteriors(["swag"], [5]))


def test_iterations_have_a_panel_a_posterior_and_the_single_network_beside() -> None:
    frame = made.posteriors(["csgld", "swag"], [1, 6])
    frame.loc[frame["posterior"] == "point", "rate"] = np.where(frame["step"].isna(), 0.25, 0.125)[
        frame["posterior"] == "point"
    ]
    data = prepared("success_by_iterations", frame)
    assert list(dict.fromkeys(data["panel"])) == ["single network", "csgld", "swag"]
    assert set(data.loc[data["panel"] != "single network", "samples"]) == {6}
    assert dict(zip(data["iteration"], data["single"], strict=True)) == {5.0: 0.125, 10.0: 0.25}
    assert len(data) == 2 * 4 * (1 + 2 + 2)


def test_t_dee_uses_the_curve_of_the_most_sizes() -> None:
    frame = made.equivalents(["csgld", "swag", "vi"])
    short = frame.assign(ensemble_recipe="another", members="1, 5", curve="0.1, 0.4", tdee_text="3.0", tdee=3.0)
    data = prepared("tdee", pd.concat([short, frame]))
    assert set(data["ensemble_recipe"]) == {"small"}
    assert list(dict.fromkeys(data["row"])) == ["csgld 5", "swag 5", "vi 5"]
    assert set(data.loc[data["row"] == "swag 5", "tdee"]) == {2.0}
    assert "(above 5: vi 5; below 1: csgld 5)" in said("tdee", frame)
    assert "(none)" in said("tdee", frame[frame["posterior"] == "swag"])


def test_open_ends_reach_the_sides() -> None:
    from dumb_bench.report.figures.tdee import _end

    rows = pd.DataFrame({"low": [np.nan, 2.0, np.nan, np.nan], "low_text": ["below 1", "2.0", "above 5", None]})
    assert list(_end(rows, "low", 0.5, 5.5))[:3] == [0.5, 2.0, 5.5]
    assert np.isnan(list(_end(rows, "low", 0.5, 5.5))[3])
    bare = pd.DataFrame({"low": [np.nan], "low_text": [np.nan]})  # as of results without any interval
    assert np.isnan(_end(bare, "low", 0.5, 5.5)[0])


def test_held_out_architectures_by_hand() -> None:
    frame = made.held_out(["csgld"], ["resnet18", "alexnet"])
    frame = pd.concat([frame, frame[frame["image_source"] == "a"]])
    frame["asr"] = np.where(frame["image_source"] == "a", 0.2, 0.6)
    data = prepared("held_out_architectures", frame)
    assert list(dict.fromkeys(data["row"])) == ["single network", "csgld 5, mean_logits", "csgld 5, cycle"]
    assert list(dict.fromkeys(data["panel"])) == ["same arch., same source", "other arch., same source"]
    assert data["rate"].to_list() == pytest.approx([0.4] * 6)
    assert set(data["n_tests"]) == {3}
    assert set(data.loc[data["panel"].str.startswith("other"), "victim_architecture"]) == {"alexnet"}


def test_held_out_architectures_keep_to_the_reference_population() -> None:
    frame = made.held_out(["csgld"], ["resnet18"])
    defended = frame.assign(victim_defence="jpeg", reference=False, asr=1.0)
    left_out = frame.assign(counted=False, asr=1.0)
    both = prepared("held_out_architectures", pd.concat([frame, defended, left_out]))
    pd.testing.assert_frame_equal(both, prepared("held_out_architectures", frame))
    single = frame[frame["surrogate_posterior"] == "point"]
    assert "every surrogate is a single network" in said("held_out_architectures", single)


def test_recipes_are_told_apart_in_few_words() -> None:
    recipes = pd.Series(["small(epochs=60, lr=0.1)", "small(lr=0.1)", "large(lr=0.1)"])
    assert recipe_words(recipes[:2]) == {recipes[0]: "epochs=60", recipes[1]: "small"}
    assert recipe_words(recipes) == {recipes[0]: "small epochs=60", recipes[1]: "small", recipes[2]: "large"}
    assert recipe_words(pd.Series(["a(b=1)", "a(b=1, )"]))["a(b=1)"] == "a(b=1)"
    assert recipe_words(pd.Series([], dtype=str)) == {}


def test_names_of_configurations() -> None:
    frame = pd.DataFrame(
        {
            "posterior": ["point", "swag(samples=5)", "csgld", "csgld(cycles=2)", "vi", "vi"],
            "samples": [1, 5, 15, 6, 5, 5], "aggregation": ["cycle"] * 6,
            "recipe": ["small"] * 5 + ["small(epochs=60)"],
        }
    )  # fmt: skip
    assert list(configuration_names(frame)) == [
        "single network", "swag 5, cycle", "csgld 15, cycle", "csgld(cycles=2) 6, cycle", "vi 5, small, cycle",
        "vi 5, epochs=60, cycle",
    ]  # fmt: skip


def test_clean_accuracy_names_what_varies_and_marks_a_source_alike_everywhere() -> None:
    frame = made.models(["vgg", "alexnet"], ["a", "b"], ["none", "jpeg"])
    frame.loc[frame["source"] == "a", "test_source"] = frame.loc[frame["source"] == "a", "test_source"].map(
        lambda _: ["a"]
    )
    for name in ("test_delivery", "clean_accuracy"):
        frame.loc[frame["source"] == "a", name] = frame.loc[frame["source"] == "a", name].map(lambda value: value[:1])
    data = prepared("clean_accuracy", frame)
    assert list(data["row"].drop_duplicates())[:3] == [
        "alexnet, 50/50, jpeg", "alexnet, 50/50, none", "alexnet, 20/80, jpeg",
    ]  # fmt: skip
    assert set(data.loc[data["panel"] == "tested on b", "source"]) == {"b"}
    assert set(data.loc[data["source"] == "b", "mark"]) == {1}
    assert "Hollow: degenerate (1 model)." in said("clean_accuracy", frame.assign(degenerate=["weak"] + [None] * 15))
