"""Small frames of every kind that figures draw from, by the names in them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd

CASES = tuple(f"C{number}" for number in range(1, 9))
RELATIONS = (
    "same architecture, same source", "other architecture, same source", "same architecture, other source",
    "other architecture, other source",
)  # fmt: skip
_HEAD = {"population": "", "reference": True, "largest": True, "setting": "8/255"}


def _spread(index: int) -> float:
    return 0.05 + 0.11 * (index * 7 % 8)


def interval(rate: float, known: bool) -> dict[str, Any]:
    return {"low": rate - 0.04 if known else None, "high": rate + 0.04 if known else None}


def effects(
    labels: Sequence[str], axes: Sequence[tuple[str, str]] = (("source", ""), ("architecture", "")), known: bool = True
) -> pd.DataFrame:
    """Effects of the named attacks; the first is the declared contrast."""
    rows = []
    for number, (label, (axis, level)) in enumerate(itertools.product(labels, axes)):
        effect = _spread(number) - 0.3
        first = label == labels[0]
        images = {
            f"{role}_images{end}": effect if not end else None
            for role in ("surrogate", "victim")
            for end in ("", "_low", "_high")
        }
        rows.append(
            {
                **_HEAD, "label": label, "primary": first, "family": "primary" if first else "exploratory",
                "axis": axis, "level": level, "effect": effect, **interval(effect, known), "p": 0.01,
                "p_holm": 0.02 if known else None,
                "resolved": known, "reason": "" if known else "descriptive: one seed in a cell", "images_low": None,
                "images_high": None, "smallest": 0.03, "excess": effect + 0.02, "excess_low": None, "excess_high": None,
                **images, "n_tests": 12 + number, "n_surrogates": 3, "n_victims": 4, "n_images": 100.0,
                "seeds_surrogate": 2, "seeds_victim": 2, "df": 3.0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def classes(names: Sequence[str], cases: Sequence[str] = CASES, known: bool = True) -> pd.DataFrame:
    rows = []
    for number, (case, (index, name)) in enumerate(itertools.product(cases, enumerate(names))):
        rate = _spread(number)
        rows.append(
            {
                **_HEAD, "label": "pgd", "primary": True, "case": case, "class": index, "class_name": name,
                "rate": rate, **interval(rate, known), "n_tests": 6, "n_images": 50.0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def definitions(label: str, names: Sequence[str], cases: Sequence[str] = CASES, known: bool = True) -> pd.DataFrame:
    rows = []
    for number, (case, name) in enumerate(itertools.product(cases, names)):
        rate = _spread(number)
        rows.append(
            {
                **_HEAD, "label": label, "primary": True, "case": case, "definition": name, "rate": rate,
                **interval(rate, known), "reason": "", "n_tests": 6, "n_images": 50.0, "known": 1.0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows).drop(columns="largest")


def defences(
    names: Sequence[str],
    attacks: Sequence[tuple[str, float]] = (("pgd", 0.1),),
    sources: Sequence[str] = ("a",),
    known: bool = True,
) -> pd.DataFrame:
    """Rows of `defence_rows`: clean, and every attack as transfer and as white box."""
    rows = []
    kinds = [("clean", None, None), *((kind, *attack) for kind in ("transfer", "white box") for attack in attacks)]
    for number, (name, source, (measure, attack, strength)) in enumerate(itertools.product(names, sources, kinds)):
        accuracy = 1 - _spread(number)
        rows.append(
            {
                "victim_defence": name, "image_source": source, "measure": measure, "attack": attack,
                "attack_params": None if attack is None else "{}", "norm": None if attack is None else "linf",
                "strength": strength, "n_pairs": 3, "accuracy": accuracy, "undefended": 0.5,
                "difference": accuracy - 0.5, **interval(accuracy - 0.5, known),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def posteriors(
    names: Sequence[str],
    samples: Sequence[int] = (1, 3, 6),
    steps: Sequence[int | None] = (None, 5),
    known: bool = True,
) -> pd.DataFrame:
    """Configurations: the named posteriors and single networks, all relations, recorded steps and final images."""
    kinds = [("point", 1), *itertools.product(names, samples)]
    rows = []
    ways = ("mean_logits", "cycle")
    for number, (relation, (name, count), how, step) in enumerate(itertools.product(RELATIONS, kinds, ways, steps)):
        if name == "point" and how == "cycle":
            continue
        rate = _spread(number)
        rows.append(
            {
                **_HEAD, "label": "mifgsm", "primary": True, "step": step, "steps": 10, "relation": relation,
                "posterior": name, "recipe": "small", "samples": count, "aggregation": how, "rate": rate,
                **interval(rate, known), "reason": "", "n_tests": 6, "n_images": 90.0, "n_surrogates": 3,
                "n_victims": 3, "n_draws": 1.0, "epochs": 12.0 * count, "gradients": 100.0 * count,
            }
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(step=frame["step"].astype(float))


def equivalents(names: Sequence[str], known: bool = True) -> pd.DataFrame:
    """T-DEE of named posteriors on a curve of sizes 1, 2, 5: the first lies below it, the last above, others inside."""
    rows = []
    for number, (relation, name, how) in enumerate(itertools.product(RELATIONS, names, ("mean_logits", "cycle"))):
        place = "below 1" if name == names[0] else "above 5" if name == names[-1] else "2.0"
        tdee = 2.0 if place == "2.0" else None
        rows.append(
            {
                **_HEAD, "label": "mifgsm", "primary": True, "relation": relation, "ensemble_recipe": "small",
                "members": "1, 2, 5", "curve": "0.1, 0.2, 0.4", "posterior": name, "recipe": "small", "samples": 5,
                "aggregation": how, "rate": _spread(number), "tdee": tdee, "tdee_text": place,
                "low": 1.5 if known and tdee else None, "low_text": (place if not tdee else "1.5") if known else None,
                "high": None, "high_text": "above 5" if known else None, "n_tests": 6, "n_ensemble_tests": 9,
                "n_surrogates": 3, "n_draws": 1.0, "n_victims": 3, "reason": "" if known else "descriptive",
            }
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(("tdee", "low", "high"), float))


def held_out(posteriors: Sequence[str], architectures: Sequence[str]) -> pd.DataFrame:
    """Tests of surrogates of the first architecture on victims of all, two images sources."""
    rows = []
    for number, (name, victim, source, how) in enumerate(
        itertools.product(["point", *posteriors], architectures, ("a", "b"), ("mean_logits", "cycle"))
    ):
        rows.append(
            {
                "population": f"{name} {how}", "reference": name == "point" and how == "mean_logits", "primary": True,
                "label": "mifgsm", "setting": "8/255", "counted": True, "copied": False, "image_source": source,
                "case": "C1" if victim == architectures[0] else "C3", "surrogate_posterior": name,
                "surrogate_recipe": "small", "surrogate_samples": 1 if name == "point" else 5,
                "surrogate_aggregation": how, "surrogate_seed": 0, "surrogate_id": name, "victim_id": victim,
                "victim_architecture": victim, "victim_defence": "none", "n_victim_correct": 90.0,
                "asr": _spread(number),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def models(
    architectures: Sequence[str], sources: Sequence[str] = ("a", "b"), defences: Sequence[str] = ("none",)
) -> pd.DataFrame:
    rows = []
    for number, (name, source, balance, defence) in enumerate(
        itertools.product(architectures, sources, ("50/50", "20/80"), defences)
    ):
        rows.append(
            {
                "model_id": str(number), "source": source, "architecture": name, "balance": balance, "defence": defence,
                "seed": 0, "degenerate": None, "test_source": list(sources), "test_delivery": ["uint8"] * len(sources),
                "clean_accuracy": [0.9 + 0.01 * (number % 8)] * len(sources),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def nothing(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the same columns and no row."""
    return frame.iloc[:0].copy()
