"""What a grid keeps of its adversarial sets, and how a kept set spares crafting it again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from dumb_bench.attacks.craft import Crafted
from dumb_bench.catalogue import Catalogue
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import DamagedFileError
from dumb_bench.grid import CONTROLS
from dumb_bench.runner.plan import Plan
from dumb_bench.runner.units import AttackUnit, Unit, Wanted
from dumb_bench.store.kept import (
    get_whole,
    put_sample,
    put_whole,
    sample_name,
    sample_size,
    whole_name,
)
from dumb_bench.store.store import Store

RATIO = 0.6
"""Compressed bytes a byte of a whole set; 0.25 (one step of signs) to 0.7 (many steps) were measured."""

_NOTED = ("budget_violation", "box_violation", "budget_reached", "forwards", "backwards", "seconds")
"""Fields of `Crafted` that are kept beside the images, so that a row of a later delivery says the same."""

Form = str | int
"""Which images of a set at one strength: "" the attack's own, `delta_swap`, or those after a step."""


def form_of(item: Wanted) -> Form:
    """Return which images a row is about."""
    return item.set.control if item.step is None else item.step


def keep(
    choice: str, item: Wanted, crafted: Crafted, clean: Tensor, classes: int, store: Store, known: Collection[Form] = ()
) -> None:
    """Keep a set that was made, as a grid chose: `none`, `sample` or `all`. What is there already stays.

    clean: (N, C, H, W). classes: of the task. known: forms that were loaded, so that they are there.

    Raises:
        OSError: the store does not take it.
    """
    if choice == "none":
        return
    if choice == "all" and form_of(item) not in known:
        name = whole_name(item.set.id, item.strength, item.step)
        if not store.has_artifact(name):
            about = {key: getattr(crafted, key) for key in _NOTED}
            put_whole(store, name, crafted.images.cpu().numpy(), about)
    if item.step is None and item.set.attack_name not in CONTROLS:
        name = sample_name(item.set.id, item.strength)
        if not store.has_artifact(name):
            few = sample_size(len(clean), classes)
            put_sample(store, name, clean[:few].cpu().numpy(), crafted.images[:few].cpu().numpy())


def there(rows: Iterable[Wanted], expected: Collection[str], store: Store) -> bool:
    """Whether every set of these rows was made before (its attack id is expected) and kept as a whole."""
    return all(
        row.attack_id in expected and store.has_artifact(whole_name(row.set.id, row.strength, row.step)) for row in rows
    )


def load(
    rows: Iterable[Wanted], expected: dict[str, tuple[str, bool]], clean: Tensor, store: Store
) -> dict[Form, Crafted] | None:
    """Return the kept sets of rows of one strength; None where one is missing, damaged or another than was scored.

    What is damaged goes to the store's quarantine. expected: attack id -> the sha256 of the set that was scored, and
    whether its row is stored. clean: (N, C, H, W), whose device the sets are put on.
    """
    found: dict[Form, Crafted] = {}
    for row in rows:
        if form_of(row) in found:
            continue
        name = whole_name(row.set.id, row.strength, row.step)
        try:
            kept = get_whole(store, name)
            if kept.sha256 != expected[row.attack_id][0] or kept.images.shape != tuple(clean.shape):
                raise DamagedFileError(f"kept set {name}", "is not the set that was scored")
            noted = {key: kept.about[key] for key in _NOTED}
        except (DamagedFileError, KeyError) as error:
            if store.has_artifact(name):
                store.drop_artifact(name, str(error))
            return None
        found[form_of(row)] = Crafted(torch.tensor(kept.images, device=clean.device), row.strength, **noted)
    return found


def spared(units: Iterable[Unit], store: Store) -> int:
    """Return how many sets that were made before (each strength is one) are loaded instead of crafted again."""
    number = 0
    for unit in units:
        if not isinstance(unit, AttackUnit) or not unit.expected:
            continue
        expected = {name for name, _, _ in unit.expected}
        for strength in {row.strength for row in unit.wanted}:
            rows = [row for row in unit.wanted if row.strength == strength]
            if there(rows, expected, store):
                number += len({row.set.id for row in rows})
    return number


class KeptSize(NamedTuple):
    """What keeping takes: sets (each strength and step is one) and bytes, about."""

    sets: int
    bytes: int


def kept_size(plan: Plan, catalogue: Catalogue) -> KeptSize:
    """Return what a plan keeps when every set of it is made."""
    choice = plan.grid.output.keep_adversarial
    sets = size = 0
    for item in plan.sets if choice != "none" else ():
        task = task_named(item.spec.images.task, catalogue)
        classes = len(task.classes)
        images = item.spec.images.per_class * classes
        pixels = torch.Size(task.image_shape).numel()
        if choice == "all":
            sets += item.most * (1 + len(item.steps))
            size += int(item.most * (1 + len(item.steps)) * images * pixels * 4 * RATIO)
        if not item.control:
            sets += item.most if choice == "sample" else 0
            size += 2 * item.most * sample_size(images, classes) * pixels
    return KeptSize(sets, size)
