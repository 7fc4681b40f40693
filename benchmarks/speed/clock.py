"""Where the time goes: CPU and wall seconds by stage, each second counted once, also of programs that take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Seconds by stage. A stage inside another is taken out of the outer one; what is in no stage is `rest`.

    What runs while it is paused, or between two stretches of running, is none of its seconds.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.cpu = self.wall = 0.0
        self._inside: list[str] = []
        self._began = (0.0, 0.0)
        self._away_cpu = self._away_wall = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the whole, or a further stretch of it."""
        self._began = self._now()
        yield
        self.cpu, self.wall = self.cpu + self.so_far, self.wall + self._now()[1] - self._began[1]
        self._began = self._now()
        self.stages["rest"] = self.cpu - sum(spent for name, spent in self.stages.items() if name != "rest")

    @property
    def so_far(self) -> float:
        """CPU seconds of the stretch that is running."""
        return self._now()[0] - self._began[0]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let something else run meanwhile."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self._away_cpu += time.process_time() - cpu
            self._away_wall += time.perf_counter() - wall

    def _now(self) -> tuple[float, float]:
        return time.process_time() - self._away_cpu, time.perf_counter() - self._away_wall

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the CPU seconds of this process inside as a stage."""
        started = self._now()[0]
        self._inside.append(name)
        try:
            yield
        finally:
            self._inside.pop()
            spent = self._now()[0] - started
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
