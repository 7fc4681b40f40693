"""From a grid to a plan: every model, set and test, deduplicated, before anything is computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.declared import planned_task
from dumb_bench.data.images import check_attacked
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError
from dumb_bench.grid import ROLES, Grid, SurrogateAxes
from dumb_bench.models.parts import Makeup, Part, makeup
from dumb_bench.runner.plan_attacks import (
    PlannedAttack,
    Refused,
    attacks_of,
    check_primary,
    controls_of,
    tuned_noise,
    tuning_images,
    usable,
    with_features,
)
from dumb_bench.runner.plan_checkpoints import bound
from dumb_bench.runner.plan_checks import check_external, check_networks, check_training, fits
from dumb_bench.runner.plan_models import sources_attacked, surrogates_of, victims_of
from dumb_bench.spec import UNKNOWN, ImagesSpec, ModelSpec, Plugin, SetSpec, SurrogateSpec, TuningSpec

MAX_TESTS = 5_000_000
MAX_MODELS = 100_000


@dataclass(frozen=True)
class PlannedSet:
    """An adversarial set with its strengths, its victims, and the surrogates whose rows it gives.

    tunings: where the strength is chosen for each surrogate, the choices' ids beside `surrogates`; then `strengths` are
    those it is chosen from, and each surrogate has the rows of one. steps: after which the images are scored too.
    """

    spec: SetSpec
    strengths: tuple[float | None, ...]
    victims: tuple[str, ...]
    surrogates: tuple[str, ...]
    tunings: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()

    @property
    def most(self) -> int:
        """The number of adversarial sets, one a strength; an upper bound where strengths are chosen."""
        return min(len(self.strengths), len(self.surrogates)) if self.tunings else len(self.strengths)

    def made(self, chosen: Mapping[str, float | None]) -> tuple[tuple[float | None, tuple[str, ...]], ...]:
        """Return the strengths to make, each with the surrogates whose rows it gives, as far as they are chosen."""
        if not self.tunings:
            return tuple((strength, self.surrogates) for strength in self.strengths)
        found: dict[float | None, list[str]] = {}
        for surrogate, tuning in zip(self.surrogates, self.tunings, strict=True):
            strength = chosen.get(tuning)
            if strength is not None:
                found.setdefault(strength, []).append(surrogate)
        return tuple((strength, tuple(holders)) for strength, holders in found.items())

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
    tunings: dict[str, TuningSpec] = field(default_factory=dict)
    makeups: dict[str, Makeup] = field(default_factory=dict)

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Everything that is trained, by id, each once, in an order in which what is needed comes first."""
        needed = (part for item in self.makeups.values() for part in item.needs)
        return {part.id: part for part in needed if not part.spec.checkpoint}

    @property
    def targeted(self) -> bool:
        """Whether an attack aims at a class."""
        return any(item.spec.attack.targeted for item in self.sets)

    def clean_sources(self, task: str) -> tuple[Plugin, ...]:
        """Return the sources on whose test images every model of a task is evaluated clean."""
        return tuple(item.source for item in self.image_sets if item.task == task)

    def rows(self, item: PlannedSet) -> int:
        """Return the number of `tests` rows of a set, without steps; an upper bound for noise of chosen strengths."""
        strengths = 1 if item.tunings else len(item.strengths)
        return strengths * len(self.deliveries) * len(item.victims) * len(item.surrogates)

    @property
    def counts(self) -> dict[str, int]:
        """The counts that `plan` prints; `tests`, `step_tests` and `control_tests` together are the table `tests`."""
        return {
            "models": len(self.models),
            "trainings": len(self.parts),
            "surrogates": len(self.surrogates),
            "victims": len(self.victims),
            "adversarial_sets": sum(item.most for item in self.sets),
            "tunings": len(self.tunings),
            "tests": sum(self.rows(item) for item in self.sets if not item.control),
            "control_tests": sum(self.rows(item) for item in self.sets if item.control),
            "step_tests": sum(self.rows(item) * len(item.steps) for item in self.sets),
        }

    @property
    def test_rows(self) -> int:
        """The rows of the table `tests`."""
        counts = self.counts
        return sum(counts[key] for key in ("tests", "step_tests", "control_tests"))


def build_plan(grid: Grid, catalogue: Catalogue, where: str = "grid", max_tests: int = MAX_TESTS) -> Plan:
    """Expand a grid.

    Raises:
        InputError: a parameter, strength, balance or task that a plugin does not allow, or a grid that is too large.
    """
    try:
        _check_size(grid, max_tests)
        grid = bound(grid, catalogue)
        attacks = attacks_of(grid, catalogue)
        check_primary(grid, attacks)
        surrogates: dict[str, SurrogateSpec] = {}
        victims: dict[str, ModelSpec] = {}
        refused: list[Refused] = []
        sets: list[PlannedSet] = []
        tunings: dict[str, TuningSpec] = {}
        images: dict[str, ImagesSpec] = {}
        for name in grid.task:
            task = planned_task(grid, name, catalogue)
            own = list({item.id: item for item in surrogates_of(grid, task, catalogue, refused)}.values())
            theirs = list({item.id: item for item in victims_of(grid, task, catalogue, refused)}.values())
            for role, left in (("surrogates", own), ("victims", theirs)):
                if not left:
                    reasons = "; ".join(f"{item.what}: {item.reason}" for item in refused[:3])
                    raise InputError(f"{role}: none is left for task {name!r} ({reasons})")
            surrogates |= {item.id: item for item in own}
            victims |= {item.id: item for item in theirs}
            allowed = list(usable(task, attacks, refused))
            planned = list(_sets(grid, task, own, theirs, allowed, catalogue, refused, tunings))
            sets += planned
            own_images = {repr(item.spec.images): item.spec.images for item in planned}
            for asked in own_images.values():
                check_attacked(catalogue, asked)
            images |= own_images
            check_training(own, theirs, catalogue)
            check_networks(own, theirs, catalogue)
        check_external(attacks, {item.spec.attack_name for item in sets}, refused)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    models = {model.id: model for item in surrogates.values() for model in item.models} | victims
    deliveries = tuple(catalogue.resolve("deliveries", name, {}) for name in sorted(grid.images.deliveries))
    makeups = {key: makeup(model, catalogue) for key, model in models.items()}
    plan = Plan(
        grid, models, surrogates, victims, tuple(sets), tuple(images.values()), deliveries, tuple(refused), tunings,
        makeups,
    )  # fmt: skip
    total = plan.test_rows
    if total > max_tests:
        raise InputError(
            f"{where}: asks for {total:,} tests, more than {max_tests:,}; shorten an axis or raise --max-tests"
        )
    return plan


_AXES = ("source", "subset", "architecture", "init", "balance", "defence", "posterior", "recipe", "seed")


def _check_size(grid: Grid, max_tests: int) -> None:
    """Refuse a huge product before it is expanded."""
    models = dict.fromkeys(ROLES, 0)
    surrogates = 0
    for role in ROLES:
        for block in grid.blocks(role):
            size = len(grid.task) * math.prod(len(grid.axis(block, axis)) for axis in _AXES if not block.checkpoint)
            size *= len(block.checkpoint or (0,))
            models[role] += size
            if isinstance(block, SurrogateAxes):
                surrogates += size * len(block.aggregation) * len(block.modifier)
        if models[role] > MAX_MODELS:
            raise InputError(
                f"models: the product of the {role}' axes is {models[role]:,} models, more than {MAX_MODELS:,}; "
                "shorten an axis"
            )
    strengths = sum(
        (len(entry.strength or [0.0]) * (1 + len(entry.record_steps or ())) + (entry.tune is not None))
        * len(entry.attack_seed)
        for entry in grid.attacks
    )
    least = surrogates * models["victims"] * strengths * len(grid.images.deliveries) // len(grid.task)
    if least > max_tests:
        raise InputError(
            f"asks for at least {least:,} tests, more than {max_tests:,}; shorten an axis or raise --max-tests"
        )


def _sets(
    grid: Grid,
    task: Task,
    surrogates: list[SurrogateSpec],
    victims: list[ModelSpec],
    attacks: list[PlannedAttack],
    catalogue: Catalogue,
    refused: list[Refused],
    tunings: dict[str, TuningSpec],
) -> Iterator[PlannedSet]:
    rule = grid.images.source

    def tuning(item: PlannedAttack, surrogate: SurrogateSpec) -> str:
        """Note that an attack's strength is chosen for a surrogate, on its own source; return the choice's id."""
        assert item.tune is not None
        own = tuning_images(surrogate, item.tune_images, catalogue)
        spec = TuningSpec(surrogate, item.spec, item.tune, own, grid.numerics)
        tunings[spec.id] = spec
        return spec.id

    for source in sources_attacked(grid, task, surrogates, victims, catalogue):
        own = (source, Plugin(UNKNOWN))
        images = ImagesSpec(task.name, source, grid.images.per_class)
        facing = tuple(victim.id for victim in victims if rule != "victim" or victim.source in own)
        holders = [
            item for item in surrogates if rule != "surrogate" or any(model.source in own for model in item.models)
        ]
        if not facing or not holders:
            continue
        everyone = tuple(item.id for item in holders)
        for item in [*controls_of(attacks, catalogue), *(each for each in attacks if each.info.uses == "nothing")]:
            if not fits(item, images, catalogue, refused):
                continue
            free = SetSpec(None, item.spec, images, numerics=grid.numerics)
            if item.strengths:
                yield PlannedSet(free, item.strengths, facing, everyone)
            if item.tune is not None:
                names = tuple(tuning(item, surrogate) for surrogate in holders)
                yield PlannedSet(free, item.tune.over, facing, everyone, names)
        for item in attacks:
            if item.info.uses == "nothing":
                continue
            able = list(with_features(item, holders, catalogue, refused))
            for surrogate in able:
                spec = SetSpec(surrogate, item.spec, images, numerics=grid.numerics)
                swapped = dataclasses.replace(spec, control="delta_swap")
                for each in (spec, swapped):
                    if item.strengths:
                        steps = () if each.control else item.steps
                        yield PlannedSet(each, item.strengths, facing, (surrogate.id,), steps=steps)
                    if item.tune is not None:
                        name = tuning(item, surrogate)
                        yield PlannedSet(each, item.tune.over, facing, (surrogate.id,), (name,))
            if item.tune is not None and item.norm is not None and able:
                names = tuple(tuning(item, surrogate) for surrogate in able)
                noise = SetSpec(None, tuned_noise(item.norm, catalogue), images, numerics=grid.numerics)
                yield PlannedSet(noise, item.tune.over, facing, tuple(each.id for each in able), names)
