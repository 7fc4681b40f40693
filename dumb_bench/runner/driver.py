"""The driver: holds the frontier, feeds the slots, counts attempts, and loses nothing that is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from dumb_bench.runner.attempts import Attempts
from dumb_bench.runner.census import DONE, FAILED, RUNNING, WAITING, Census
from dumb_bench.runner.compact_unit import CompactUnit, Upkeep
from dumb_bench.runner.failures import failure_row
from dumb_bench.runner.frontier import Frontier
from dumb_bench.runner.interrupt import Interrupt
from dumb_bench.runner.outstanding import PartsOf, tasks_of
from dumb_bench.runner.units import (
    AttackUnit,
    Fault,
    ImagesUnit,
    ModelUnit,
    Outcome,
    TrainUnit,
    Unit,
    kind_of,
)
from dumb_bench.store.events import EventLog
from dumb_bench.store.store import Store

STORE_TRIES = 6
"""A store that does not take a note of the driver's is asked this often, for about three seconds."""


class Executor(Protocol):
    """Where units run."""

    @property
    def free(self) -> int:
        """The number of units that can be submitted now."""

    def submit(self, unit: Unit, halvings: int = 0) -> None:
        """Start a unit, the batches of its execution halved so often."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Return what has ended, after at most this time."""

    def withdraw(self) -> list[Unit]:
        """Take back the units that were submitted and have not started."""

    def news(self) -> list[dict[str, object]]:
        """Return what happened to slots and nodes since it was asked last: fields of events."""

    def publish(self, census: Census) -> None:
        """Show those who watch the cluster how many units stand how."""

    def close(self) -> None:
        """Release everything."""


class Watcher(Protocol):
    """Who is told of progress."""

    def started(self, units: Sequence[Unit]) -> None:
        """A round of units begins."""

    def ended(self, unit: Unit, outcome: Outcome, failed: bool) -> None:
        """A unit is done, or has failed for good."""

    def tick(self) -> None:
        """Time passes."""


@dataclass
class Tally:
    """What a run did."""

    done: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    tests: int = 0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    interrupted: bool = False


class Driver:
    """Runs units on an executor.

    Args:
        store: where failures are recorded; units write their own results. executor: the slots.
        log: the events of the run. watcher: who is told.
    """

    def __init__(self, store: Store, executor: Executor, log: EventLog, watcher: Watcher) -> None:
        self._store = store
        self._executor = executor
        self._log = log
        self._watcher = watcher
        self._interrupt = Interrupt()
        self._upkeep = Upkeep()

    def run(self, units: Sequence[Unit], parts: PartsOf, lost: frozenset[str] = frozenset()) -> Tally:
        """Run units until each is done or failed.

        parts: of every model that a unit names. lost: models known to have failed before.
        """
        tally = Tally()
        frontier = Frontier(tasks_of(units, parts))
        state = _Round({unit.key: unit for unit in units}, frontier, Census(units), parts, set(lost))
        self._watcher.started(units)
        with self._interrupt.listening():
            while not state.frontier.finished:
                self._submit(state)
                if self._interrupt.asked:
                    self._withdraw(state)
                if self._interrupt.asked and not state.running:
                    tally.interrupted = True
                    break
                if not state.running and state.later:
                    time.sleep(min(0.2, max(0.0, min(state.later.values()) - time.monotonic())))
                for outcome in self._executor.wait(1.0):
                    self._ended(state, outcome, tally)
                for fields in self._executor.news():
                    self._note("cluster", **fields)
                self._executor.publish(state.census)
                self._watcher.tick()
            self._last_compaction(state, tally)
        return tally

    def _compact(self) -> None:
        unit = self._upkeep.start()
        self._note("compaction_started")
        self._executor.submit(unit)

    def _last_compaction(self, state: _Round, tally: Tally) -> None:
        """Merge what is loose at the end; Ctrl-C leaves that to the next run."""
        while not self._interrupt.asked:
            if not self._upkeep.running:
                if not self._upkeep.left or not self._executor.free:
                    return
                self._compact()
            for outcome in self._executor.wait(1.0):
                self._ended(state, outcome, tally)
            self._watcher.tick()

    def _compacted(self, outcome: Outcome) -> None:
        """Note how a compaction ended. One that failed has lost nothing, and the next one does its work."""
        self._upkeep.end()
        spent = {"seconds": round(outcome.seconds, 3), "cpu_seconds": round(outcome.cpu_seconds, 3)}
        if outcome.error:
            fault = outcome.error
            self._note("compaction_failed", error=fault.type, message=fault.message, **spent)
        elif outcome.compacted:
            self._note("compacted", parts=outcome.compacted.parts, **spent)
            self._store.damaged.extend(outcome.compacted.damaged)

    def _submit(self, state: _Round) -> None:
        now = time.monotonic()
        for key in [key for key, due in state.later.items() if due <= now]:
            del state.later[key]
            state.frontier.put_back(key)
        if self._upkeep.due and self._executor.free and not self._interrupt.asked:
            self._compact()
        while self._executor.free and not self._interrupt.asked:
            taken = state.frontier.take()
            if taken is None:
                return
            key = taken
            unit = state.units[key]
            if isinstance(unit, AttackUnit):
                unit = unit.without(frozenset(state.lost))
                if not unit.wanted:
                    state.census.move(unit, WAITING, FAILED)
                    state.frontier.settle(key, well=False)
                    continue
            state.running[unit.key] = (key, unit)
            state.census.move(unit, WAITING, RUNNING)
            self._note("unit_started", key=unit.key, kind=kind_of(unit), unit=unit.label)
            self._executor.submit(unit, state.attempts.halvings(key))

    def _withdraw(self, state: _Round) -> None:
        for unit in self._executor.withdraw():
            if isinstance(unit, CompactUnit):
                self._upkeep.end()
                continue
            key, _ = state.running.pop(unit.key)
            state.census.move(unit, RUNNING, WAITING)
            state.frontier.put_back(key)

    def _note(self, event: str, **fields: object) -> None:
        """Log an event; one that cannot be written now is written with the next."""
        with suppress(OSError):
            self._log.append(event, **fields)

    def _ended(self, state: _Round, outcome: Outcome, tally: Tally) -> None:
        if outcome.key == CompactUnit.key:
            tally.cpu_seconds["compact"] = tally.cpu_seconds.get("compact", 0.0) + outcome.cpu_seconds
            self._compacted(outcome)
            return
        key, unit = state.running.pop(outcome.key)
        kind = kind_of(unit)
        tally.cpu_seconds[kind] = tally.cpu_seconds.get(kind, 0.0) + outcome.cpu_seconds
        fault = outcome.error
        if fault is None:
            tally.done[kind] += 1
            state.census.move(unit, RUNNING, DONE)
            tally.tests += outcome.tests
            state.frontier.settle(key, well=True)
            self._upkeep.count()
            _insist(lambda: self._store.drop_failures([key]))
            self._note(
                "unit_done", key=unit.key, kind=kind, unit=unit.label, tests=outcome.tests,
                seconds=round(outcome.seconds, 3), cpu_seconds=round(outcome.cpu_seconds, 3),
                halvings=state.attempts.halvings(key),
            )  # fmt: skip
            self._watcher.ended(unit, outcome, failed=False)
            return
        if fault.damaged:
            _insist(lambda: self._store.drop_artifact(fault.damaged, fault.message))
            state.census.move(unit, RUNNING, FAILED)
            for other in state.frontier.settle(key, well=False):
                state.census.move(state.units[other], WAITING, FAILED)
            self._note("model_damaged", model=fault.damaged, message=fault.message)
            return
        again = state.attempts.after(key, fault, scores=not isinstance(unit, ImagesUnit | TrainUnit))
        self._note(
            "unit_failed", key=unit.key, kind=kind, unit=unit.label, error=fault.type, message=fault.message,
            tried_again=again is not None, halvings=again.halvings if again else 0,
        )  # fmt: skip
        if again:
            state.census.move(unit, RUNNING, WAITING)
            state.later[key] = time.monotonic() + again.delay
            return
        self._give_up(state, key, unit, fault, outcome, tally)

    def _give_up(self, state: _Round, key: str, unit: Unit, fault: Fault, outcome: Outcome, tally: Tally) -> None:
        tally.failed += 1
        state.census.move(unit, RUNNING, FAILED)
        row = failure_row(key, unit, fault, state.attempts.count(key), state.attempts.earlier(key))
        _insist(lambda: self._store.put_failure(row))
        others = state.frontier.settle(key, well=False)
        failed = {item.part.id for item in (unit, *map(state.units.__getitem__, others)) if isinstance(item, TrainUnit)}
        state.lost |= {model for model, parts in state.parts.items() if failed.intersection(parts)}
        self._watcher.ended(unit, outcome, failed=True)
        for other in others:
            blocked = state.units[other]
            state.census.move(blocked, WAITING, FAILED)
            if isinstance(blocked, TrainUnit | ModelUnit):
                continue  # one row tells of a training that failed: its first
            tally.failed += 1
            why = Fault("Blocked", f"needs {unit.label}, which failed: {fault.type}: {fault.message}", "", False, "")
            row = failure_row(other, blocked, why, 0)
            _insist(lambda row=row: self._store.put_failure(row))  # type: ignore[misc]
            self._note("unit_blocked", key=other, kind=kind_of(blocked), unit=blocked.label)
            self._watcher.ended(blocked, Outcome(other, 0, 0.0, 0.0, why), failed=True)


@dataclass
class _Round:
    units: dict[str, Unit]
    frontier: Frontier
    census: Census
    parts: PartsOf
    lost: set[str]
    running: dict[str, tuple[str, Unit]] = field(default_factory=dict)
    later: dict[str, float] = field(default_factory=dict)
    attempts: Attempts = field(default_factory=Attempts)


def _insist(act: Callable[[], object]) -> None:
    """Write what the run must remember; a store that fails for a moment is asked again. Raises OSError."""
    for attempt in range(STORE_TRIES - 1):
        try:
            act()
        except OSError:
            time.sleep(0.1 * 2**attempt)
        else:
            return
    act()
