"""An imported study as an ordinary result folder: tables in the public schema, and a plan that has no store."""

from __future__ import annotations

from typing import Any

from dumb_bench.errors import InputError
from dumb_bench.published.records import Imported
from dumb_bench.spec import digest
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.sealed import seal
from dumb_bench.store.status import PLAN, read_plan


def write_folder(found: Imported, results: str) -> None:
    """Write the tables, the plan and a `grid.toml` that names the study. The same files give the same bytes.

    Raises:
        InputError: the folder cannot be written, or holds results that were not imported.
    """
    folder = ResultFolder.open(results)
    _own(folder)
    plan = _plan(found)
    text = f"# Published results, imported; no grid made them.\n# {found.study.citation}\n\n"
    folder.write_text("grid.toml", f'{text}name = "{found.study.name}"\n')
    folder.place.write(PLAN, seal(plan))
    tables = {name: as_table(name, rows) for name, rows in found.rows.items()}
    folder.write_tables(tables, plan_digest=plan["digest"])


def _own(folder: ResultFolder) -> None:
    try:
        plan: dict[str, Any] | None = read_plan(folder)
    except InputError:
        plan = None
    if (plan is None and folder.plan_digest() is not None) or (plan is not None and not plan.get("published")):
        raise InputError(f"{folder.place.name}: holds results of a run; expected a new folder, or an imported one")


def _plan(found: Imported) -> dict[str, Any]:
    groups: dict[tuple[str, ...], int] = {}
    surrogates = {}
    sets = []
    for made, victims in found.sets:
        own = made.surrogate
        surrogates[own.id] = {"members": [model.id for model in own.models], "columns": own.columns}
        places = [groups.setdefault(group, len(groups)) for group in (victims, (own.id,))]
        sets.append(made.planned(*places))
    asked: dict[str, Any] = {
        "deliveries": [found.study.delivery],
        "margins": False,
        "models": {key: {"task": model.task, **model.columns, "clean": []} for key, model in found.models.items()},
        "surrogates": surrogates,
        "groups": [list(group) for group in groups],
        "sets": sets,
        "image_units": [],
    }
    tests = sum(len(victims) for _, victims in found.sets)
    counts = {"models": len(found.models), "adversarial_sets": len(sets), "tests": tests, "control_tests": 0}
    return {
        **asked,
        "name": found.study.name,
        "digest": digest(asked),
        "store": "",
        "published": found.study.citation,
        "counts": counts,
        "report": {
            "primary": None, "title": found.study.title, "description": found.description, "notes": found.notes,
        },
    }  # fmt: skip
