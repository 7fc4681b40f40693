"""Result folders made of labels written down by hand: who answers what on which image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.schema import TABLES

Labels = list[int]
CLEAN = ("test_source", "test_delivery", "clean_accuracy", "clean_f1", "clean_predictions", "clean_logits")


def rows_of(
    truth: dict[str, Labels],
    clean: dict[tuple[str, str], Labels],
    attacked: dict[tuple[str, str, str], Labels],
    own: dict[tuple[str, str], Labels],
    *,
    targets: Labels | None = None,
    identity: bool = True,
    more_clean: tuple[int, ...] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables.

    truth: of each image source. clean: (model, source). attacked: (surrogate, victim, source). own: what a surrogate
    (first) answers on its own attacked images of a source. targets: of all images, where the attack aims. identity:
    whether there is that control. more_clean: answers on images of the test split that are not attacked.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    models = sorted({name for name, _ in clean})
    for source, labels in truth.items():
        for index, label in enumerate(labels):
            rows["images"].append(
                {"unit_key": f"images {source}", "task": "digits", "image_source": source, "split": "test",
                 "index": index, "image_id": f"{source}/{index}", "label": label}
            )  # fmt: skip
    for number, model in enumerate(models):
        sources = [source for name, source in clean if name == model]
        lists = [[*clean[model, source], *more_clean] for source in sources]
        rows["models"].append(
            {"model_id": model, "task": "digits", **_spec(number), "recipe_params": '{"epochs": 2}', "seconds": 1.0,
             "test_source": sources, "test_delivery": ["uint8"] * len(sources), "clean_accuracy": [1.0] * len(sources),
             "clean_f1": [1.0] * len(sources), "clean_predictions": lists, "own_accuracy": 1.0}
        )  # fmt: skip
        for source in sources if identity else ():
            scored = f"identity {source} > {model}"
            for surrogate in sorted({name for name, _ in own}):
                row = _test(f"{scored} < {surrogate}", "identity", surrogate, model, source, models)
                row |= {"scored_as": scored, "control": True, "copied": True, "strength": 0.0}
                rows["tests"].append(row | _counts(truth[source], clean[model, source], clean[model, source], None))
            rows["predictions"].append({"test_id": scored, "predictions": clean[model, source]})
    for (surrogate, source), labels in own.items():
        known = np.array(clean[surrogate, source]) == truth[source] if (surrogate, source) in clean else None
        fooled = None if known is None else int((known & (np.array(labels) != truth[source])).sum())
        rows["attacks"].append(
            {"attack_id": f"pgd {source} < {surrogate}", "task": "digits", "surrogate_id": surrogate, "attack": "pgd",
             "attack_params": '{"steps": 10}', "norm": "linf", "strength": 0.1, "targeted": targets is not None,
             "image_source": source, "delivery": "uint8", "n_images": len(labels), "surrogate_predictions": labels,
             "linf": [0.1] * len(labels), "seconds": 0.5, "n_surrogate_fooled": fooled,
             "n_surrogate_correct": None if known is None else int(known.sum())}
        )  # fmt: skip
    for (surrogate, victim, source), labels in attacked.items():
        name = f"pgd {source} > {victim} < {surrogate}"
        row = _test(name, "pgd", surrogate, victim, source, models) | {"targeted": targets is not None}
        rows["tests"].append(row | _counts(truth[source], clean[victim, source], labels, targets))
        rows["predictions"].append({"test_id": name, "predictions": labels})
    return rows


def write(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    """Write a result folder without a plan, as an archived one may be."""
    tables = {name: as_table(name, entries) for name, entries in rows.items()}
    ResultFolder.open(str(folder)).write_tables(tables, plan_digest="by hand")
    return folder


def _spec(seed: int) -> dict[str, Any]:
    return {"source": "optdigits", "subset": "all", "architecture": "alexnet", "init": "random", "balance": "50/50",
            "balance_mode": "paper", "defence": "none", "posterior": "point", "samples": 1, "recipe": "small",
            "seed": seed, "params": "{}"}  # fmt: skip


def _test(name: str, attack: str, surrogate: str, victim: str, source: str, models: list[str]) -> dict[str, Any]:
    seeds = {model: number for number, model in enumerate(models)}
    roles = {"surrogate": surrogate, "victim": victim}
    columns = {f"{role}_{key}": value for role, who in roles.items() for key, value in _spec(seeds.get(who, 9)).items()}
    free = attack == "identity"
    return {
        "test_id": name, "scored_as": name, "attack_id": f"{attack} {source}" + ("" if free else f" < {surrogate}"),
        "task": "digits", **columns, "surrogate_id": surrogate, "victim_id": victim, "surrogate_modifier": "none",
        "surrogate_aggregation": "mean_logits", "attack": attack, "attack_params": json.dumps({"steps": 10}),
        "norm": "linf", "strength": 0.1, "strength_rule": "grid", "targeted": False, "image_source": source,
        "delivery": "uint8", "defence_known": True, "case": "C1", "white_box": surrogate == victim,
        "shared_weights": float(surrogate == victim), "control": False, "copied": False, "numerics": "exact",
    }  # fmt: skip


def _counts(truth: Labels, clean: Labels, delivered: Labels, targets: Labels | None) -> dict[str, Any]:
    label, before, after = (np.array(values) for values in (truth, clean, delivered))
    right = before == label
    success = right & (after != label)
    n, k = int(right.sum()), int(success.sum())
    return {
        "n_images": len(truth), "n_victim_correct": n, "n_victim_correct_raw": n, "n_success": k,
        "asr": k / n if n else None,
        "n_target_success": None if targets is None else int((right & (after == np.array(targets))).sum()),
        "class_images": np.bincount(label, minlength=2).tolist(),
        "class_victim_correct": np.bincount(label[right], minlength=2).tolist(),
        "class_success": np.bincount(label[success], minlength=2).tolist(),
    }  # fmt: skip
