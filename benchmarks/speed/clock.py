"""Where the time goes: CPU and wall seconds by stage, each second counted once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Seconds by stage. A stage inside another is taken out of the outer one; what is in no stage is `rest`."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.cpu = self.wall = 0.0
        self._inside: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the whole."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu, self.wall = time.process_time() - cpu, time.perf_counter() - wall
        self.stages["rest"] = self.cpu - sum(self.stages.values())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the CPU seconds of this process inside as a stage."""
        started = time.process_time()
        self._inside.append(name)
        try:
            yield
        finally:
            self._inside.pop()
            spent = time.process_time() - started
            self.stages[name] = self.stages.get(name, 0.0) + spent
            if self._inside:
                outer = self._inside[-1]
                self.stages[outer] = self.stages.get(outer, 0.0) - spent

    def watching(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls count as a stage."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return call(*args, **kwargs)

        return watched

    def watching_steps(self, name: str, call: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return a generator function whose every step counts as a stage."""

        def watched(*args: Any, **kwargs: Any) -> Iterator[Any]:
            steps = call(*args, **kwargs)
            while True:
                with self.stage(name):
                    try:
                        found = next(steps)
                    except StopIteration:
                        return
                yield found

        return watched
