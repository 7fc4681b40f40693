"""`dumb-bench run`: from a grid file to tables, resuming whatever the store holds already."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from dumb_bench.catalogue import Catalogue
from dumb_bench.grid_file import read_grid
from dumb_bench.redaction import public_uri
from dumb_bench.runner.checkpoints import store_checkpoints
from dumb_bench.runner.driver import Driver, Executor, Tally, Watcher
from dumb_bench.runner.execute import SlotSettings, Worker
from dumb_bench.runner.fetch import ensure, ensure_weights, sources_of
from dumb_bench.runner.gallery import write_gallery
from dumb_bench.runner.kept_sets import spared
from dumb_bench.runner.outstanding import Outstanding, PartsOf, models_needed, outstanding, parts_of, read_index
from dumb_bench.runner.plan import MAX_TESTS, Plan, build_plan
from dumb_bench.runner.plan_file import plan_document
from dumb_bench.runner.profile import Profile
from dumb_bench.runner.retry import Retried, chosen_failures
from dumb_bench.runner.rivals import announced, write_beside_others
from dumb_bench.runner.serial import SerialExecutor
from dumb_bench.runner.units import AttackUnit, TrainUnit, TuneUnit, Unit
from dumb_bench.store.assemble import Assembly, partial
from dumb_bench.store.events import EventLog
from dumb_bench.store.quarantine import quarantine
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.sealed import seal
from dumb_bench.store.status import PLAN, damages, default_store
from dumb_bench.store.store import Store

MAX_ROUNDS = 5
"""Damage found while reading sends its units round again, this often at most."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """The command line of `run`; nothing here changes a key."""

    results: str
    store: str
    address: str = "local"
    profile: Profile = field(default_factory=Profile)
    retry_failed: bool = False
    retry_errors: tuple[str, ...] = ()
    max_tests: int = MAX_TESTS


@dataclass
class Summary:
    """How a run ended."""

    planned: int
    rows: dict[str, int] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    tests: int = 0
    failed_now: int = 0
    failures: int = 0
    interrupted: bool = False
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    quarantined: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done, 3 finished with failed units, 130 interrupted."""
        return 130 if self.interrupted else 3 if self.failures else 0

    def add(self, tally: Tally) -> None:
        """Add what one round did."""
        self.done += tally.done
        self.tests += tally.tests
        self.failed_now += tally.failed
        for kind, seconds in tally.cpu_seconds.items():
            self.cpu_seconds[kind] = self.cpu_seconds.get(kind, 0.0) + seconds
        self.interrupted = tally.interrupted


def run_grid(path: Path, catalogue: Catalogue, options: RunOptions, watcher: Watcher, say: Say) -> Summary:
    """Run a grid to its end; nothing is written before grid and plan are known to be good.

    Raises:
        InputError: the grid, an option or a place is bad.
    """
    grid, text = read_grid(path, catalogue)
    plan = build_plan(grid, catalogue, str(path), options.max_tests)
    for refused in plan.refused:
        say(f"left out: {refused.what}: {refused.reason}")
    store = Store.open(options.store)
    folder = ResultFolder.open(options.results)
    summary = Summary(plan.test_rows)
    summary.quarantined = _set_aside(folder)
    beside = options.store == default_store(options.results)
    document = plan_document(plan, "" if beside else public_uri(store.uri), catalogue)
    resolved = _without_none(plan.grid.model_dump(mode="json"))
    texts = {"grid.toml": text, "grid.resolved.toml": tomli_w.dumps(resolved)}
    for file, content in texts.items():
        folder.write_text(file, content)
    files = {file: hashlib.sha256(content.encode()).hexdigest() for file, content in texts.items()}
    folder.place.write(PLAN, seal({**document, "files": files}))
    if folder.plan_digest() not in (None, document["digest"], partial(document)):
        say(
            f"{folder.place.name}: holds the tables of another plan; "
            "they make room for this one's (the store keeps all rows)"
        )
    with announced(store, folder, say) as lease, EventLog(folder.place) as log:
        log.append("run_started", grid=grid.name, plan=document["digest"], **plan.counts)
        made = _rounds(plan, document, store, catalogue, options, log, watcher, say, summary)
        summary.quarantined += [f"{damage.path}: {damage.reason}" for damage in store.damaged]
        summary.failures = made.rows["failures"]
        summary.planned = made.planned_rows
        if made.digest != document["digest"] or folder.plan_digest() != made.digest or folder.check():
            write_beside_others(lambda: folder.write_tables(made.tables(), plan_digest=made.digest), folder, lease)
        write_gallery(folder, store, plan, made)
        summary.rows = made.rows
        log.append("run_finished", rows=summary.rows, exit_code=summary.exit_code, cpu_seconds=summary.cpu_seconds)
    return summary


def _rounds(
    plan: Plan,
    document: dict[str, Any],
    store: Store,
    catalogue: Catalogue,
    options: RunOptions,
    log: EventLog,
    watcher: Watcher,
    say: Say,
    summary: Summary,
) -> Assembly:
    """Run what is missing until nothing is, or only what has failed; return the tables.

    One round is the rule, a second where strengths are chosen first. Damage met while working or reading sends its
    units round again.
    """
    retry: Retried = options.retry_errors or options.retry_failed
    parts = parts_of(plan)
    with ExitStack() as open_until_the_end:
        executor: Executor | None = None
        for _ in range(MAX_ROUNDS + bool(plan.tunings)):
            store_checkpoints(plan, store, catalogue)
            left = outstanding(plan, read_index(store, plan.parts), catalogue)
            units, lost = _to_run(left, parts, store, retry)
            retry = False
            if units:
                say(_opening(plan, left, units, spared(units, store)))
                if executor is None:
                    ensure(sources_of(plan), catalogue)
                    ensure_weights((unit.part.spec for unit in units if isinstance(unit, TrainUnit)), catalogue)
                    executor = _executor(plan, len(units) + left.open_tunings, store, catalogue, options, say)
                    open_until_the_end.callback(executor.close)
                summary.add(Driver(store, executor, log, watcher).run(units, parts, lost))
                if not summary.interrupted:
                    continue
            before = len(store.damaged)
            made = Assembly(store, document)
            if summary.interrupted or len(store.damaged) == before:
                return made
    return Assembly(store, document)


def _to_run(left: Outstanding, parts: PartsOf, store: Store, retry: Retried) -> tuple[list[Unit], frozenset[str]]:
    """Return the units to run, without those that have failed before (unless they are to be tried again)."""
    asked = {unit.key for unit in left.units}
    failures = [row for row in store.failure_rows() if row["unit_key"] in asked]
    if retry:
        again, failures = chosen_failures(failures, retry)
        store.drop_failures(again)
    settled = {row["unit_key"] for row in failures if row["error_type"] != "Blocked"}
    failed: set[str] = set()
    for unit in left.units:  # what a part needs comes before it
        if isinstance(unit, TrainUnit) and (unit.key in settled or failed.intersection(unit.needs)):
            failed.add(unit.part.id)
    lost = frozenset(model for model, own in parts.items() if failed.intersection(own))
    possible: list[Unit] = []
    for unit in left.units:
        if unit.key in settled or (isinstance(unit, TrainUnit) and unit.part.id in failed):
            continue
        if lost.intersection(models_needed(unit)):
            continue
        if isinstance(unit, AttackUnit) and not unit.without(lost).wanted:
            continue
        possible.append(unit)
    return possible, lost


def _opening(plan: Plan, left: Outstanding, units: list[Unit], spared: int) -> str:
    counts = plan.counts
    training = sum(isinstance(unit, TrainUnit) for unit in units)
    attacks = sum(isinstance(unit, AttackUnit) for unit in units)
    choices = sum(isinstance(unit, TuneUnit) for unit in units)
    between = f" + {counts['step_tests']:,} of intermediate steps" if counts["step_tests"] else ""
    stored = f"; {left.tests_done:,} tests are stored already" if left.tests_done else ""
    crafted = left.recrafted - spared
    again = f"; {crafted:,} stored sets are crafted again for new rows" if crafted else ""
    again += f"; {spared:,} kept sets are loaded for new rows" if spared else ""
    return (
        f"{plan.grid.name}: {counts['models']:,} models, {counts['tests']:,} tests"
        f"{between} + {counts['control_tests']:,} of controls = {plan.test_rows:,} rows{stored};"
        f" to do: {training:,} models, {attacks:,} attack units{again}"
        + (f"; first {choices:,} units that choose strengths" if choices else "")
    )


def _executor(plan: Plan, at_most: int, store: Store, catalogue: Catalogue, options: RunOptions, say: Say) -> Executor:
    """Return where units run; `at_most` slots are of use. Slots only read data: side by side they must not download."""
    reading = replace(catalogue, data=replace(catalogue.data, download=False))
    settings = SlotSettings(store.uri, reading, options.profile.device)
    if options.address == "serial":
        return SerialExecutor(Worker(settings))
    from dumb_bench.runner.ray.slots import RayExecutor

    return RayExecutor(
        settings,
        address=options.address,
        at_most=at_most,
        profile=options.profile,
        grid=plan.grid.name,
        say=say,
    )


def _set_aside(folder: ResultFolder) -> list[str]:
    """Move the damaged files of a result folder to its quarantine; they are written again from the store."""
    found = damages(folder)
    for damage in found:
        quarantine(folder.place, damage)
    return [f"{folder.place.name}: {damage.path}: {damage.reason}" for damage in found]


def _without_none(value: Any) -> Any:
    """Return data without its None entries, which TOML cannot hold."""
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_without_none(entry) for entry in value]
    return value
