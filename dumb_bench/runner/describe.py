"""`dumb-bench plan`: counts, what is done, and a rough cost. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.images import unseen
from dumb_bench.errors import InputError
from dumb_bench.grid_file import read_grid
from dumb_bench.runner.estimate import estimate
from dumb_bench.runner.fetch import sources_of
from dumb_bench.runner.kept_sets import kept_size, spared
from dumb_bench.runner.outstanding import Index, outstanding, read_index
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.plan_power import described, power_text, smallest_of
from dumb_bench.store.ids import Ids
from dumb_bench.store.store import Store
from dumb_bench.wording import bytes_text, seconds_text

EMPTY = Index(frozenset(), Ids(), frozenset(), {}, frozenset(), frozenset(), frozenset(), {})


def describe_plan(path: Path, catalogue: Catalogue, store_of: Callable[[str], str], max_tests: int) -> dict[str, Any]:
    """Return the description of a grid's plan as JSON data."""
    grid, _ = read_grid(path, catalogue)
    plan = build_plan(grid, catalogue, str(path), max_tests)
    everything = outstanding(plan, EMPTY, catalogue)
    store = None
    try:
        store = Store.open(store_of(grid.name), create=False)
        index = read_index(store, plan.parts)
    except InputError:
        index = EMPTY
    left = everything if index is EMPTY else outstanding(plan, index, catalogue)
    loaded = spared(left.units, store) if store else 0
    cost, kept = estimate(plan, catalogue), kept_size(plan, catalogue)
    return {
        "name": grid.name,
        **plan.counts,
        "units": len(everything.units),
        "done": len(everything.units) - len(left.units),
        "tests_done": left.tests_done,
        "recrafted": left.recrafted - loaded,
        "loaded": loaded,
        "kept_sets": kept.sets,
        "open_tunings": left.open_tunings,
        "estimate": {
            "training": cost.training_seconds,
            "crafting": cost.crafting_seconds,
            "scoring": cost.scoring_seconds,
            "table_bytes": cost.table_bytes,
            "weight_bytes": cost.weight_bytes,
            "kept_bytes": kept.bytes,
        },
        "smallest_effect": described(smallest_of(plan, catalogue)),
        "refused": [item._asdict() for item in plan.refused],
        "not_here": [
            f"{source.label} of {task}" for task, source in sources_of(plan) if unseen(catalogue, task, source)
        ],
    }


def plan_text(found: dict[str, Any]) -> str:
    """Return the description of a plan as lines for people."""
    cost = found["estimate"]
    total = found["tests"] + found["step_tests"] + found["control_tests"]
    trained = f"; {found['trainings']:,} trainings" if found["trainings"] != found["models"] else ""
    roles = f"({found['surrogates']:,} surrogates, {found['victims']:,} victims{trained})"
    stages = ("training", "crafting", "scoring")
    parts = ", ".join(f"{seconds_text(cost[key])} {key}" for key in stages)
    disk = bytes_text(cost["table_bytes"] + cost["weight_bytes"] + cost["kept_bytes"])
    images = f", {bytes_text(cost['kept_bytes'])} of it adversarial images" if found["kept_sets"] else ""
    loaded = f"; {found['loaded']:,} more were kept and are loaded" if found["loaded"] else ""
    lines = [
        f"{found['name']}: {total:,} rows in tests = {found['tests']:,} tests + "
        + (f"{found['step_tests']:,} of intermediate steps + " if found["step_tests"] else "")
        + f"{found['control_tests']:,} of the controls",
        f"  models             {found['models']:>12,}   {roles}",
        f"  adversarial sets   {found['adversarial_sets']:>12,}   (each made once; anew for each row it would be "
        f"{total:,})",
        f"  units              {found['units']:>12,}   of which {found['done']:,} are done",
        f"  rows stored        {found['tests_done']:>12,}",
        f"  sets made again    {found['recrafted']:>12,}   (stored before, crafted again for new rows{loaded})",
        f"  CPU time, one core {seconds_text(sum(cost[key] for key in stages)):>12}   about, without start-up: {parts}",
        f"  disk               {disk:>12}   about{images}",
    ]
    lines += [line for line in [power_text(found["smallest_effect"])] if line]
    lines += [f"  not here: {name}; counted as it was published" for name in found["not_here"]]
    lines += [f"  left out: {item['what']}: {item['reason']}" for item in found["refused"]]
    return "\n".join(lines)
