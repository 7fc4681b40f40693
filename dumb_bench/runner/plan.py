"""From a grid to a plan: every model, set and test, deduplicated, before anything is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, NamedTuple

from dumb_bench.attacks.base import AttackInfo, check_strength
from dumb_bench.attacks.craft import budget_norm
from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.data import balance as balances_of
from dumb_bench.data.tasks import Task, task_named
from dumb_bench.errors import InputError
from dumb_bench.grid import Choice, Grid
from dumb_bench.recipes import resolve_recipe
from dumb_bench.spec import AttackSpec, ImagesSpec, ModelSpec, Plugin, SetSpec, SurrogateSpec

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


class Refused(NamedTuple):
    """A combination that the grid asks for and that cannot be: shown by `plan`, never run."""

    what: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that a grid asks for. Models by id; sets in the order in which they are made."""

    grid: Grid
    models: dict[str, ModelSpec]
    surrogates: dict[str, SurrogateSpec]
    victims: dict[str, ModelSpec]
    sets: tuple[PlannedSet, ...]
    image_sets: tuple[ImagesSpec, ...]
    deliveries: tuple[str, ...]
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


class _Attack(NamedTuple):
    spec: AttackSpec
    info: AttackInfo
    strengths: tuple[float | None, ...]
    norm: str | None


def build_plan(grid: Grid, catalogue: Catalogue, where: str = "grid", max_tests: int = MAX_TESTS) -> Plan:
    """Expand a grid.

    Raises:
        InputError: a parameter, strength, balance or task that a plugin does not allow, or a grid that is too large.
    """
    try:
        _check_size(grid, max_tests)
        attacks = _attacks(grid, catalogue)
        surrogates: dict[str, SurrogateSpec] = {}
        victims: dict[str, ModelSpec] = {}
        refused: list[Refused] = []
        sets: list[PlannedSet] = []
        images: dict[str, ImagesSpec] = {}
        for name in grid.task:
            task = task_named(name)
            own = list({item.id: item for item in _surrogates(grid, task, catalogue)}.values())
            theirs = list({item.id: item for item in _victims(grid, task, catalogue)}.values())
            surrogates |= {item.id: item for item in own}
            victims |= {item.id: item for item in theirs}
            usable = list(_usable(task, attacks, refused))
            planned = list(_sets(grid, task, own, theirs, usable, catalogue))
            sets += planned
            images |= {repr(item.spec.images): item.spec.images for item in planned}
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    models = {model.id: model for item in surrogates.values() for model in item.models} | victims
    deliveries = tuple(sorted(grid.images.deliveries))
    for delivery in deliveries:
        catalogue.get("deliveries", delivery)
    plan = Plan(grid, models, surrogates, victims, tuple(sets), tuple(images.values()), deliveries, tuple(refused))
    total = plan.counts["tests"] + plan.counts["control_tests"]
    if total > max_tests:
        raise InputError(
            f"{where}: asks for {total:,} tests, more than {max_tests:,}; shorten an axis or raise --max-tests"
        )
    return plan


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
        return [_resolved(f"{role}.{axis}", kind, choice, catalogue) for choice in choices]

    balances = []
    for balance in grid.axis(role, "balance"):
        try:
            balances_of.parse(balance, len(task.classes))
        except InputError as error:
            raise InputError(f"models.balance: {error}") from None
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


def _resolved(where: str, kind: str, choice: Choice, catalogue: Catalogue) -> Plugin:
    try:
        return catalogue.resolve(kind, choice.name, dict(choice.params))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _attacks(grid: Grid, catalogue: Catalogue) -> list[_Attack]:
    found: list[_Attack] = []
    for number, entry in enumerate(grid.attacks):
        where = f"attacks[{number}]"
        plugin = _resolved(f"{where}.params", "attacks", Choice(entry.name, tuple(entry.params.items())), catalogue)
        loaded = catalogue.get("attacks", entry.name)
        info: AttackInfo = loaded.info
        default: tuple[float | None, ...] = info.default_strengths if info.strength else (None,)
        strengths = tuple(entry.strength) if entry.strength is not None else default
        for strength in strengths:
            try:
                check_strength(entry.name, info, strength)
            except InputError as error:
                raise InputError(f"{where}.strength: {error}") from None
        norm = budget_norm(info, all_params(loaded, plugin.as_dict()))
        for seed in entry.attack_seed:
            spec = AttackSpec(plugin, chunk=entry.chunk, seed=seed)
            if any(spec == other.spec for other in found):
                raise InputError(
                    f"{where}.name: {entry.name!r} is given twice with the same parameters; "
                    "list its strengths in one entry"
                )
            found.append(_Attack(spec, info, tuple(sorted(strengths, key=lambda value: value or 0.0)), norm))
    return found


def _usable(task: Task, attacks: Iterable[_Attack], refused: list[Refused]) -> Iterator[_Attack]:
    for item in attacks:
        name = item.spec.attack.label
        if item.info.min_channels > task.image_shape[0]:
            refused.append(
                Refused(
                    f"attack {name}, task {task.name}",
                    f"needs {item.info.min_channels} channels, the task's images have {task.image_shape[0]}",
                )
            )
        elif item.info.min_classes > len(task.classes):
            refused.append(
                Refused(
                    f"attack {name}, task {task.name}",
                    f"needs {item.info.min_classes} classes, the task has {len(task.classes)}",
                )
            )
        else:
            yield item


def _controls(attacks: Iterable[_Attack], catalogue: Catalogue) -> list[_Attack]:
    """Return `identity`, and `sign_noise` at every (norm, strength) of the budgeted attacks."""
    used: dict[str, set[float]] = {}
    for item in attacks:
        if item.norm is not None:
            used.setdefault(item.norm, set()).update(value for value in item.strengths if value)
    identity = catalogue.get("attacks", "identity")
    controls = [_Attack(AttackSpec(catalogue.resolve("attacks", "identity", {})), identity.info, (0.0,), "linf")]
    noise = catalogue.get("attacks", "sign_noise")
    for norm, strengths in sorted(used.items()):
        if strengths:
            plugin = catalogue.resolve("attacks", "sign_noise", {"norm": norm})
            controls.append(_Attack(AttackSpec(plugin), noise.info, tuple(sorted(strengths)), norm))
    return controls


def _sets(
    grid: Grid,
    task: Task,
    surrogates: list[SurrogateSpec],
    victims: list[ModelSpec],
    attacks: list[_Attack],
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
        for item in [*_controls(attacks, catalogue), *(each for each in attacks if each.info.uses == "nothing")]:
            yield PlannedSet(SetSpec(None, item.spec, images), item.strengths, facing, everyone)
        for item in attacks:
            if item.info.uses == "nothing":
                continue
            for surrogate in holders:
                spec = SetSpec(surrogate, item.spec, images)
                yield PlannedSet(spec, item.strengths, facing, (surrogate.id,))
                swapped = dataclasses.replace(spec, control="delta_swap")
                yield PlannedSet(swapped, item.strengths, facing, (surrogate.id,))
