"""What is left to do: the plan minus the store. Resuming, sharing and adding an attack are this one difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.parts import needs_of
from dumb_bench.runner.frontier import Task
from dumb_bench.runner.plan import Plan
from dumb_bench.runner.plan_file import clean_sets
from dumb_bench.runner.units import (
    AttackUnit,
    CleanUnit,
    ImagesUnit,
    ModelUnit,
    TrainUnit,
    TuneUnit,
    Unit,
    Wanted,
)
from dumb_bench.spec import SetSpec, SurrogateSpec, TuningSpec
from dumb_bench.store.allocators import give_back
from dumb_bench.store.ids import Ids, as_bytes
from dumb_bench.store.planned import chosen_in
from dumb_bench.store.store import Store


class Index(NamedTuple):
    """What a store holds, by id; of sets, by (set, strength, step), the sha256."""

    keys: frozenset[str]
    tests: Ids
    attacks: frozenset[str]
    sets: dict[tuple[str, float | None, int | None], str]
    models: frozenset[str]
    parts: frozenset[str]
    clean: frozenset[tuple[str, str]]
    tunings: dict[str, float | None]


class Outstanding(NamedTuple):
    """Units to run. recrafted: sets (each strength is one) that were made before and are made again for new rows.

    open_tunings: strengths that are not chosen yet; the units of their sets come when they are.
    """

    units: tuple[Unit, ...]
    tests_done: int
    recrafted: int
    open_tunings: int = 0


def read_index(store: Store, parts: Iterable[str]) -> Index:
    """Read what a store holds, and which of these trained parts; whole files are verified on the way."""
    tests = Ids.joined(as_bytes(piece.rows.column("test_id")) for piece in store.pieces("tests", ["test_id"]))
    found = store.read_many(
        {
            "attacks": ["attack_id", "set_id", "strength", "step", "set_sha256"],
            "models": ["model_id"],
            "clean": ["model_id", "test_set"],
            "tunings": ["tuning_id", "strength"],
        }
    )
    attacks, clean = found["attacks"], found["clean"]
    give_back()
    return Index(
        keys=store.keys(),
        tests=tests,
        attacks=frozenset(attacks.column("attack_id").to_pylist()),
        sets=dict(
            zip(
                zip(*(attacks.column(name).to_pylist() for name in ("set_id", "strength", "step")), strict=True),
                attacks.column("set_sha256").to_pylist(),
                strict=True,
            )
        ),
        models=frozenset(found["models"].column("model_id").to_pylist()),
        parts=frozenset(name for name in parts if store.has_artifact(name)),
        clean=frozenset(zip(*(clean.column(name).to_pylist() for name in clean.column_names), strict=True)),
        tunings=chosen_in(found["tunings"]),
    )


def outstanding(plan: Plan, index: Index, catalogue: Catalogue) -> Outstanding:
    """Return the units that a plan still needs."""
    images = [ImagesUnit(item, plan.targeted) for item in plan.image_sets]
    units: list[Unit] = [unit for unit in images if unit.key not in index.keys]
    for part in plan.parts.values():
        if part.id not in index.parts:
            units.append(TrainUnit(part, tuple(needed.id for needed in needs_of(part, catalogue))))
    for model in plan.models.values():
        asked = clean_sets(plan, model)
        if model.id not in index.models:
            units.append(ModelUnit(model, asked))
            continue
        missing = tuple(item for item in asked if (model.id, item.id(model.task)) not in index.clean)
        if missing:
            units.append(CleanUnit(model, missing))
    open_tunings = [item for key, item in plan.tunings.items() if key not in index.tunings]
    units += _tune_units(open_tunings, catalogue)
    wanted: dict[str, list[Wanted]] = {}
    bases: dict[str, SetSpec] = {}
    planned: set[str] = set()
    done = 0
    for item in plan.sets:
        base = item.spec.base
        bases[base.id] = base
        chosen = [index.tunings[name] for name in item.tunings if name in index.tunings]
        if item.spec.attack_name != "sign_noise":  # rows of what no strength is feasible for need no work
            done += chosen.count(None) * len(item.victims) * len(plan.deliveries)
        facing = tuple(plan.victims[victim] for victim in item.victims)
        for strength, holders in item.made(index.tunings):
            for delivery, step in product(plan.deliveries, (None, *item.steps)):
                row = Wanted(item.spec, strength, delivery, facing, step)
                stored = index.tests.holds(row.test_ids) if len(index.tests) else _NONE
                here = int(stored.sum())
                done += here * len(holders)
                if here:
                    kept = tuple(victim for victim, there in zip(facing, stored.tolist(), strict=True) if not there)
                    row = Wanted(item.spec, strength, delivery, kept, step)
                if row.victims and row.attack_id not in planned:
                    planned.add(row.attack_id)  # a chosen strength may be one of the grid's, or another surrogate's
                    wanted.setdefault(base.id, []).append(row)
    recrafted = 0
    for key, rows in wanted.items():
        known = {
            (row.set.id, row.strength, name): index.sets[row.set.id, row.strength, step]
            for row in rows
            for name, step in ((row.attack_id, row.step), (row.final_id, None))
            if (row.set.id, row.strength, step) in index.sets
        }
        recrafted += len({(made, strength) for made, strength, _ in known})
        expected = tuple((name, sha256, name in index.attacks) for (_, _, name), sha256 in known.items())
        units.append(AttackUnit(bases[key], tuple(rows), expected, plan.grid.output.keep_adversarial))
    return Outstanding(tuple(units), done, recrafted, len(open_tunings))


_NONE = np.zeros(0, np.bool_)


def _tune_units(tunings: Iterable[TuningSpec], catalogue: Catalogue) -> list[TuneUnit]:
    """Return the units of choices: one each, and one for all surrogates where the attack looks at none."""
    shared: dict[str, list[TuningSpec]] = {}
    units = []
    for item in tunings:
        if catalogue.get("attacks", item.attack.attack.name).info.uses == "nothing":
            shared.setdefault(TuneUnit((item,), free=True).subject, []).append(item)
        else:
            units.append(TuneUnit((item,)))
    return [*units, *(TuneUnit(tuple(group), free=True) for group in shared.values())]


RANKS = {AttackUnit: 0, TuneUnit: 1, ImagesUnit: 2, CleanUnit: 3, ModelUnit: 3, TrainUnit: 4}
"""Depth first: what can be finished goes before what opens new work."""

PartsOf = Mapping[str, tuple[str, ...]]
"""Model id -> the ids of the parts whose training it took."""


def parts_of(plan: Plan) -> PartsOf:
    """Return which trained parts each model of a plan needs."""
    return {name: tuple(part.id for part in item.needs) for name, item in plan.makeups.items()}


def models_needed(unit: Unit) -> tuple[str, ...]:
    """Return the ids of the models without which a unit cannot run; an attack only wants its victims."""
    if isinstance(unit, ModelUnit | CleanUnit):
        return (unit.model.id,)
    surrogates: tuple[SurrogateSpec, ...] = ()
    if isinstance(unit, AttackUnit) and unit.base.surrogate:
        surrogates = (unit.base.surrogate,)
    if isinstance(unit, TuneUnit):
        surrogates = tuple(item.surrogate for item in unit.tunings)
    return tuple(dict.fromkeys(model.id for surrogate in surrogates for model in surrogate.models))


def tasks_of(units: Collection[Unit], parts: PartsOf) -> list[Task]:
    """Return units as tasks of the frontier: an attack needs its surrogate's weights and wants its victims'."""
    training = {unit.part.id: unit.key for unit in units if isinstance(unit, TrainUnit)}

    def trained_by(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(training[name] for name in names if name in training))

    tasks = []
    for unit in units:
        needs = unit.needs if isinstance(unit, TrainUnit) else (p for m in models_needed(unit) for p in parts[m])
        wants = (p for m in unit.victims for p in parts[m]) if isinstance(unit, AttackUnit) else ()
        tasks.append(Task(unit.key, RANKS[type(unit)], trained_by(needs), trained_by(wants)))
    return tasks
