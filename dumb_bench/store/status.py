"""What a result folder and its store hold, told from files alone: no torch, no Ray, no pandas."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store import gallery
from dumb_bench.store.assemble import Assembly, partial, standing_failures
from dumb_bench.store.events import read_events
from dumb_bench.store.ids import as_bytes
from dumb_bench.store.merged_status import FAILED, MERGED, merged_status
from dumb_bench.store.plan_shape import checked_plan
from dumb_bench.store.planned import chosen_in, planned_groups
from dumb_bench.store.quarantine import Damage
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.scored import AskedTests
from dumb_bench.store.sealed import unseal
from dumb_bench.store.store import Store

PLAN = "plan.json"


def default_store(results: str) -> str:
    """Return the store beside a result folder: `.store` in the same parent, shared by all grids there."""
    if "://" in results:
        place, mark, options = results.partition("?")
        return f"{place.rstrip('/').rpartition('/')[0]}/.store{mark}{options}"
    return str(Path(results).resolve().parent / ".store")


def read_plan(folder: ResultFolder) -> dict[str, Any]:
    """Return the plan of a result folder.

    Raises:
        InputError: there is none.
        DamagedFileError: it is torn or altered.
    """
    try:
        return checked_plan(PLAN, unseal(PLAN, folder.place.read(PLAN)))
    except FileNotFoundError:
        raise InputError(f"{folder.place.name}: no {PLAN} here; is it a result folder?") from None


def damages(folder: ResultFolder) -> list[Damage]:
    """Return every damaged file of a result folder, its plan included."""
    found = folder.check() + gallery.damages(folder.place)
    try:
        files = read_plan(folder).get("files", {})
    except InputError:
        return found
    except DamagedFileError as error:
        return [*found, Damage(error.path, error.reason)]
    for name, sha256 in sorted(files.items()):
        with suppress(FileNotFoundError):
            if hashlib.sha256(folder.place.read(name)).hexdigest() != sha256:
                found.append(Damage(name, f"altered: its sha256 differs from {PLAN}"))
    return found


def open_store(results: str, plan: dict[str, Any], store: str | None) -> Store:
    """Return the store of a result folder: the one named, else the one of its plan, else the one beside it.

    Raises:
        InputError: it is not there, or the results were imported and have none.
    """
    if plan.get("published"):
        raise InputError(f"{results}: holds published results, imported; they have no store")
    return Store.open(store or plan["store"] or default_store(results), create=False)


def read_status(results: str, store: str | None = None) -> dict[str, Any]:
    """Return what is done, running and failed.

    `running`: units that a run has started and not ended, if that run has not ended either. The folder's own tables
    count too, where they are of its plan: a copied folder is done without its store.
    """
    folder = ResultFolder.open(results, create=False)
    plan = read_plan(folder)
    written = folder.rows() if folder.plan_digest() in (plan["digest"], partial(plan)) else {}
    tests_done, models_done = written.get("tests", 0), written.get("models", 0)
    if MERGED in plan:
        return merged_status(folder, plan)
    failures: list[dict[str, Any]] = []
    try:
        held = open_store(results, plan, store)
    except InputError:
        if store:
            raise
        failures = folder.read_table("failures").to_pylist() if written else []
        chosen = chosen_in(folder.read_table("tunings", ["tuning_id", "strength"])) if written else {}
        planned = sum(group.repeats for group in planned_groups(plan, chosen))
    else:
        found = held.read_many({"models": ["model_id"], "tunings": ["tuning_id", "strength"]})
        chosen = {key: value for key, value in chosen_in(found["tunings"]).items() if key in plan.get("tunings", ())}
        asked = AskedTests(plan, chosen)
        planned = asked.planned_rows
        for piece in held.pieces("tests", ["test_id"]):
            asked.note(as_bytes(piece.rows.column("test_id")))
        trained = frozenset(found["models"].column("model_id").to_pylist())
        tests_done = max(tests_done, asked.rows)
        models_done = max(models_done, len(trained & plan["models"].keys()))
        failures = standing_failures(held, plan, asked.missing(), trained, chosen)
    events = read_events(folder.place)
    return {
        "name": plan["name"],
        "tests": planned,
        "tests_done": tests_done,
        "models": len(plan["models"]),
        "models_done": models_done,
        "running": _running(events),
        "failed": [{key: row[key] for key in FAILED} for row in failures],
        "last_event": events[-1]["time"] if events else None,
    }


def _running(events: list[dict[str, Any]]) -> list[str]:
    running: dict[str, str] = {}
    for event in events:
        match event.get("event"):
            case "run_started" | "run_finished":
                running.clear()
            case "unit_started":
                running[event.get("key", "")] = event.get("unit", "")
            case "unit_done" | "unit_failed":
                running.pop(event.get("key", ""), None)
    return sorted(running.values())


def check_folder(results: str, store: str | None = None) -> tuple[list[str], str]:
    """Verify every file of a result folder and of its store; return what is damaged, and what was looked at.

    What is damaged in the store goes to quarantine, so that the next run makes it again.
    """
    folder = ResultFolder.open(results, create=False)
    problems = [f"{folder.place.name}: {damage.path}: {damage.reason}" for damage in damages(folder)]
    looked = "result folder"
    try:
        plan = read_plan(folder)
    except DamagedFileError:
        plan = {"store": ""}
    try:
        held = open_store(results, plan, store)
    except InputError:
        if store:
            raise
        looked += " (its store is not here)"
    else:
        looked += " and store"
        problems += [
            f"{held.place.name}: {damage.path}: {damage.reason} (in quarantine now)" for damage in held.verify()
        ]
    return problems, f"checked {looked}"


def compact_results(results: str, store: str | None = None) -> dict[str, int]:
    """Merge a store's loose parts and write a result folder's tables again from it; return the rows of each table.

    Raises:
        InputError: the folder holds no plan, or its store is not there.
    """
    folder = ResultFolder.open(results, create=False)
    plan = read_plan(folder)
    if MERGED in plan:
        raise InputError(f"{folder.place.name}: merged results have no store; compact the folders that were merged")
    held = open_store(results, plan, store)
    held.compact()
    assembly = Assembly(held, plan)
    if held.damaged:
        lost = "; ".join(f"{damage.path}: {damage.reason}" for damage in held.damaged)
        raise InputError(f"{held.place.name}: damaged, now in quarantine: {lost}; run the grid again to restore it")
    folder.write_tables(assembly.tables(), plan_digest=assembly.digest)
    return assembly.rows
