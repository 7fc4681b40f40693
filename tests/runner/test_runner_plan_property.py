"""Random small grids: the plan's units are exactly those that a naive enumeration of the grid asks for, each once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import tomli_w
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dumb_bench.catalogue import Catalogue
from dumb_bench.grid_file import parse_grid
from dumb_bench.models.parts import Part, drawn
from dumb_bench.runner.describe import EMPTY
from dumb_bench.runner.outstanding import Outstanding, outstanding, parts_of, tasks_of
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.runner.plan_file import clean_sets
from dumb_bench.runner.units import AttackUnit, CleanUnit, ImagesUnit, ModelUnit, TrainUnit, TuneUnit, Unit
from dumb_bench.spec import AttackSpec, ModelSpec, SetSpec, SurrogateSpec
from dumb_bench.store.ids import Ids

CATALOGUE = Catalogue()

POSTERIORS: dict[str, tuple[dict[str, Any], int, int]] = {
    "point": ({}, 1, 1),
    "csgld": ({"cycles": 2, "samples_per_cycle": 2, "cycle_epochs": 4}, 4, 2),
    "deep_ensemble": ({"members": 3}, 3, 1),
    "swag": ({"samples": 3}, 3, 3),
    "mc_dropout": ({"samples": 2}, 2, 2),
}
"""Name -> its parameters, how many samples it has, and how many a trained part holds."""

SOURCES, ARCHITECTURES, BALANCES = ("optdigits", "rendered"), ("small_alexnet", "small_vgg"), ("50/50", "20/80")
Model = tuple[str, str, str, int, str, int, int]
"""source, architecture, balance, seed, posterior, samples, draw"""
Grid = dict[str, Any]


def some(chance: random.Random, values: tuple[Any, ...], most: int = 2) -> list[Any]:
    return chance.sample(values, chance.randint(1, min(most, len(values))))


def random_grid(chance: random.Random) -> Grid:
    def posteriors() -> list[Any]:
        names = some(chance, tuple(POSTERIORS))
        return [{"name": name, **POSTERIORS[name][0]} if POSTERIORS[name][0] else name for name in names]

    def block(role: str) -> Grid:
        chosen: Grid = {"seed": some(chance, (0, 1, 2))}
        if chance.random() < 0.5:
            chosen |= {"posterior": posteriors(), "samples": some(chance, (1, 2, 3, "all"))}
        if chance.random() < 0.3:
            chosen["balance"] = some(chance, BALANCES)
        if role == "surrogates":
            chosen |= {"draw": some(chance, (0, 1)), "aggregation": some(chance, ("mean_logits", "cycle"))}
            chosen["modifier"] = some(chance, ("none", "ghost"))
            if chance.random() < 0.3:
                chosen["architecture"] = ["small_alexnet+small_vgg", *some(chance, ARCHITECTURES, 1)]
        return chosen

    fgsm: Grid = {"name": "fgsm", "strength": some(chance, (0.1, 0.2))}
    if chance.random() < 0.5:
        fgsm["tune"] = {"ssim": 0.4, "over": [0.1, 0.3], "per_class": 4}
    pgd: Grid = {"name": "pgd", "strength": some(chance, (0.1, 0.2, 0.3)), "params": {"steps": 4}}
    pgd |= {"attack_seed": some(chance, (0, 1))} | ({"record_steps": [1, 3]} if chance.random() < 0.5 else {})
    blur: Grid = {"name": "box_blur", "strength": [1.0]}
    if chance.random() < 0.5:
        blur["tune"] = {"ssim": 0.4, "over": [1.0, 2.0], "per_class": 4}
    return {
        "name": "random",
        "task": "digits",
        "models": {"source": some(chance, SOURCES), "architecture": some(chance, ARCHITECTURES)},
        "surrogates": [block("surrogates") for _ in range(chance.randint(1, 2))],
        "victims": [block("victims") for _ in range(chance.randint(1, 2))],
        "images": {
            "per_class": 4,
            "source": chance.choice(("surrogate", "victim", "all")),
            "deliveries": some(chance, ("uint8", "float32")),
        },
        "attacks": some(chance, (fgsm, pgd, blur), 3),
    }


# --- the reference: loops over the grid, with sets of plain tuples ---


def models_of(grid: Grid, block: Grid, architecture: str) -> Iterator[Model]:
    axes = {"balance": ["50/50"], "posterior": ["point"], "samples": ["all"]} | grid["models"] | block
    for source, balance, seed, posterior, samples, draw in product(
        axes["source"], axes["balance"], axes["seed"], axes["posterior"], axes["samples"], axes.get("draw", [0])
    ):
        name = posterior if isinstance(posterior, str) else posterior["name"]
        count = POSTERIORS[name][1]
        used = count if samples == "all" else samples
        if used <= count:  # more than it has are refused; all of them are one draw
            yield (source, architecture, balance, seed, name, used, draw if used < count else 0)


def surrogates_of(grid: Grid) -> set[tuple[tuple[Model, ...], str, str]]:
    found = set()
    for block in grid["surrogates"]:
        for choice in block.get("architecture", grid["models"]["architecture"]):
            columns = [list(models_of(grid, block, name)) for name in choice.split("+")]
            found |= set(product(zip(*columns, strict=True), block["aggregation"], block["modifier"]))
    return found


def victims_of(grid: Grid) -> set[Model]:
    return {
        model
        for block in grid["victims"]
        for architecture in grid["models"]["architecture"]
        for model in models_of(grid, block, architecture)
    }


def trainings_of(model: Model) -> set[tuple[Any, ...]]:
    """What is trained for a model: conditions, the kind of run, the number of the part."""
    source, architecture, balance, seed, posterior, samples, draw = model
    _, count, size = POSTERIORS[posterior]
    own = {sample // size for sample in drawn(count, samples, draw)}
    runs = {("point", 0)} if posterior == "swag" else set()  # goes on from the single network
    if posterior in ("point", "deep_ensemble"):
        runs |= {("point", number) for number in own}
    else:  # every part up to the last one used
        runs |= {(posterior, number) for number in range(max(own) + 1)}
    return {(source, architecture, balance, seed, *run) for run in runs}


Row = tuple[str, float, str, int | None, Model]
"""control, strength, delivery, step, victim"""
Made = tuple[Any, ...]
"""surrogate or None, attack, its seed, image source"""


def rows_of(grid: Grid, chosen: dict[tuple[Any, ...], float | None]) -> dict[Made, set[Row]]:
    """Every scored row by the set that it belongs to. chosen: (surrogate, attack) -> its strength."""
    rule = grid["images"]["source"]
    surrogates, victims = surrogates_of(grid), victims_of(grid)
    sources = {model[0] for surrogate in surrogates for model in surrogate[0]} if rule != "victim" else set()
    sources |= {victim[0] for victim in victims} if rule != "surrogate" else set()
    found: dict[Made, set[Row]] = {}

    def add(made: Made, control: str, strength: float, steps: list[int], facing: set[Model]) -> None:
        for delivery, step, victim in product(grid["images"]["deliveries"], [None, *steps], facing):
            found.setdefault(made, set()).add((control, strength, delivery, step, victim))

    for source in sources:
        facing = {victim for victim in victims if rule != "victim" or victim[0] == source}
        holders = {item for item in surrogates if rule != "surrogate" or source in {model[0] for model in item[0]}}
        if not facing or not holders:
            continue
        add((None, "identity", 0, source), "", 0.0, [], facing)
        for attack in grid["attacks"]:
            name, steps = attack["name"], attack.get("record_steps", [])
            tuned = {item: strength for item in holders if (strength := chosen.get((item, name))) is not None}
            if name == "box_blur":
                for strength in {*attack["strength"], *tuned.values()}:
                    add((None, name, 0, source), "", strength, [], facing)
                continue
            for strength in {*attack["strength"], *tuned.values()}:
                add((None, "sign_noise", 0, source), "", strength, [], facing)
            for item, seed in product(holders, attack.get("attack_seed", [0])):
                for strength in attack["strength"]:
                    add((item, name, seed, source), "", strength, steps, facing)
                    add((item, name, seed, source), "delta_swap", strength, [], facing)
                if item in tuned:
                    add((item, name, seed, source), "", tuned[item], [], facing)
                    add((item, name, seed, source), "delta_swap", tuned[item], [], facing)
    return found


# --- the plan in the same words ---


def as_model(spec: ModelSpec) -> Model:
    plain = (spec.source.name, spec.architecture.name, spec.balance, spec.seed)
    return (*plain, spec.posterior.name, spec.samples, spec.draw)


def as_surrogate(spec: SurrogateSpec) -> tuple[tuple[Model, ...], str, str]:
    return (tuple(as_model(model) for model in spec.models), spec.aggregation, spec.modifier.name)


def as_training(part: Part) -> tuple[Any, ...]:
    return (*as_model(part.spec)[:5], part.number)


def as_set(spec: SetSpec) -> Made:
    attack: AttackSpec = spec.attack
    held = as_surrogate(spec.surrogate) if spec.surrogate else None
    return (held, attack.attack.name, attack.seed, spec.images.source.name)


def as_rows(unit: AttackUnit) -> list[Row]:
    return [
        (row.set.control, row.strength or 0.0, row.delivery.name, row.step, as_model(victim))
        for row in unit.wanted
        for victim in row.victims
    ]


def of_kind(units: tuple[Unit, ...], kind: type) -> list[Any]:
    return [unit for unit in units if isinstance(unit, kind)]


def same(found: list[Any], expected: set[Any]) -> None:
    """Each expected thing is there, and once."""
    assert len(found) == len(set(found))
    assert set(found) == expected


def check(units: Outstanding, grid: Grid, chosen: dict[tuple[Any, ...], float | None]) -> None:
    surrogates, models = surrogates_of(grid), victims_of(grid) | {m for s in surrogates_of(grid) for m in s[0]}
    expected = rows_of(grid, chosen)
    assert len({unit.key for unit in units.units}) == len(units.units)
    same([as_training(unit.part) for unit in of_kind(units.units, TrainUnit)], set().union(*map(trainings_of, models)))
    same([as_model(unit.model) for unit in of_kind(units.units, ModelUnit)], models)
    same([unit.images.source.name for unit in of_kind(units.units, ImagesUnit)], {made[3] for made in expected})
    attacks = {as_set(unit.base): as_rows(unit) for unit in of_kind(units.units, AttackUnit)}
    assert len(attacks) == len(of_kind(units.units, AttackUnit)) and attacks.keys() == expected.keys()
    for made, rows in attacks.items():
        same(rows, expected[made])
    tuned = [item["name"] for item in grid["attacks"] if "tune" in item]
    asked = [
        (as_surrogate(item.surrogate), item.attack.attack.name)
        for unit in of_kind(units.units, TuneUnit)
        for item in unit.tunings
    ]
    same(asked, set(product(surrogates, tuned)) - chosen.keys())
    for unit in of_kind(units.units, TuneUnit):  # an attack that looks at no surrogate is swept once a source
        names = {item.attack.attack.name for item in unit.tunings}
        assert names == {"box_blur"} if unit.free else len(unit.tunings) == 1 and names == {"fgsm"}


def made(seed: int) -> tuple[random.Random, Grid, Plan]:
    chance = random.Random(seed)
    grid = random_grid(chance)
    assume(surrogates_of(grid) and victims_of(grid))
    return chance, grid, build_plan(parse_grid(tomli_w.dumps(grid), "grid", CATALOGUE), CATALOGUE)


@given(st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_the_units_are_exactly_the_distinct_ones_needed(seed: int) -> None:
    chance, grid, plan = made(seed)
    check(outstanding(plan, EMPTY, CATALOGUE), grid, {})
    strengths = {"fgsm": (0.1, 0.3, None), "box_blur": (1.0, 2.0, None)}
    tunings = {key: chance.choice(strengths[item.attack.attack.name]) for key, item in plan.tunings.items()}
    named = {
        (as_surrogate(item.surrogate), item.attack.attack.name): tunings[key] for key, item in plan.tunings.items()
    }
    left = outstanding(plan, EMPTY._replace(tunings=tunings), CATALOGUE)
    check(left, grid, named)


@given(st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_what_is_stored_is_left_out_and_nothing_else(seed: int) -> None:
    chance, _, plan = made(seed)
    everything = outstanding(plan, EMPTY, CATALOGUE)

    def stored(values: set[Any]) -> frozenset[Any]:
        return frozenset(value for value in sorted(values) if chance.random() < 0.5)

    tests = {test for unit in of_kind(everything.units, AttackUnit) for row in unit.wanted for test in row.test_ids}
    clean = {(model.id, item.id(model.task)) for model in plan.models.values() for item in clean_sets(plan, model)}
    scored = stored(tests)
    index = EMPTY._replace(
        tests=Ids(scored), parts=stored(set(plan.parts)), models=stored(set(plan.models)), clean=stored(clean),
        keys=stored({unit.key for unit in of_kind(everything.units, ImagesUnit)}),
    )  # fmt: skip
    left = outstanding(plan, index, CATALOGUE).units
    same([unit.part.id for unit in of_kind(left, TrainUnit)], plan.parts.keys() - index.parts)
    same([unit.model.id for unit in of_kind(left, ModelUnit)], plan.models.keys() - index.models)
    missing = {pair for pair in clean - index.clean if pair[0] in index.models}
    same([(u.model.id, item.id(u.model.task)) for u in of_kind(left, CleanUnit) for item in u.clean], missing)
    same([t for u in of_kind(left, AttackUnit) for row in u.wanted for t in row.test_ids], tests - scored)
    images = {unit.key for unit in of_kind(everything.units, ImagesUnit)}
    same([unit.key for unit in of_kind(left, ImagesUnit)], images - index.keys)


@given(st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_what_a_unit_waits_for_is_what_its_models_are_made_of(seed: int) -> None:
    _, _, plan = made(seed)
    units = outstanding(plan, EMPTY, CATALOGUE).units
    trained = {as_training(unit.part): unit.key for unit in of_kind(units, TrainUnit)}
    for unit, task in zip(units, tasks_of(units, parts_of(plan)), strict=True):
        surrogate: tuple[ModelSpec, ...] = ()
        victims: tuple[ModelSpec, ...] = ()
        needs: set[tuple[Any, ...]] = set()
        if isinstance(unit, TrainUnit):
            own = as_training(unit.part)
            if own[4] == "swag":
                needs = {(*own[:4], "point", 0)}
            elif own[4] == "csgld" and own[5]:
                needs = {(*own[:5], own[5] - 1)}
        elif isinstance(unit, ModelUnit):
            surrogate = (unit.model,)
        elif isinstance(unit, AttackUnit):
            surrogate, victims = unit.base.surrogate.models if unit.base.surrogate else (), tuple(unit.victims.values())
        elif isinstance(unit, TuneUnit):
            surrogate = tuple(model for item in unit.tunings for model in item.surrogate.models)
        needs = needs.union(*(trainings_of(as_model(model)) for model in surrogate))
        wants = set[tuple[Any, ...]]().union(*(trainings_of(as_model(model)) for model in victims))
        assert set(task.needs) == {trained[name] for name in needs}
        assert set(task.wants) == {trained[name] for name in wants}
