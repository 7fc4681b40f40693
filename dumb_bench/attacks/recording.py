"""Images after intermediate steps, taken from the shared loop for whoever runs an attack, which knows nothing of it.

`with recording(...) as found: attack(...)` asks; every run of the loop (`iterative.iterate`) notes what is asked for;
`found.loop` is then the run that ended last: an attack whose preparation is a loop too (`ila`) ends with its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

from dumb_bench.errors import AttackError
from dumb_bench.surrogate import Cost


class Iterate(NamedTuple):
    """The images (N, C, H, W) after a step; passes through the surrogate and seconds since the attack was called."""

    images: Tensor
    cost: Cost
    seconds: float


class Recording:
    """What is asked of one call of an attack, and the run of the loop that ended last in it.

    Args:
        asked: the steps, from 1.
        spent: gives the surrogate's passes so far.
    """

    def __init__(self, asked: Collection[int], spent: Callable[[], Cost]) -> None:
        self.asked = frozenset(asked)
        self.loop: Loop | None = None
        self._spent, self._before, self._started = spent, spent(), time.perf_counter()

    def iterate(self, images: Tensor) -> Iterate:
        """Return images with what they cost so far."""
        now = self._spent()
        cost = Cost(now.forwards - self._before.forwards, now.backwards - self._before.backwards)
        return Iterate(images, cost, time.perf_counter() - self._started)

    def handed_out(self, name: str, steps: int, output: Tensor) -> dict[int, Iterate]:
        """Return what was asked for, by step; output: what the attack returned, which must be the end of its loop.

        Raises:
            AttackError: the attack's images are not those of one loop over its steps, so that what was noted on the way
                would not lead to them.
        """
        loop = self.loop
        if loop is None or loop.last is None or not (
            loop.steps == steps and loop.found.keys() == self.asked and torch.equal(loop.last.to(output), output)
        ):  # fmt: skip
            raise AttackError(
                f"attack {name!r}: steps cannot be recorded, since what it returns is not the end of one loop "
                f"(`iterate`) over its {steps} steps"
            )
        return loop.found


_CURRENT: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def recording(asked: Collection[int], spent: Callable[[], Cost]) -> Iterator[Recording]:
    """Record in all that runs inside; see `Recording`. Nothing is kept where no step is asked for."""
    found = Recording(asked, spent)
    token = _CURRENT.set(found if asked else None)
    try:
        yield found
    finally:
        _CURRENT.reset(token)


class Loop:
    """One run of the shared loop; it keeps nothing unless it runs inside `recording`. dtype: of its images."""

    def __init__(self, steps: int, dtype: torch.dtype) -> None:
        self.steps = steps
        self.found: dict[int, Iterate] = {}
        self.last: Tensor | None = None
        self._dtype = dtype
        self._recording = _CURRENT.get()

    def note(self, step: int, images: Tensor) -> None:
        """Keep the images after a step, counted from 1, if they are asked for."""
        if self._recording is not None and step in self._recording.asked:
            self.found[step] = self._recording.iterate(images.to(self._dtype))

    def end(self, images: Tensor) -> Tensor:
        """Return the images after the last step, and be the loop whose steps count."""
        if self._recording is not None:
            self.last = images.clone()
            self._recording.loop = self
        return images
