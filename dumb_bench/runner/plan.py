"""From a grid to a plan: every model, set and test, deduplicated, before anything is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from dumb_bench.catalogue import Catalogue
from dumb_bench.data import balance as balances_of
from dumb_bench.data.images import attacked_images
from dumb_bench.data.tasks import Task, task_named
from dumb_bench.errors import InputError
from dumb_bench.grid import Choice, Grid
from dumb_bench.models.training import training_images
from dumb_bench.recipes import resolve_recipe
from dumb_bench.runner.plan_attacks import (
    PlannedAttack,
    Refused,
    attacks_of,
    check_primary,
    controls_of,
    resolved,
    usable,
)
from dumb_bench.spec import ImagesSpec, ModelSpec, Plugin, SetSpec, SurrogateSpec

MAX_TESTS = 5_000_000
MAX_MODELS = 100_000


@dataclass(frozen=True)
class PlannedSet:
    """An adversarial set with its strengths, its victims, and the surrogates whose rows it gives."""

    spec: SetSpec
    strengths: tuple[float | None, ...]
    victims: tuple[str, ...]
    surrogates: tuple[str, ...]

    @property
    def control(self) -> bool:
        """Whether it is one of the three controls."""
        return self.spec.attack_name in ("identity", "sign_noise", "delta_swap")


@dataclass(frozen=True)
class Plan:
    """All that a grid asks for. Models by id; sets in the order in which they are made."""

    grid: Grid
    models: dict[str, ModelSpec]
    surrogates: dict[str, SurrogateSpec]
    victims: dict[str, ModelSpec]
    sets: tuple[PlannedSet, ...]
    image_sets: tuple[ImagesSpec, ...]
    deliveries: tuple[Plugin, ...]
    refused: tuple[Refused, ...] = field(default=())

    def clean_sources(self, task: str) -> tuple[Plugin, ...]:
        """Return the sources on whose test images every model of a task is evaluated clean."""
        return tuple(item.source for item in self.image_sets if item.task == task)

    def rows(self, item: PlannedSet) -> int:
        """Return the number of `tests` rows of a set."""
        return len(item.strengths) * len(self.deliveries) * len(item.victims) * len(item.surrogates)

    @property
    def counts(self) -> dict[str, int]:
        """The counts that `plan` prints; `tests` and `control_tests` together are the rows of the table `tests`."""
        return {
            "models": len(self.models),
            "surrogates": len(self.surrogates),
            "victims": len(self.victims),
            "adversarial_sets": sum(len(item.strengths) for item in self.sets),
            "tests": sum(self.rows(item) for item in self.sets if not item.control),
            "control_tests": sum(self.rows(item) for item in self.sets if item.control),
        }


def build_plan(grid: Grid, catalogue: Catalogue, where: str = "grid", max_tests: int = MAX_TESTS) -> Plan:
    """Expand a grid.

    Raises:
        InputError: a parameter, strength, balance or task that a plugin does not allow, or a grid that is too large.
    """
    try:
        _check_size(grid, max_tests)
        attacks = attacks_of(grid, catalogue)
        check_primary(grid, attacks)
        surrogates: dict[str, SurrogateSpec] = {}
        victims: dict[str, ModelSpec] = {}
        refused: list[Refused] = []
        sets: list[PlannedSet] = []
        images: dict[str, ImagesSpec] = {}
        for name in grid.task:
            task = task_named(name, catalogue)
            own = list({item.id: item for item in _surrogates(grid, task, catalogue)}.values())
            theirs = list({item.id: item for item in _victims(grid, task, catalogue)}.values())
            surrogates |= {item.id: item for item in own}
            victims |= {item.id: item for item in theirs}
            allowed = list(usable(task, attacks, refused))
            planned = list(_sets(grid, task, own, theirs, allowed, catalogue))
            sets += planned
            own_images = {repr(item.spec.images): item.spec.images for item in planned}
            for asked in own_images.values():
                attacked_images(catalogue, asked)
            images |= own_images
            _check_training(own, theirs, catalogue)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    models = {model.id: model for item in surrogates.values() for model in item.models} | victims
    deliveries = tuple(catalogue.resolve("deliveries", name, {}) for name in sorted(grid.images.deliveries))
    plan = Plan(grid, models, surrogates, victims, tuple(sets), tuple(images.values()), deliveries, tuple(refused))
    total = plan.counts["tests"] + plan.counts["control_tests"]
    if total > max_tests:
        raise InputError(
            f"{where}: asks for {total:,} tests, more than {max_tests:,}; shorten an axis or raise --max-tests"
        )
    return plan


def _check_training(surrogates: list[SurrogateSpec], victims: list[ModelSpec], catalogue: Catalogue) -> None:
    """See that every source has the images that every balance needs."""
    models = [model for surrogate in surrogates for model in surrogate.models] + victims
    distinct = {(model.source, model.subset, model.balance): model for model in models}
    for (source, _, balance), model in distinct.items():
        try:
            training_images(model, catalogue)
        except InputError as error:
            raise InputError(f"models: source {source.label!r} at balance {balance!r}: {error}") from None


def _check_size(grid: Grid, max_tests: int) -> None:
    """Refuse a huge product before it is expanded."""
    sizes = []
    roles: tuple[Literal["surrogates", "victims"], ...] = ("surrogates", "victims")
    for role in roles:
        size = len(grid.task)
        for axis in ("source", "subset", "architecture", "init", "balance", "defence", "posterior", "recipe", "seed"):
            size *= len(grid.axis(role, axis))
        sizes.append(size)
        if size > MAX_MODELS:
            raise InputError(
                f"models: the product of the {role}' axes is {size:,} models, more than {MAX_MODELS:,}; shorten an axis"
            )
    strengths = sum(len(entry.strength or [0.0]) * len(entry.attack_seed) for entry in grid.attacks)
    least = sizes[0] * sizes[1] * strengths * len(grid.images.deliveries) // len(grid.task)
    if least > max_tests:
        raise InputError(
            f"asks for at least {least:,} tests, more than {max_tests:,}; shorten an axis or raise --max-tests"
        )


def _models(
    grid: Grid,
    role: Literal["surrogates", "victims"],
    task: Task,
    catalogue: Catalogue,
    architectures: Iterable[Choice],
) -> Iterator[ModelSpec]:
    def plugins(kind: str, axis: str, choices: Iterable[Choice]) -> list[Plugin]:
        return [resolved(f"{role}.{axis}", kind, choice, catalogue) for choice in choices]

    balances = []
    for balance in grid.axis(role, "balance"):
        try:
            balances_of.parse(balance, len(task.classes))
        except InputError as error:
            where = role if getattr(grid, role).balance is not None else "models"
            raise InputError(f"{where}.balance: {error}") from None
        balances.append(balance)
    sources = plugins("sources", "source", grid.axis(role, "source"))
    for source in sources:
        offered = catalogue.get("sources", source.name).info.tasks
        if task.name not in offered:
            raise InputError(
                f"{role}.source: {source.name!r} does not offer the task {task.name!r}, only {', '.join(offered)}"
            )
    recipes = []
    for choice in grid.axis(role, "recipe"):
        try:
            recipes.append(resolve_recipe(choice.name, dict(choice.params)))
        except InputError as error:
            raise InputError(f"training.recipe: {error}") from None
    axes = product(
        sources,
        grid.axis(role, "subset"),
        plugins("architectures", "architecture", architectures),
        grid.axis(role, "init"),
        balances,
        plugins("defences", "defence", grid.axis(role, "defence")),
        plugins("posteriors", "posterior", grid.axis(role, "posterior")),
        recipes,
        grid.axis(role, "seed"),
    )
    for source, subset, architecture, init, balance, defence, posterior, recipe, seed in axes:
        yield ModelSpec(
            task=task.name, source=source, architecture=architecture, balance=balance, recipe=recipe, seed=seed,
            subset=subset, init=init, balance_mode=grid.training.balance_mode, defence=defence, posterior=posterior,
        )  # fmt: skip


def _victims(grid: Grid, task: Task, catalogue: Catalogue) -> Iterator[ModelSpec]:
    yield from _models(grid, "victims", task, catalogue, grid.axis("victims", "architecture"))


def _surrogates(grid: Grid, task: Task, catalogue: Catalogue) -> Iterator[SurrogateSpec]:
    """An architecture `"a+b"` is an ensemble of one model of each, alike in all else."""
    for choice in grid.axis("surrogates", "architecture"):
        names = choice.name.split("+")
        if len(names) > 1 and choice.params:
            raise InputError(f"surrogates.architecture: {choice.name!r} is an ensemble and takes no parameters")
        if len(set(names)) < len(names):
            raise InputError(
                f"surrogates.architecture: {choice.name!r} names an architecture twice; use seeds for that"
            )
        members = [choice._replace(name=name) for name in names]
        columns = [list(_models(grid, "surrogates", task, catalogue, [member])) for member in members]
        for models in zip(*columns, strict=True):
            for aggregation in grid.surrogates.aggregation:
                if aggregation != "mean_logits":
                    raise InputError(f"surrogates.aggregation: expected 'mean_logits', got {aggregation!r}")
                yield SurrogateSpec(models, aggregation)


def _sets(
    grid: Grid,
    task: Task,
    surrogates: list[SurrogateSpec],
    victims: list[ModelSpec],
    attacks: list[PlannedAttack],
    catalogue: Catalogue,
) -> Iterator[PlannedSet]:
    rule = grid.images.source
    sources: dict[Plugin, None] = {}
    for surrogate in surrogates:
        if rule != "victim":
            sources |= {model.source: None for model in surrogate.models}
    if rule != "surrogate":
        sources |= {victim.source: None for victim in victims}
    for source in sources:
        images = ImagesSpec(task.name, source, grid.images.per_class)
        facing = tuple(victim.id for victim in victims if rule != "victim" or victim.source == source)
        holders = [
            item for item in surrogates if rule != "surrogate" or any(model.source == source for model in item.models)
        ]
        if not facing or not holders:
            continue
        everyone = tuple(item.id for item in holders)
        for item in [*controls_of(attacks, catalogue), *(each for each in attacks if each.info.uses == "nothing")]:
            yield PlannedSet(SetSpec(None, item.spec, images), item.strengths, facing, everyone)
        for item in attacks:
            if item.info.uses == "nothing":
                continue
            for surrogate in holders:
                spec = SetSpec(surrogate, item.spec, images)
                yield PlannedSet(spec, item.strengths, facing, (surrogate.id,))
                swapped = dataclasses.replace(spec, control="delta_swap")
                yield PlannedSet(swapped, item.strengths, facing, (surrogate.id,))
