"""The attacks and controls of a grid, resolved: parameters checked, strengths in range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dumb_bench.attacks.base import AttackInfo, check_strength
from dumb_bench.attacks.craft import budget_norm
from dumb_bench.attacks.features import NO_LAYER, feature_layers
from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.data.images import check_attacked, class_counts
from dumb_bench.data.tasks import Task, task_named
from dumb_bench.errors import InputError
from dumb_bench.grid import AttackEntry, Choice, Grid, strength_of
from dumb_bench.models.networks import fresh_network
from dumb_bench.runner.plan_steps import recorded_steps
from dumb_bench.spec import UNKNOWN, AttackSpec, ImagesSpec, Plugin, SurrogateSpec, TuneSpec


class Refused(NamedTuple):
    """A combination that the grid asks for and that cannot be: shown by `plan`, never run."""

    what: str
    reason: str


class PlannedAttack(NamedTuple):
    """An attack with its description, its strengths and the norm that bounds it.

    strengths: those of the grid, maybe none. tune: how one more is chosen for each surrogate. tune_images: images a
    class for that, None for the default. steps: after which the images are scored too.
    """

    spec: AttackSpec
    info: AttackInfo
    strengths: tuple[float | None, ...]
    norm: str | None
    tune: TuneSpec | None = None
    tune_images: int | None = None
    steps: tuple[int, ...] = ()


def resolved(where: str, kind: str, choice: Choice, catalogue: Catalogue) -> Plugin:
    """Return a grid's choice as a plugin spec.

    Raises:
        InputError: names the place in the grid.
    """
    try:
        return catalogue.resolve(kind, choice.name, dict(choice.params))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def attacks_of(grid: Grid, catalogue: Catalogue) -> list[PlannedAttack]:
    """Return the attacks of a grid, one entry for each seed.

    Raises:
        InputError: an unknown parameter, a strength out of the attack's range, or steps that cannot be recorded.
    """
    found: list[PlannedAttack] = []
    for number, entry in enumerate(grid.attacks):
        where = f"attacks[{number}]"
        try:
            catalogue.get("attacks", entry.name)
        except InputError as error:
            raise InputError(f"{where}.name: {error}") from None
        plugin = resolved(f"{where}.params", "attacks", Choice(entry.name, tuple(entry.params.items())), catalogue)
        loaded = catalogue.get("attacks", entry.name)
        info: AttackInfo = loaded.info
        norm = budget_norm(info, all_params(loaded, plugin.as_dict()))
        strengths = _strengths(entry, info, norm, where)
        tune = _tune(entry, info, norm, where)
        steps = recorded_steps(entry, plugin, catalogue, where)
        if entry.targeted and not info.targeted:
            raise InputError(f"{where}.targeted: attack {entry.name!r} has no targeted form")
        for seed in entry.attack_seed:
            spec = AttackSpec(plugin, targeted=entry.targeted, chunk=entry.chunk, seed=seed)
            if any(spec == other.spec for other in found):
                raise InputError(
                    f"{where}.name: {entry.name!r} is given twice with the same parameters; "
                    "list its strengths in one entry"
                )
            images = entry.tune.per_class if entry.tune else None
            found.append(PlannedAttack(spec, info, strengths, norm, tune, images, steps))
    return found


def _strengths(entry: AttackEntry, info: AttackInfo, norm: str | None, where: str) -> tuple[float | None, ...]:
    """Return the fixed strengths of an attack, rising."""
    default: tuple[float | None, ...] = info.default_strengths if info.strength else (None,)
    if entry.strength is None and entry.tune is not None:
        return ()
    if entry.strength is None and norm != info.norm:
        raise InputError(f"{where}.strength: missing; with norm {norm!r} there is no default, name strengths in {norm}")
    strengths = tuple(entry.strength) if entry.strength is not None else default
    _check(entry, info, norm, strengths, f"{where}.strength")
    return tuple(sorted(strengths, key=lambda value: value or 0.0))


def _check(
    entry: AttackEntry, info: AttackInfo, norm: str | None, strengths: Iterable[float | None], where: str
) -> None:
    for strength in strengths:
        try:
            check_strength(entry.name, info, strength, norm)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def _tune(entry: AttackEntry, info: AttackInfo, norm: str | None, where: str) -> TuneSpec | None:
    """Return how an attack's strength is chosen; None where the grid does not ask for it."""
    if entry.tune is None:
        return None
    if info.strength is None:
        raise InputError(f"{where}.tune: attack {entry.name!r} has no strength to choose")
    over = entry.tune.over or (list(info.default_strengths) if norm == info.norm else [])
    if len(over) < 2:
        raise InputError(f'{where}.tune.over: missing; name the strengths to choose from, as in "0.01:0.30:0.01"')
    _check(entry, info, norm, over, f"{where}.tune.over")
    return TuneSpec(tuple(sorted(over)), entry.tune.ssim, entry.tune.search, entry.tune.reference)


def tuning_images(surrogate: SurrogateSpec, per_class: int | None, catalogue: Catalogue) -> ImagesSpec:
    """Return the images a strength is chosen on: of the tuning split of the surrogate's own source.

    per_class: None for as many as the smallest class has, at most 150 (Alecci et al., RAID 2023).

    Raises:
        InputError: the split has fewer.
    """
    source = surrogate.models[0].source
    if source.name == UNKNOWN:
        raise InputError(
            "attacks.tune: a strength is chosen on images of the surrogate's source; state that of the checkpoint"
        )
    if per_class is None:
        per_class = min(MOST_TUNING_IMAGES, *class_counts(catalogue, surrogate.task, source, "tuning"))
    images = ImagesSpec(surrogate.task, source, per_class, "tuning")
    try:
        check_attacked(catalogue, images)
    except InputError as error:
        raise InputError(f"attacks.tune: {error}") from None
    return images


MOST_TUNING_IMAGES = 150


def tuned_noise(norm: str, catalogue: Catalogue) -> AttackSpec:
    """Return the control `sign_noise` in a norm: at the strengths that are chosen, they will be its strengths too."""
    return AttackSpec(catalogue.resolve("attacks", "sign_noise", {"norm": norm}))


def with_features(
    item: PlannedAttack, surrogates: Iterable[SurrogateSpec], catalogue: Catalogue, refused: list[Refused]
) -> Iterator[SurrogateSpec]:
    """Yield the surrogates that an attack on features can use; the others go to `refused` with the reason."""
    known: dict[tuple[str, Plugin], bool] = {}
    for surrogate in surrogates:
        lacking = None
        for model in surrogate.models if item.info.uses == "features" else ():
            key = (model.task, model.architecture)
            if key not in known:
                network = fresh_network(model, catalogue, seed=0).eval()
                known[key] = bool(feature_layers(network, task_named(model.task, catalogue).image_shape))
            lacking = lacking if known[key] else model.architecture.label
        if lacking is None:
            yield surrogate
        else:
            what = Refused(
                f"attack {item.spec.attack.label}, surrogate {lacking}",
                NO_LAYER,
            )
            if what not in refused:
                refused.append(what)


def usable(task: Task, attacks: Iterable[PlannedAttack], refused: list[Refused]) -> Iterator[PlannedAttack]:
    """Yield the attacks that a task's images and classes allow; the others go to `refused`."""
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


def controls_of(attacks: Iterable[PlannedAttack], catalogue: Catalogue) -> list[PlannedAttack]:
    """Return `identity`, and `sign_noise` at every (norm, strength) of the budgeted attacks."""
    used: dict[str, set[float]] = {}
    for item in attacks:
        if item.norm is not None:
            used.setdefault(item.norm, set()).update(value for value in item.strengths if value)
    identity = catalogue.get("attacks", "identity")
    controls = [PlannedAttack(AttackSpec(catalogue.resolve("attacks", "identity", {})), identity.info, (0.0,), "linf")]
    noise = catalogue.get("attacks", "sign_noise")
    for norm, strengths in sorted(used.items()):
        if strengths:
            plugin = catalogue.resolve("attacks", "sign_noise", {"norm": norm})
            controls.append(PlannedAttack(AttackSpec(plugin), noise.info, tuple(sorted(strengths)), norm))
    return controls


def check_primary(grid: Grid, attacks: Iterable[PlannedAttack]) -> None:
    """Check that the declared contrast is one of the grid's.

    Raises:
        InputError: it is not written `attack@strength`, or the grid does not make it.
    """
    primary = grid.report.primary
    if primary is None:
        return
    name, _, text = primary.partition("@")
    made = {
        (item.spec.attack.name, strength): f"{item.spec.attack.name}@{'' if strength is None else f'{strength:g}'}"
        for item in attacks
        for strength in item.strengths
    }
    try:
        wanted = strength_of(text) if text not in ("", "tuned") else None
    except ValueError as error:
        raise InputError(f"report.primary: {error}; write attack@strength, as in pgd@8/255") from None
    if text == "tuned" and any(item.spec.attack.name == name and item.tune is not None for item in attacks):
        return
    if not any(found == name and (strength == wanted or wanted is None) for found, strength in made):
        raise InputError(
            f"report.primary: {primary!r} is not made by this grid. Available: {', '.join(made.values())}."
        )
