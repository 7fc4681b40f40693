"""A seeded world of surrogates from posteriors with a known truth, through the public schema."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_results import EMPTY_PLAN

from dumb_bench.case import case_of
from dumb_bench.report.load import Meta, Results
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.schema import TABLES
from dumb_bench.store.sealed import seal

POOL = 15
SHORT, LONG = "small(epochs=12)", "small(epochs=60)"
CURVE = {1: 0.30, 2: 0.40, 5: 0.55, 15: 0.60}
CHAIN, NULL = "csgld(cycles=3)", "snapshot(cycles=3)"
Configuration = tuple[str, str, int, str]


def planted() -> dict[Configuration, float]:
    """Configuration -> success where nothing differs. The chain gains .175 over one network, `snapshot` nothing."""
    truth: dict[Configuration, float] = {}
    for how in ("mean_logits", "cycle"):
        truth["point", SHORT, 1, how] = truth["point", LONG, 1, how] = 0.30
        for samples in (1, 5):
            truth[CHAIN, LONG, samples, how] = 0.475 if samples == 5 else 0.30
        truth[NULL, LONG, 5, how] = 0.30
        for members, rate in CURVE.items():
            truth[f"deep_ensemble(members={POOL})", SHORT, members, how] = rate
    return truth


@dataclass
class World:
    """What the synthetic grid holds."""

    truth: dict[Configuration, float] = field(default_factory=planted)
    sources: tuple[str, ...] = ("optdigits", "rendered")
    architectures: tuple[str, ...] = ("alexnet", "vgg")
    seeds: tuple[int, ...] = (0, 1, 2)
    victim_seeds: tuple[int, ...] = (100, 101, 102)
    draws: int = 1
    steps: dict[str, tuple[int, ...]] = field(default_factory=lambda: {"mifgsm": (10,)})
    """Attack -> the numbers of iterations of its entries."""
    record: tuple[int, ...] = ()
    strengths: tuple[float, ...] = (0.1,)
    n_images: int = 200
    spread: float = 0.02
    costs: bool = True
    shared: float = 0.0


def cost_of(key: Configuration) -> dict[str, int]:
    """Epochs, gradients and bytes of a configuration's model: an ensemble costs its members, a chain its cycles."""
    posterior, recipe, samples, _ = key
    epochs = 12 if recipe == SHORT else 60
    epochs *= samples if posterior.startswith("deep_ensemble") else 1
    return {"epochs": epochs, "gradients": epochs * 1000, "weights_bytes": samples * 4000}


def cells(world: World) -> Iterator[tuple[Any, ...]]:
    """Surrogates: (configuration, source, architecture, seed, draw)."""
    models = itertools.product(world.truth, world.sources, world.architectures, world.seeds)
    for key, source, architecture, seed in models:
        several = key[0].startswith("deep_ensemble") and 1 <= key[2] < POOL
        for draw in range(world.draws if several else 1):
            yield key, source, architecture, seed, draw


def members_of(samples: int, draw: int, seed: int) -> Any:
    """The members of a draw: the first ones, or a seeded subset."""
    return np.arange(samples) if not draw else np.random.default_rng([seed, draw]).choice(POOL, samples, replace=False)


def rows_of(world: World, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return rows of `tests`, `attacks` and `models`: success = truth - .05 [architecture] - .1 [source] + effects."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    network = {  # every network of a pool has its own effect; a chain or point of a long recipe one of its own
        (recipe, *cell): rng.normal(0, world.spread, POOL)
        for recipe, *cell in itertools.product((SHORT, LONG), world.sources, world.architectures, world.seeds)
    }
    chain = {cell: rng.normal(0, world.spread) for cell in cells(world)}
    victims = list(itertools.product(world.sources, world.architectures, world.victim_seeds))
    weak = {victim: rng.normal(0, world.spread) for victim in victims}
    for key, source, architecture, own, draw in cells(world):
        posterior, recipe, samples, how = key
        pooled = posterior.startswith(("deep_ensemble", "point"))
        pool = network[recipe, source, architecture, own]
        effect = pool[members_of(samples, draw, own)].mean() if pooled else chain[key, source, architecture, own, draw]
        model = {
            "source": source, "subset": "all", "architecture": architecture, "init": "random", "balance": "50/50",
            "balance_mode": "paper", "defence": "none", "posterior": posterior, "samples": samples,
            "recipe": recipe, "seed": own, "draw": draw if world.costs else None,
        }  # fmt: skip
        name = f"{posterior}|{recipe}|{samples}|{source}|{architecture}|{own}|{draw}"
        if how == "mean_logits":
            cost = cost_of(key) if world.costs else {"epochs": cost_of(key)["epochs"]}
            rows["models"].append({"model_id": name, "task": "digits", **model, **cost, "seconds": 1.0, "params": "{}"})
        surrogate = {f"surrogate_{k}": v for k, v in model.items()} | {
            "surrogate_aggregation": how, "surrogate_modifier": "none", "surrogate_id": f"{name}|{how}",
            "surrogate_params": json.dumps({"posterior": {"members": 15} if pooled and posterior != "point" else {}}),
        }  # fmt: skip
        made = itertools.product(world.steps.items(), world.strengths)
        for (attack, entries), strength in made:
            for steps, step in [(n, s) for n in entries for s in (None, *(r for r in world.record if r <= n))]:
                after = step or steps
                attack_id = f"{name}|{how}|{attack}|{steps}|{strength}|{step}"
                common = {
                    "attack_id": attack_id, "task": "digits", "attack": attack, "attack_library": "dumb_bench",
                    "attack_params": json.dumps({"steps": steps}), "attack_seed": 0, "norm": "linf",
                    "strength": strength, "targeted": False, "image_source": source, "delivery": "uint8",
                    "n_images": world.n_images, "step": step,
                }  # fmt: skip
                passes = after * (samples if how == "mean_logits" else 1)
                rows["attacks"].append(
                    {
                        **common, "surrogate_id": f"{name}|{how}", "forwards": 0, "linf": [strength], "l2": [1.0],
                        "backwards": passes * world.n_images, "linf_delivered": [strength], "l2_delivered": [1.0],
                        "memory_bytes": samples * 1000 if world.costs else None, "seconds": 1.0,
                        "n_surrogate_correct": 100, "n_surrogate_fooled": 99 if step is None else 1,
                    }
                )  # fmt: skip
                for victim in victims:
                    differs = {
                        "source_differs": victim[0] != source, "architecture_differs": victim[1] != architecture,
                        "balance_differs": False,
                    }  # fmt: skip
                    base = world.truth[key] - 0.05 * differs["architecture_differs"] - 0.1 * differs["source_differs"]
                    rate = base * (after / max(entries)) ** 0.25 + effect + weak[victim] + rng.normal(0, 0.01)
                    success = int(rng.binomial(world.n_images, np.clip(rate, 0, 1)))
                    other = model | dict(zip(("source", "architecture", "seed"), victim, strict=True))
                    other |= {"posterior": "point", "samples": 1, "recipe": LONG, "draw": None}
                    rows["tests"].append(
                        {
                            **common, **surrogate, "test_id": f"{attack_id}>{victim}", "strength_rule": "grid",
                            **{f"victim_{k}": v for k, v in other.items()}, "victim_id": str(victim),
                            "victim_params": '{"posterior": {}}', "defence_known": False, "case": case_of(**differs),
                            "white_box": False, "shared_weights": world.shared, "n_victim_correct": world.n_images,
                            "n_success": success, "asr": success / world.n_images, "control": False, "copied": False,
                        }
                    )  # fmt: skip
    return rows


def build(folder: Path, world: World, seed: int = 0) -> Path:
    """Write a result folder of the world."""
    rows = rows_of(world, seed)
    ResultFolder.open(str(folder)).write_tables(
        {name: as_table(name, entries) for name, entries in rows.items()}, plan_digest="synthetic"
    )
    (folder / "grid.toml").write_text('name = "posteriors"\ntask = "digits"\n', encoding="utf-8")
    (folder / "plan.json").write_bytes(seal({**EMPTY_PLAN, "counts": {}, "report": {}}))
    return folder


def results_of(world: World, seed: int = 0) -> Results:
    """Return the world's tables as if they had been read from a folder."""
    frames = {name: as_table(name, entries).to_pandas() for name, entries in rows_of(world, seed).items()}
    kept = {name: frames[name] for name in ("images", "models", "attacks", "tunings", "tests", "failures")}
    return Results(Path("posteriors"), meta=Meta("posteriors"), tables=None, **kept)  # type: ignore[arg-type]
