"""A seeded builder of result folders with a known generative model, through the public schema."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dumb_bench.case import case_of
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.schema import TABLES
from dumb_bench.store.sealed import seal

EMPTY_PLAN = {
    "name": "synthetic", "store": "", "digest": "synthetic", "deliveries": [], "margins": True, "models": {},
    "surrogates": {}, "groups": [], "sets": [], "image_units": [],
}  # fmt: skip


@dataclass
class Shape:
    """What the synthetic grid holds. `victim_seeds` None: one pool plays both roles."""

    sources: tuple[str, ...] = ("optdigits", "rendered")
    architectures: tuple[str, ...] = ("alexnet", "resnet18", "vgg11_bn")
    balances: tuple[str, ...] = ("50/50", "20/80")
    seeds: tuple[int, ...] = (0, 1)
    victim_seeds: tuple[int, ...] | None = None
    victim_defences: tuple[str, ...] = ("none",)
    attacks: dict[str, tuple[float, ...]] = field(default_factory=lambda: {"tifgsm": (0.08, 0.16, 0.24)})
    blur: tuple[float, ...] = (1.0, 2.0)
    controls: bool = True
    n_images: int = 150
    task: str = "digits"
    failures: int = 0
    identity_success: int = 0
    own_success: float = 0.97
    tests_kept: float = 1.0
    norms_scale: float = 1.0
    degenerate: bool = False
    failure_message: str = "attack 'cw' returned NaN or infinite values in 3 of 64 images"


QUICKSTART = Shape()


def _models(shape: Shape, seeds: tuple[int, ...], defences: tuple[str, ...]) -> list[dict[str, Any]]:
    found = []
    cells = itertools.product(shape.sources, shape.architectures, shape.balances, defences, seeds)
    for source, architecture, balance, defence, seed in cells:
        found.append(
            {
                "source": source,
                "subset": "all",
                "architecture": architecture,
                "init": "random",
                "balance": balance,
                "balance_mode": "paper",
                "defence": defence,
                "posterior": "point",
                "samples": 1,
                "recipe": "small",
                "seed": seed,
                "params": "{}",
                "id": f"{source}|{architecture}|{balance}|{defence}|{seed}",
            }
        )
    return found


def _role(role: str, model: dict[str, Any]) -> dict[str, Any]:
    keys = [key for key in model if key not in ("params", "balance_mode")]
    row = {f"{role}_{key}": model[key] for key in keys}
    row |= {f"{role}_balance_mode": model["balance_mode"], f"{role}_params": model["params"]}
    if role == "surrogate":
        row |= {"surrogate_aggregation": "mean_logits", "surrogate_modifier": "none"}
    return row


def build(folder: Path, shape: Shape = QUICKSTART, seed: int = 0, *, plan: dict[str, Any] | None = None) -> Path:
    """Write a result folder: success = (.55 - .15 [source] - .1 [architecture] + model effects) * strength."""
    rng = np.random.default_rng(seed)
    surrogates = _models(shape, shape.seeds, ("none",))
    victims = _models(shape, shape.victim_seeds or shape.seeds, shape.victim_defences)
    models = list({model["id"]: model for model in (*surrogates, *victims)}.values())
    effect = {model["id"]: rng.normal(0, 0.03, 2) for model in models}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for source, index in itertools.product(shape.sources, range(shape.n_images)):
        rows["images"].append(
            {
                "task": shape.task,
                "image_source": source,
                "split": "test",
                "index": index,
                "image_id": f"{index}",
                "label": index % 2,
            }
        )
    for model in models:
        own = [
            float(rng.uniform(0.96, 1.0) if model["source"] == source else rng.uniform(0.82, 0.95))
            for source in shape.sources
        ]
        rows["models"].append(
            {
                "model_id": model["id"],
                "task": shape.task,
                **{k: v for k, v in model.items() if k != "id"},
                "epochs": 10,
                "seconds": 2.0,
                "parameters": 1000,
                "train_images": 800,
                "test_source": list(shape.sources),
                "test_delivery": ["uint8"] * len(shape.sources),
                "clean_accuracy": own,
                "clean_f1": own,
                "own_accuracy": max(own),
                "library_versions": json.dumps({"torch": "2.8.0", "numpy": "2.1"}),
                "hardware": "2-core CPU",
                "finished_at": "2025-01-01T00:00:00Z",
                "degenerate": "always answers class 0" if shape.degenerate and model is models[0] else None,
            }
        )

    def put(
        attack: str, strength: float | None, params: dict[str, Any], *, norm: str | None, free: bool, control: bool
    ) -> None:
        unit = "[0, 1] pixel" if norm else "pixel"
        makers: list[dict[str, Any] | None] = [None] if free else list(surrogates)
        for image_source, maker in itertools.product(shape.sources, makers):
            attack_id = f"{attack}|{json.dumps(params)}|{strength}|{image_source}|{maker['id'] if maker else ''}"
            fooled = round(shape.own_success * 148 * min(1.0, 0.4 + 3 * (strength or 0))) if maker else None
            if strength == max(shape.attacks.get(attack, (0.0,))) and fooled is not None:
                fooled = round(shape.own_success * 148) - int(rng.integers(0, 4))
            linf = (
                np.full(shape.n_images, (strength or 0.0) * shape.norms_scale) if norm else np.full(shape.n_images, 0.3)
            )
            common = {
                "attack_id": attack_id,
                "task": shape.task,
                "attack": attack,
                "attack_params": json.dumps(params),
                "attack_library": "dumb_bench",
                "attack_seed": 0,
                "norm": norm,
                "strength": strength,
                "targeted": False,
                "image_source": image_source,
                "delivery": "uint8",
                "n_images": shape.n_images,
            }
            rows["attacks"].append(
                {
                    **common,
                    "surrogate_id": maker["id"] if maker else None,
                    "strength_unit": unit,
                    "linf": linf.tolist(),
                    "l2": (linf * 32).tolist(),
                    "linf_delivered": (linf + (0.4 / 255 if norm and strength else 0)).tolist(),
                    "l2_delivered": (linf * 32).tolist(),
                    "mean_ssim": float(np.exp(-4 * (strength or 0) ** 2)) if norm else 0.7,
                    "n_surrogate_correct": 148 if maker else None,
                    "n_surrogate_fooled": fooled,
                    "budget_violation": 1e-8,
                    "box_violation": 0.0,
                    "budget_reached": True if attack in ("tifgsm", "fgsm") else None,
                    "forwards": 10,
                    "backwards": 10,
                    "seconds": 0.5,
                    "hardware": "2-core CPU",
                    "finished_at": "2025-01-01T01:00:00Z",
                    "library_versions": json.dumps({"torch": "2.8.0"}),
                }
            )
            own_draw = {victim["id"]: rng.random() for victim in victims}
            for surrogate, victim in itertools.product([maker] if maker else surrogates, victims):
                if surrogate is None or (shape.tests_kept < 1 and rng.random() > shape.tests_kept):
                    continue
                white = surrogate["id"] == victim["id"]
                differs = {
                    f"{key}_differs": surrogate[key] != victim[key] for key in ("source", "architecture", "balance")
                }
                base = 0.55 - 0.15 * differs["source_differs"] - 0.1 * differs["architecture_differs"] + 0.35 * white
                rate = (base + effect[surrogate["id"]][0] + effect[victim["id"]][1]) * min(1.0, 4.2 * (strength or 0.0))
                rate *= 0.5 if victim["defence"] != "none" else 1.0
                if attack == "delta_swap":
                    rate *= 0.3
                correct = round((0.98 if victim["source"] == image_source else 0.9) * shape.n_images)
                if free:
                    level = {"sign_noise": 0.1 * (strength or 0), "identity": 0.0}.get(attack, 0.08 * (strength or 0))
                    success = round(level * correct * (0.5 + own_draw[victim["id"]]))
                    success = shape.identity_success if attack == "identity" else success
                else:
                    success = int(rng.binomial(correct, min(max(rate, 0.0), 1.0)))
                rows["tests"].append(
                    {
                        **common,
                        "test_id": f"{attack_id}>{victim['id']}<{surrogate['id']}",
                        **_role("surrogate", surrogate),
                        **_role("victim", victim),
                        "strength_rule": "grid",
                        "defence_known": False,
                        "case": case_of(**differs),
                        "white_box": white,
                        "shared_weights": float(white),
                        "n_victim_correct": correct,
                        "n_victim_correct_raw": correct,
                        "n_success": success,
                        "asr": success / correct if correct else None,
                        "n_surrogate_fooled": fooled,
                        "control": control,
                        "copied": free,
                    }
                )

    for attack, strengths in shape.attacks.items():
        for strength in strengths:
            put(attack, strength, {"steps": 10}, norm="linf", free=False, control=False)
            if shape.controls:
                put("delta_swap", strength, {"of": attack, "steps": 10}, norm="linf", free=False, control=True)
    for radius in shape.blur:
        put("box_blur", radius, {}, norm=None, free=True, control=False)
    if shape.controls:
        put("identity", 0.0, {}, norm="linf", free=True, control=True)
        for strength in sorted({value for values in shape.attacks.values() for value in values}):
            put("sign_noise", strength, {"norm": "linf"}, norm="linf", free=True, control=True)
    for index in range(shape.failures):
        rows["failures"].append(
            {
                "unit_key": f"unit{index}",
                "kind": "attack",
                "unit": "cw on a surrogate",
                "attack": "cw",
                "surrogate_id": surrogates[index % len(surrogates)]["id"],
                "image_source": shape.sources[0],
                "error_type": "AttackError",
                "message": shape.failure_message,
                "traceback": "Traceback ...",
                "attempts": 3,
                "tests_missing": 24,
                "host": "node1",
            }
        )
    tables = {name: as_table(name, entries) for name, entries in rows.items() if name in TABLES}
    ResultFolder.open(str(folder)).write_tables(tables, plan_digest="synthetic")
    (folder / "grid.toml").write_text(f'name = "synthetic"\ntask = "{shape.task}"\n', encoding="utf-8")
    if plan is None:
        tests = [row for row in rows["tests"] if not row["control"]]
        plan = {
            "counts": {
                "models": len(models),
                "adversarial_sets": len({row["attack_id"] for row in rows["attacks"]}),
                "tests": len(tests),
                "control_tests": len(rows["tests"]) - len(tests),
                "units": 100,
            },
            "report": {
                "primary": None,
                "notes": ["The strength 0.24 was chosen after looking."],
                "title": None,
                "description": None,
            },
        }
    (folder / "plan.json").write_bytes(seal({**EMPTY_PLAN, **plan}))
    return folder
