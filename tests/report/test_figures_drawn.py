"""Every figure of effects, classes, defences and posteriors draws whatever it is given, and its texts keep apart."""

from __future__ import annotations

from collections.abc import Callable

import effect_frames as made
import pandas as pd
import pytest
from drawn_figures import HOSTILE, LONG, faults, said

AXES = (("source", "differs"), ("architecture", ""), ("balance", ""), ("defence", "jpeg"), ("posterior", "csgld"))
DEFINED = ("all_images", "victim_correct", "both_correct", "surrogate_fooled", "common_correct", "targeted")

FRAMES: dict[str, dict[str, Callable[[], pd.DataFrame]]] = {
    "effects_forest": {
        "one": lambda: made.effects(["pgd"], AXES[:1]),
        "null": lambda: made.effects(["pgd"], AXES, known=False),
        "images": lambda: made.effects(["pgd"], AXES).assign(images_low=-0.4, images_high=0.3),
        "many": lambda: made.effects(LONG, AXES[:3]),
        "levels": lambda: made.effects(["pgd", "fgsm"], [("defence", name) for name in LONG]),
        "hostile": lambda: made.effects(HOSTILE, [("defence", HOSTILE[4]), ("defence", HOSTILE[0]), AXES[0]]),
    },
    "image_designs": {
        "one": lambda: made.effects(["pgd"], AXES[:1]),
        "many": lambda: made.effects(LONG, AXES[:3]),
        "hostile": lambda: made.effects(HOSTILE, [("defence", name) for name in HOSTILE[2:]]),
    },
    "class_success": {
        "one": lambda: made.classes(["cat"], ["C5"]),
        "null": lambda: made.classes(["cat", "dog"], known=False),
        "many": lambda: made.classes([*LONG] * 5),
        "hostile": lambda: made.classes(HOSTILE),
    },
    "definitions_of_success": {
        "one": lambda: made.definitions("pgd", DEFINED[:1], ["C1"]),
        "null": lambda: made.definitions("pgd", DEFINED, known=False),
        "hostile": lambda: made.definitions(HOSTILE[4], [*DEFINED, HOSTILE[0], HOSTILE[4]]),
    },
    "defences": {
        "one": lambda: made.defences(["jpeg"], []),
        "null": lambda: made.defences(["jpeg", "pgd_at"], known=False),
        "many": lambda: made.defences(LONG, [(name, 0.1) for name in LONG[:3]], ["a", "b"]),
        "hostile": lambda: made.defences(HOSTILE, [(name, 0.1) for name in HOSTILE]),
    },
    "success_by_samples": {
        "null": lambda: made.posteriors(["csgld"], known=False),
        "many": lambda: made.posteriors(LONG[:12]),
        "hostile": lambda: made.posteriors(HOSTILE),
    },
    "success_by_cycles": {
        "null": lambda: made.posteriors(["csgld"], known=False),
        "hostile": lambda: made.posteriors(["csgld(note=\"$x_1$\")", *HOSTILE]),
    },
    "success_by_iterations": {
        "null": lambda: made.posteriors(["csgld"], known=False),
        "many": lambda: made.posteriors(LONG[:11], [5]),
        "hostile": lambda: made.posteriors(HOSTILE),
    },
    "tdee": {
        "one": lambda: made.equivalents(["csgld"]).head(1),
        "null": lambda: made.equivalents(["csgld", "swag", "vi"], known=False),
        "many": lambda: made.equivalents(LONG),
        "hostile": lambda: made.equivalents(HOSTILE),
    },
    "held_out_architectures": {
        "one": lambda: made.held_out(["csgld"], ["resnet18"]),
        "many": lambda: made.held_out(LONG, LONG[:10]),
        "hostile": lambda: made.held_out(HOSTILE, HOSTILE),
    },
    "clean_accuracy": {
        "one": lambda: made.models(["resnet18"], ["a"]).head(1),
        "many": lambda: made.models(LONG[:10], defences=["none", "jpeg"]),
        "hostile": lambda: made.models(HOSTILE, HOSTILE[2:]),
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in FRAMES.items() for kind in kinds])
def test_texts_keep_apart_and_on_the_canvas(name: str, kind: str) -> None:
    assert faults(name, FRAMES[name][kind]()) == []


def test_the_look_finds_labels_that_lie_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumb_bench.report.figures.rows.ROW_HEIGHT", 0.03)
    assert any("lies on" in text for text in faults("effects_forest", made.effects(LONG)))


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_frame_is_a_sentence(name: str) -> None:
    empty = next(iter(FRAMES[name].values()))().iloc[:0]
    text = said(name, empty)
    assert "not drawn" in text
    assert text.endswith(".")


@pytest.mark.parametrize("name", FRAMES)
def test_a_caption_says_its_denominator_and_n(name: str) -> None:
    text = said(name, next(iter(FRAMES[name].values()))())
    assert " / " in text
    assert any(letter.isdigit() for letter in text)
    assert text.endswith(".")
