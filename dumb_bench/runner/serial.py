"""The executor that works in this very process: for debugging, and as the yardstick for the others."""

from __future__ import annotations

from collections.abc import Callable

from dumb_bench.runner.census import Census
from dumb_bench.runner.units import Outcome, Unit


class SerialExecutor:
    """One slot, no other process. A plugin that ends its process, or hangs, does that to this one."""

    def __init__(self, execute: Callable[[Unit, int], Outcome]) -> None:
        self._execute = execute
        self._done: list[Outcome] = []

    @property
    def free(self) -> int:
        """The number of units that can be submitted now."""
        return 0 if self._done else 1

    def submit(self, unit: Unit, halvings: int = 0) -> None:
        """Run a unit to its end."""
        self._done.append(self._execute(unit, halvings))

    def wait(self, seconds: float) -> list[Outcome]:
        """Return what has ended."""
        del seconds
        done, self._done = self._done, []
        return done

    def withdraw(self) -> list[Unit]:
        """Return the units that have not started: none ever waits."""
        return []

    def news(self) -> list[dict[str, object]]:
        """Return what happened to slots and nodes: nothing can."""
        return []

    def publish(self, census: Census) -> None:
        """There is no cluster to watch."""
        del census

    def close(self) -> None:
        """Nothing is held."""
