"""The executor on Ray: long-lived slot actors, one unit at a time each."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dumb_bench.errors import InputError
from dumb_bench.runner.attempts import NODE_LOST, TIMED_OUT
from dumb_bench.runner.census import Census
from dumb_bench.runner.placement import Need, capacity, check_feasible, emptiest
from dumb_bench.runner.profile import Profile
from dumb_bench.runner.ray.cluster import Node, cause_of_death, is_there, join, line, nodes
from dumb_bench.runner.ray.metrics import RayMetrics
from dumb_bench.runner.ray.remote import THREADS, Slot
from dumb_bench.runner.units import Fault, Outcome, Unit, kind_of
from dumb_bench.wording import seconds_text

NODES_EVERY, VERDICT_AFTER, MAX_FALSE_STARTS = 5.0, 3.0, 3
"""Seconds between looks at the nodes; seconds before a death is judged; failed starts before a node gets no more."""


@dataclasses.dataclass(eq=False)
class _Slot:
    actor: Any
    need: Need
    node: str
    oom_kills: int = 0


class _Run(NamedTuple):
    slot: _Slot
    unit: Unit
    began: float
    until: float


class _Death(NamedTuple):
    run: _Run
    error: Exception
    judged_at: float


class RayExecutor:
    """Slots on a Ray cluster: started where there is room when there is work, replaced when they or their nodes go.

    Args:
        settings: what each slot starts from (`SlotSettings`); the device follows from what the slot takes.
        address: `local` starts a cluster of this machine's own; `auto` or `HOST:PORT` joins one.
        at_most: slots that are of use. profile: what slots take, how many there may be, when a unit hangs.
        grid: what the metrics are named by. say: told in one line if the cluster joined asks for no token, or when
        no node is left.
    """

    def __init__(
        self, settings: Any, *, address: str, at_most: int, profile: Profile, grid: str, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._needs = profile.needs
        join(address, profile, say)
        self._metrics = RayMetrics(grid)
        self._say = say
        self._room = True
        self._slots: list[_Slot] = []
        self._idle: list[_Slot] = []
        self._queue: deque[tuple[Unit, int]] = deque()
        self._starting: dict[Any, _Slot] = {}
        self._running: dict[Any, _Run] = {}
        self._deaths: list[_Death] = []
        self._false_starts: Counter[str] = Counter()
        self._news: list[dict[str, object]] = []
        self._nodes: dict[str, Node] = {}
        self._looked = 0.0
        try:
            self._look()
            check_feasible(self._needs, self._totals)
            room = capacity(self._needs.values(), self._totals)
            if profile.slots is not None and profile.slots > room:
                raise InputError(f"--slots {profile.slots}: the cluster has room for {room}")
        except InputError:
            ray.shutdown()
            raise
        self._most = profile.slots or at_most  # possibly more than fit now: nodes may join

    @property
    def _totals(self) -> dict[str, Need]:
        """All that each usable node has."""
        return {name: node.total for name, node in self._nodes.items() if self._false_starts[name] < MAX_FALSE_STARTS}

    @property
    def free(self) -> int:
        """The number of units that can be submitted now."""
        held = min(self._most, capacity(self._needs.values(), self._totals))
        return max(0, held - len(self._running) - len(self._queue))

    def submit(self, unit: Unit, halvings: int = 0) -> None:
        """Give a unit to an idle slot, or let it wait for one that starts."""
        self._queue.append((unit, halvings))
        self._dispatch()

    def withdraw(self) -> list[Unit]:
        """Take back the units that wait for a slot."""
        waiting = [unit for unit, _ in self._queue]
        self._queue.clear()
        return waiting

    def news(self) -> list[dict[str, object]]:
        """Return what happened to slots and nodes since it was asked last."""
        found, self._news = self._news, []
        return found

    def wait(self, seconds: float) -> list[Outcome]:
        """Return the units that have ended, after at most this time.

        Raises:
            InputError: slots do not start on any node.
        """
        outcomes: list[Outcome] = []
        if time.monotonic() - self._looked >= NODES_EVERY:
            outcomes += self._look()
        self._dispatch()
        watched = [*self._running, *self._starting]
        soonest = min((run.until for run in self._running.values()), default=float("inf"))
        soonest = min([soonest, *(death.judged_at for death in self._deaths)])
        patience = 0.0 if outcomes else max(0.0, min(seconds, soonest - time.monotonic()))
        if watched:
            ready, _ = ray.wait(watched, num_returns=1, timeout=patience)
            if ready:
                ready, _ = ray.wait(watched, num_returns=len(watched), timeout=0)
            for reference in ready:
                if reference in self._starting:
                    self._started(reference)
                else:
                    outcomes += self._ended(reference)
        else:
            time.sleep(min(0.2, patience))
        outcomes += self._overdue()
        outcomes += self._judged()
        return outcomes

    def publish(self, census: Census) -> None:
        """Set Ray's metrics, once a second."""
        starting, idle = len(self._starting), len(self._idle)
        busy = len(self._slots) - starting - idle
        self._metrics.publish(census, {"starting": starting, "idle": idle, "busy": busy})

    def close(self) -> None:
        """End the slots and leave the cluster (a local one ends with that)."""
        for slot in self._slots:
            ray.kill(slot.actor, no_restart=True)
        ray.shutdown()

    def _dispatch(self) -> None:
        """Bring waiting units to idle slots, then start the slots that are still missing."""
        missing: Counter[Need] = Counter()
        for unit, halvings in list(self._queue):
            need = self._needs[kind_of(unit)]
            slot = next((slot for slot in reversed(self._idle) if slot.need == need), None)
            if slot is None:
                missing[need] += 1
                continue
            self._queue.remove((unit, halvings))
            self._idle.remove(slot)
            now = time.monotonic()
            until = now + self._profile.timeout(kind_of(unit))
            self._running[slot.actor.run.remote(unit, halvings)] = _Run(slot, unit, now, until)
        for need, number in missing.items():
            under_way = sum(slot.need == need for slot in self._starting.values())
            for _ in range(number - under_way):
                node = self._room_for(need)
                if node is None:
                    break
                self._start(need, node)

    def _room_for(self, need: Need) -> str | None:
        """Return a node with room for a slot; idle slots of another size make room where there is none."""
        while True:
            left = {name: total.less(self._taken(name)) for name, total in self._totals.items()}
            node = emptiest(need, left) if len(self._slots) < self._most else None
            others = [slot for slot in self._idle if slot.need != need]
            if node is not None or not others:
                return node
            self._drop(others[0])

    def _taken(self, node: str) -> Iterator[Need]:
        return (slot.need for slot in self._slots if slot.node == node)

    def _start(self, need: Need, node: str) -> None:
        settings = dataclasses.replace(self._settings, device="cuda" if need.gpus > 0 else "cpu")
        options: dict[str, Any] = {"memory": need.memory} if need.memory else {}
        remote: Any = ray.remote(Slot)
        actor = remote.options(
            num_cpus=need.cpus, num_gpus=need.gpus, max_restarts=0, max_task_retries=0,
            runtime_env={"env_vars": THREADS}, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            **options,
        ).remote(settings)  # fmt: skip
        slot = _Slot(actor, need, node)
        self._slots.append(slot)
        self._starting[actor.ready.remote()] = slot

    def _started(self, reference: Any) -> None:
        slot = self._starting.pop(reference)
        try:
            slot.oom_kills = ray.get(reference)
        except (GetTimeoutError, RayError) as error:
            self._drop(slot)
            if not is_there(slot.node):
                return
            self._false_starts[slot.node] += 1
            self._news.append({"what": "slot_did_not_start", "node": slot.node, "message": line(error)})
            if not self._totals:
                raise InputError(f"no slot starts on any node of the cluster: {line(error)}") from None
        else:
            self._false_starts[slot.node] = 0
            self._idle.append(slot)

    def _ended(self, reference: Any) -> list[Outcome]:
        run = self._running.pop(reference)
        try:
            outcome: Outcome = ray.get(reference)
        except (GetTimeoutError, RayError) as error:
            self._drop(run.slot)
            self._deaths.append(_Death(run, error, time.monotonic() + VERDICT_AFTER))
            return []
        self._idle.append(run.slot)
        return [outcome]

    def _overdue(self) -> list[Outcome]:
        """End the slots of units that run for too long."""
        now, outcomes = time.monotonic(), []
        for reference, run in list(self._running.items()):
            if now < run.until:
                continue
            del self._running[reference]
            self._drop(run.slot)
            limit = seconds_text(run.until - run.began)
            outcomes.append(_lost(run, TIMED_OUT, f"still at work after {limit}, the most for units of its kind"))
        return outcomes

    def _judged(self) -> list[Outcome]:
        """Return the deaths whose cause is known, or will not become known."""
        outcomes = []
        for death in list(self._deaths):
            slot, final = death.run.slot, time.monotonic() >= death.judged_at
            cause = cause_of_death(death.error, slot.node, slot.oom_kills, final=final)
            if cause is not None:
                self._deaths.remove(death)
                outcomes.append(_lost(death.run, *cause))
        return outcomes

    def _drop(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        if slot in self._idle:
            self._idle.remove(slot)
        ray.kill(slot.actor, no_restart=True)

    def _look(self) -> list[Outcome]:
        """See which nodes there are; end what was on those that left."""
        self._looked = time.monotonic()
        found = nodes()
        self._news += [{"what": "node_joined", "node": name} for name in found.keys() - self._nodes.keys()]
        gone = self._nodes.keys() - found.keys()
        self._news += [{"what": "node_left", "node": name} for name in gone]
        self._nodes = found
        self._tell_of_room()
        outcomes = []
        for reference, run in list(self._running.items()):
            if run.slot.node in gone:
                del self._running[reference]
                outcomes.append(_lost(run, NODE_LOST, "the node left the cluster while the unit ran there"))
        self._starting = {ref: slot for ref, slot in self._starting.items() if slot.node not in gone}
        for slot in [slot for slot in self._slots if slot.node in gone]:
            self._drop(slot)
        return outcomes

    def _tell_of_room(self) -> None:
        """Say once that no node can hold a slot, and once that one can again: the run waits, it does not fail."""
        room = capacity(self._needs.values(), self._totals) > 0
        if room == self._room:
            return
        self._room = room
        self._say("a node can hold slots again: going on" if room else "no node is left that can hold a slot: waiting")


def _lost(run: _Run, kind: str, why: str) -> Outcome:
    return Outcome(run.unit.key, 0, time.monotonic() - run.began, 0.0, Fault(kind, why[:2000], "", False, ""))
