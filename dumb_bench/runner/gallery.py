"""Which kept samples go into a result folder: every attack once before any has a second set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.errors import DamagedFileError
from dumb_bench.grid import CONTROLS
from dumb_bench.runner.plan import Plan
from dumb_bench.runner.units import surrogate_label
from dumb_bench.store import gallery
from dumb_bench.store.assemble import Assembly
from dumb_bench.store.gallery import MAX_SETS, About, Shown
from dumb_bench.store.kept import get_sample, sample_name
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.store import Store

MAX_LOOKED = 20 * MAX_SETS
"""Sets that are looked for: in a grid whose sets were made before it kept any, none would be found."""


def write_gallery(folder: ResultFolder, store: Store, plan: Plan, made: Assembly) -> None:
    """Write `kept/` of a result folder from the store; remove it where the grid keeps nothing.

    Raises:
        OSError: the folder does not take a file.
    """
    keeps = plan.grid.output.keep_adversarial != "none"
    gallery.write(folder.place, list(_shown(store, plan, made)) if keeps else [])


def _shown(store: Store, plan: Plan, made: Assembly) -> Iterator[Shown]:
    attacks, images = made.table("attacks"), made.table("images")
    found = 0
    for place in _order(attacks, plan)[:MAX_LOOKED]:
        row = attacks.slice(place, 1).to_pylist()[0]
        name = sample_name(row["set_id"], row["strength"])
        if not store.has_artifact(name):
            continue
        try:
            sample = get_sample(store, name)
        except DamagedFileError as error:
            store.drop_artifact(name, str(error))
            continue
        yield Shown(_about(row, len(sample.clean), plan, images), *sample)
        found += 1
        if found == MAX_SETS:
            return


def _order(attacks: pa.Table, plan: Plan) -> list[int]:
    """Return the places of the rows to show, one a set and strength, under `uint8` if there is such a row.

    Each attack in turn, in the grid's order, its largest strength first.
    """
    asked = {item.spec.id: place for place, item in reversed(list(enumerate(plan.sets)))}
    written = {entry.name: place for place, entry in reversed(list(enumerate(plan.grid.attacks)))}
    columns = ("set_id", "attack", "attack_params", "strength", "step", "delivery")
    rows = attacks.select(columns).to_pylist()
    chosen: dict[tuple[str, float | None], int] = {}
    for place, row in enumerate(rows):
        if row["step"] is None and row["attack"] not in CONTROLS:
            key = (row["set_id"], row["strength"])
            if key not in chosen or row["delivery"] == "uint8":
                chosen[key] = place
    turns: dict[tuple[str, str], int] = {}
    ranked = []
    for place in sorted(chosen.values(), key=lambda place: _size(rows[place], asked)):
        attack = (rows[place]["attack"], rows[place]["attack_params"])
        turns[attack] = turns.get(attack, -1) + 1
        ranked.append((turns[attack], written[attack[0]], asked[rows[place]["set_id"]], place))
    return [place for *_, place in sorted(ranked)]


def _size(row: Mapping[str, Any], asked: Mapping[str, int]) -> tuple[float, int]:
    """Sort key within an attack: large strengths first, then in the order of the plan."""
    return (-(row["strength"] or 0.0), asked[row["set_id"]])


def _about(row: Mapping[str, Any], count: int, plan: Plan, images: pa.Table) -> About:
    mine = pc.and_(
        pc.equal(images.column("task"), row["task"]), pc.equal(images.column("image_source"), row["image_source"])
    )
    own = images.filter(mine).sort_by("index").slice(0, count)
    surrogate = plan.surrogates.get(row["surrogate_id"] or "")
    predictions = row["surrogate_predictions"]
    return About(
        attack=row["attack"],
        strength=row["strength"],
        unit=row["strength_unit"] or "",
        image_source=row["image_source"],
        task=row["task"],
        surrogate=surrogate_label(surrogate) if surrogate else "",
        delivery=row["delivery"],
        image_id=own.column("image_id").to_pylist(),
        label=own.column("label").to_pylist(),
        prediction=None if predictions is None else predictions[:count],
        linf=[float(value) for value in row["linf_delivered"][:count]],
        l2=[float(value) for value in row["l2_delivered"][:count]],
    )
