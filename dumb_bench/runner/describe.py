"""`dumb-bench plan`: counts, what is done, and a rough cost. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.grid_file import read_grid
from dumb_bench.runner.estimate import estimate
from dumb_bench.runner.outstanding import Index, outstanding, read_index
from dumb_bench.runner.plan import build_plan
from dumb_bench.store.store import Store

EMPTY = Index(frozenset(), frozenset(), frozenset(), {}, frozenset(), frozenset(), frozenset(), {})


def describe_plan(path: Path, catalogue: Catalogue, store_of: Callable[[str], str], max_tests: int) -> dict[str, Any]:
    """Return the description of a grid's plan as JSON data."""
    grid, _ = read_grid(path, catalogue)
    plan = build_plan(grid, catalogue, str(path), max_tests)
    everything = outstanding(plan, EMPTY, catalogue)
    try:
        index = read_index(Store.open(store_of(grid.name), create=False), plan.parts)
    except InputError:
        index = EMPTY
    left = outstanding(plan, index, catalogue)
    cost = estimate(plan, catalogue)
    return {
        "name": grid.name,
        **plan.counts,
        "units": len(everything.units),
        "done": len(everything.units) - len(left.units),
        "tests_done": left.tests_done,
        "recrafted": left.recrafted,
        "open_tunings": left.open_tunings,
        "estimate": {
            "training": cost.training_seconds,
            "crafting": cost.crafting_seconds,
            "scoring": cost.scoring_seconds,
            "table_bytes": cost.table_bytes,
            "weight_bytes": cost.weight_bytes,
        },
        "refused": [item._asdict() for item in plan.refused],
    }
