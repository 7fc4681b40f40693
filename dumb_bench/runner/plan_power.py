"""What a plan can resolve: its surrogates and victims by cell, for `power`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.tasks import task_named
from dumb_bench.power import MODEL_SD, SLOPE_SD, Meeting, Smallest, smallest_effects
from dumb_bench.runner.plan import Plan
from dumb_bench.spec import UNKNOWN, ModelSpec, SurrogateSpec

Key = tuple[Any, ...]

_PLAIN = {"none", "point", "random", "all", "mean_logits"}
AXES = ("source", "architecture", "balance")


class _Cells(NamedTuple):
    """The models of one role and population: cell -> ids. A cell is one tuple of names for each of `AXES`."""

    population: Key
    cells: dict[Key, set[str]]

    @property
    def models(self) -> int:
        """How many there are."""
        return sum(map(len, self.cells.values()))


def smallest_of(plan: Plan, catalogue: Catalogue) -> dict[str, Smallest]:
    """Return the smallest effect of each axis that a plan can resolve, by axis; empty where no case is known.

    Of several populations (defences, posteriors, ...) the plainest is meant, which is the report's reference.
    """
    surrogates = _populations(_surrogate(item) for item in plan.surrogates.values())
    victims = _populations(_victim(item) for item in plan.victims.values())
    pairs = [(own, theirs) for own in surrogates for theirs in victims if own.population[0] == theirs.population[0]]
    if not pairs:
        return {}
    own, theirs = max(pairs, key=lambda pair: (_plainness(pair), pair[0].models * pair[1].models))
    return smallest_effects(_meeting(plan, own, theirs, catalogue))


def _populations(models: Any) -> list[_Cells]:
    found: dict[Key, _Cells] = {}
    for population, cell, name in models:
        if not any(UNKNOWN in names for names in cell):
            found.setdefault(population, _Cells(population, {})).cells.setdefault(cell, set()).add(name)
    return list(found.values())


def _fixed(model: ModelSpec) -> Key:
    labels = (model.defence.label, model.posterior.label, model.recipe.label)
    return (model.task, model.subset, model.init, model.balance_mode, model.samples, model.draw, *labels)


def _victim(model: ModelSpec) -> tuple[Key, Key, str]:
    return _fixed(model), ((model.source.label,), (model.architecture.label,), (model.balance,)), model.id


def _surrogate(item: SurrogateSpec) -> tuple[Key, Key, str]:
    columns = [(model.source.label, model.architecture.label, model.balance) for model in item.models]
    cell = tuple(tuple(dict.fromkeys(names)) for names in zip(*columns, strict=True))
    name = item.models[0].id if len(item.models) == 1 else item.id
    return (*_fixed(item.models[0]), item.aggregation, item.modifier.label), cell, name


def _plainness(pair: tuple[_Cells, _Cells]) -> int:
    return sum(value in _PLAIN for cells in pair for value in cells.population)


def _meeting(plan: Plan, own: _Cells, theirs: _Cells, catalogue: Catalogue) -> Meeting:
    differs = {axis: _differs([cell[n] for cell in own.cells], [cell[n] for cell in theirs.cells])
               for n, axis in enumerate(AXES)}  # fmt: skip
    shared = np.zeros((len(own.cells), len(theirs.cells)), dtype=np.int64)
    places = {cell: place for place, cell in enumerate(theirs.cells)}
    for row, (cell, names) in enumerate(own.cells.items()):
        if cell in places:
            shared[row, places[cell]] = len(names & theirs.cells[cell])
    task = own.population[0]
    images = [item.per_class for item in plan.image_sets if item.task == task]
    classes = len(task_named(task, catalogue).classes)
    scored = sum(images) if plan.grid.images.source == "all" else images[0]
    counts = [np.array([len(names) for names in role.cells.values()], dtype=np.int64) for role in (own, theirs)]
    return Meeting(counts[0], counts[1], differs, shared, scored * classes)


def _differs(own: list[Key], theirs: list[Key]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (K, L): no member of the surrogate agrees with the victim."""
    rows, columns = list(dict.fromkeys(own)), list(dict.fromkeys(theirs))
    known = np.array([[not set(one) & set(other) for other in columns] for one in rows])
    return known[np.ix_([rows.index(key) for key in own], [columns.index(key) for key in theirs])]


def described(found: dict[str, Smallest]) -> dict[str, Any]:
    """Return the smallest effects as JSON data: fractions, null where there is none."""
    return {
        axis: {"effect": item.effect if item.effect == item.effect else None, "reason": item.reason}
        for axis, item in found.items()
    }


def power_text(found: dict[str, Any]) -> str:
    """Return one line of `described`; empty where nothing is known."""
    if not found:
        return ""
    known = [f"{axis} {100 * item['effect']:.1f}" for axis, item in found.items() if item["effect"] is not None]
    none = [f"{axis} none" for axis, item in found.items() if item["effect"] is None]
    effects = ", ".join([*[f"{', '.join(known)} points"] * bool(known), *none])
    reasons = "; ".join(dict.fromkeys(item["reason"] for item in found.values() if item["reason"]))
    return (
        f"  smallest effect that this grid can resolve (80 % power, success near 1/2, models that differ by "
        f"{100 * MODEL_SD:.0f} points, in an effect by {100 * SLOPE_SD:.0f}): {effects}"
        + (f" ({reasons})" if reasons else "")
    )
