"""The attacks and controls of a grid, resolved: parameters checked, strengths in range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dumb_bench.attacks.base import AttackInfo, check_strength
from dumb_bench.attacks.craft import budget_norm
from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError
from dumb_bench.grid import Choice, Grid, strength_of
from dumb_bench.spec import AttackSpec, Plugin


class Refused(NamedTuple):
    """A combination that the grid asks for and that cannot be: shown by `plan`, never run."""

    what: str
    reason: str


class PlannedAttack(NamedTuple):
    """An attack with its description, its strengths and the norm that bounds it."""

    spec: AttackSpec
    info: AttackInfo
    strengths: tuple[float | None, ...]
    norm: str | None


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
        InputError: an unknown parameter, or a strength out of the attack's range.
    """
    found: list[PlannedAttack] = []
    for number, entry in enumerate(grid.attacks):
        where = f"attacks[{number}]"
        plugin = resolved(f"{where}.params", "attacks", Choice(entry.name, tuple(entry.params.items())), catalogue)
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
            found.append(PlannedAttack(spec, info, tuple(sorted(strengths, key=lambda value: value or 0.0)), norm))
    return found


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
        wanted = strength_of(text) if text else None
    except ValueError as error:
        raise InputError(f"report.primary: {error}; write attack@strength, as in pgd@8/255") from None
    if not any(found == name and (strength == wanted or wanted is None) for found, strength in made):
        raise InputError(
            f"report.primary: {primary!r} is not made by this grid. Available: {', '.join(made.values())}."
        )
