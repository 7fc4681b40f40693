"""Whether a unit that did not end well is tried again, and how: faults are counted by what they tell of the unit."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from dumb_bench.evaluation import MOST_HALVINGS
from dumb_bench.runner.units import Fault

MAX_ATTEMPTS = 3
"""A unit that kills its worker, hangs or meets a passing error this often is poison: it is recorded and left alone."""

MAX_NODE_FAULTS = 20
"""A unit may lose its node this often through no fault of its own; the bound keeps a run from going on for ever."""

_LONGEST_DELAY = 60.0

WORKER_DIED, NODE_LOST, TIMED_OUT, OUT_OF_MEMORY = "WorkerDied", "NodeLost", "TimedOut", "OutOfMemory"
"""The types of the faults that the runner itself finds."""

FOUND_BY_RUNNER = (WORKER_DIED, NODE_LOST, TIMED_OUT, OUT_OF_MEMORY, "Blocked")


class Retry(NamedTuple):
    """Try again after so many seconds, with the batches of execution halved so often."""

    delay: float
    halvings: int


class Attempts:
    """The faults of every unit of a run.

    A node that left does not count against the unit that it took along. Memory that ran out is answered with half the
    scoring batch down to 8 images, where a unit scores. What would fail the same way again is not tried again.
    """

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._nodes: Counter[str] = Counter()
        self._halvings: Counter[str] = Counter()
        self._types: dict[str, list[str]] = {}

    def earlier(self, key: str) -> str:
        """Return the types of a unit's faults before its last one, where they were of another type; else nothing."""
        *before, last = self._types.get(key, [""])
        others = Counter(kind for kind in before if kind != last)
        return ", ".join(f"{kind} {count}x" for kind, count in others.items())

    def halvings(self, key: str) -> int:
        """Return how often the batches of a unit's execution are to be halved."""
        return min(self._halvings[key], MOST_HALVINGS)

    def count(self, key: str) -> int:
        """Return how often a unit was tried and failed; the faults of nodes count where there was no other."""
        return self._own[key] + self._halvings[key] or self._nodes[key]

    def after(self, key: str, fault: Fault, *, scores: bool) -> Retry | None:
        """Count a fault; return how the unit is tried again, None when it is not. scores: it has batches to halve."""
        self._types.setdefault(key, []).append(fault.type)
        if fault.type == NODE_LOST:
            self._nodes[key] += 1
            again, times = self._nodes[key] < MAX_NODE_FAULTS, self._nodes[key]
        elif fault.type == OUT_OF_MEMORY and scores:
            self._halvings[key] += 1
            again, times = self._halvings[key] <= MOST_HALVINGS, 1
        else:
            self._own[key] += 1
            again, times = not fault.lasting and self._own[key] < MAX_ATTEMPTS, self._own[key]
        return Retry(min(2.0 ** (times - 1), _LONGEST_DELAY), self.halvings(key)) if again else None
