"""What can run next: pure scheduling over keys, without units, time or executors."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple


class Task(NamedTuple):
    """A key to be settled.

    rank: among ready tasks the lowest runs first, then the one given first. needs: keys that must be settled well.
    wants: keys that must be settled, well or not. Keys that are no task of the frontier count as settled well.
    """

    key: str
    rank: int = 0
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()


class Frontier:
    """Tasks that wait, that are ready, that run and that are settled. Each ends exactly once."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = {task.key: task for task in tasks}
        self._order = {key: number for number, key in enumerate(self._tasks)}
        self._ready: list[tuple[int, int, str]] = []
        self._running: set[str] = set()
        self._settled: dict[str, bool] = {}
        self._open_needs: dict[str, int] = {}
        self._heirs: dict[str, list[str]] = {}
        for task in self._tasks.values():
            before = {key for key in (*task.needs, *task.wants) if key in self._tasks and key != task.key}
            self._open_needs[task.key] = len(before)
            for key in before:
                self._heirs.setdefault(key, []).append(task.key)
            if not before:
                self._push(task.key)

    def _push(self, key: str) -> None:
        heapq.heappush(self._ready, (self._tasks[key].rank, self._order[key], key))

    @property
    def finished(self) -> bool:
        """Whether every task is settled."""
        return len(self._settled) == len(self._tasks)

    @property
    def running(self) -> int:
        """The number of tasks taken and not settled."""
        return len(self._running)

    @property
    def remaining(self) -> int:
        """The number of tasks not settled."""
        return len(self._tasks) - len(self._settled)

    def take(self) -> str | None:
        """Return the next ready key, which then counts as running; None when none is ready."""
        if not self._ready:
            return None
        key = heapq.heappop(self._ready)[2]
        self._running.add(key)
        return key

    def put_back(self, key: str) -> None:
        """Make a running key ready again."""
        self._running.remove(key)
        self._push(key)

    def settle(self, key: str, *, well: bool) -> list[str]:
        """End a running key; return the keys that can never run because of it, which are settled too.

        Raises:
            KeyError: the key does not run.
        """
        self._running.remove(key)
        return self._end(key, well)

    def _end(self, first: str, well: bool) -> list[str]:
        blocked: list[str] = []
        ended = [(first, well)]
        while ended:
            key, fine = ended.pop()
            self._settled[key] = fine
            for heir in self._heirs.get(key, ()):
                if heir in self._settled:
                    continue
                self._open_needs[heir] -= 1
                if not fine and key in self._tasks[heir].needs:
                    self._settled[heir] = False  # at once: another of its needs may lie on the way
                    blocked.append(heir)
                    ended.append((heir, False))
                elif self._open_needs[heir] == 0:
                    self._push(heir)
        return blocked
