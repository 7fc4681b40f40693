"""What a grid asks for as plain data: which models, which sets, which victims. Read once, before any clock runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from dumb_bench.attacks.craft import budget_norm
from dumb_bench.catalogue import Catalogue, Entry, all_params
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import InputError
from dumb_bench.grid_file import read_grid
from dumb_bench.recipes import Recipe, recipe_of
from dumb_bench.runner.attack_unit import seed_key_of
from dumb_bench.runner.plan import Plan, PlannedSet, build_plan
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import NONE, POINT, AttackSpec, ImagesSpec, ModelSpec, SetSpec, TuneSpec


class Model(NamedTuple):
    """One network to train. build: its architecture, with weights from PyTorch's global generator."""

    spec: ModelSpec
    build: Callable[[], nn.Module]
    recipe: Recipe

    def seed(self, purpose: str) -> int:
        """Return the seed of a purpose, as the harness derives it."""
        return derive_seed(*self.spec.training_key, 0, purpose)


class AdversarialSet(NamedTuple):
    """One attack on one surrogate and image source.

    surrogate: "" for an attack that looks at none. strengths: each with the forms asked for, `` and `delta_swap`.
    numerics: `exact` or `fast`.
    """

    surrogate: str
    attack: AttackSpec
    images: ImagesSpec
    strengths: Mapping[float | None, tuple[str, ...]]
    victims: tuple[str, ...]
    numerics: str


class Tuning(NamedTuple):
    """The choice of a strength for one surrogate, and the images it is made on."""

    surrogate: str
    attack: AttackSpec
    tune: TuneSpec
    images: ImagesSpec


@dataclass(frozen=True)
class Study:
    """A grid as plain data."""

    task: str
    classes: int
    shape: tuple[int, int, int]
    catalogue: Catalogue
    models: Mapping[str, Model]
    image_sets: tuple[ImagesSpec, ...]
    sets: tuple[AdversarialSet, ...]
    tunings: tuple[Tuning, ...]
    deliveries: tuple[str, ...]
    fast: bool

    def attack(self, spec: AttackSpec) -> tuple[Entry, dict[str, Any]]:
        """Return an attack's plugin and all its parameters."""
        entry = self.catalogue.get("attacks", spec.attack.name)
        return entry, all_params(entry, spec.attack.as_dict())

    def norm(self, spec: AttackSpec) -> str | None:
        """Return the norm that bounds an attack."""
        entry, settings = self.attack(spec)
        return budget_norm(entry.info, settings)

    def seed_key(self, surrogate: str, spec: AttackSpec, images: ImagesSpec) -> tuple[str | int, ...]:
        """Return what the seeds of a set derive from."""
        _, settings = self.attack(spec)
        name, _, *rest = seed_key_of(None, spec, images, settings)
        return (name, surrogate, *rest)

    def uses_surrogate(self, spec: AttackSpec) -> bool:
        """Whether an attack looks at a surrogate."""
        entry, _ = self.attack(spec)
        return bool(entry.info.uses != "nothing")


def read_study(path: Path, catalogue: Catalogue) -> Study:
    """Read a grid as a study.

    Raises:
        InputError: the grid is bad, or asks for what the loops beside the harness do not do.
    """
    plan = build_plan(read_grid(path, catalogue)[0], catalogue, str(path))
    _check(plan, path)
    (task,) = (task_named(name, catalogue) for name in {spec.task for spec in plan.models.values()})
    found = {}
    for key, spec in plan.models.items():
        entry = catalogue.get("architectures", spec.architecture.name)
        build = _building(entry, len(task.classes), task.image_shape, spec.architecture.as_dict())
        found[key] = Model(spec, build, recipe_of(spec.recipe))
    tunings = tuple(Tuning(item.surrogate.id, item.attack, item.tune, item.images) for item in plan.tunings.values())
    sets = _merged(plan.sets)
    return Study(
        task.name, len(task.classes), task.image_shape, catalogue, found, plan.image_sets, sets, tunings,
        tuple(item.name for item in plan.deliveries), any(item.numerics == "fast" for item in sets),
    )  # fmt: skip


def _building(entry: Entry, classes: int, shape: tuple[int, int, int], params: dict[str, Any]) -> Callable[[], Any]:
    return lambda: entry.call(classes, shape, **params)


def _merged(planned: tuple[PlannedSet, ...]) -> tuple[AdversarialSet, ...]:
    """Return the sets at fixed strengths, a control beside the attack whose perturbations it swaps."""
    strengths: dict[str, dict[float | None, tuple[str, ...]]] = {}
    bases: dict[str, tuple[SetSpec, tuple[str, ...]]] = {}
    for item in planned:
        if item.tunings:
            continue
        base = item.spec.base
        bases[base.id] = (base, item.victims)
        at = strengths.setdefault(base.id, {})
        for strength in item.strengths:
            at[strength] = (*at.get(strength, ()), item.spec.control)
    found = []
    for key, (base, victims) in bases.items():
        owner = base.surrogate.id if base.surrogate else ""
        found.append(AdversarialSet(owner, base.attack, base.images, strengths[key], victims, base.numerics))
    return tuple(found)


def _check(plan: Plan, path: Path) -> None:
    """Refuse what the plain loops do not do, rather than measure something else."""
    reasons = []
    if len(plan.grid.task) != 1:
        reasons.append("several tasks")
    for model in plan.models.values():
        recipe = recipe_of(model.recipe)
        plain = model.posterior == POINT and model.defence == NONE and model.init == "random" and not model.checkpoint
        if not plain or (recipe.optimiser, recipe.augment, recipe.trainable) != ("adam", "none", "all"):
            reasons.append(f"model {model.architecture.label} ({model.posterior.label}, {model.recipe.label})")
    reasons += [f"surrogate {key}" for key in plan.surrogates if key not in plan.models]
    reasons += [
        f"attack {item.spec.attack.attack.name}" for item in plan.sets if item.steps or item.spec.attack.targeted
    ]
    if reasons:
        raise InputError(f"{path}: the loops beside the harness do no {reasons[0]}; choose another study")
