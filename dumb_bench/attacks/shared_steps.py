"""Steps that the strengths of a sweep have in common, found once.

An attack whose step does not grow with eps goes the same way at every eps until the budget holds it back: ten steps of
2/255 meet no eps above 20/255, and of those for eps = 4/255 the first two are no others than those for 8/255. So a step
that was found at one strength is taken, not found again, at the next; the images are the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor


class _Move(NamedTuple):
    """A step's signs (N, C, H, W) int8, and the state of the attack's generator after it was found."""

    signs: Tensor
    generator: Tensor


class SharedSteps:
    """What the calls of one attack on the same images, labels and random numbers found, at one strength or another.

    It holds a byte a value and step.
    """

    def __init__(self) -> None:
        self._begun: tuple[Tensor, float] | None = None
        self._moves: list[_Move] = []

    def walk(self, start: Tensor, size: float, generator: torch.Generator) -> Walk | None:
        """Return the walk from (N, C, H, W) in steps of a size; None where an earlier call began elsewhere."""
        if self._begun is None:
            self._begun = start.clone(), size
        same = self._begun[1] == size and torch.equal(self._begun[0], start)
        return Walk(self._moves, generator) if same else None


class Walk:
    """One run of the shared loop, as long as no budget holds it back."""

    def __init__(self, moves: list[_Move], generator: torch.Generator) -> None:
        self._moves, self._generator = moves, generator
        self._taken = 0

    def known(self) -> Tensor | None:
        """Return the next step's signs, float64, if another strength found them; its random numbers count as drawn."""
        if self._taken == len(self._moves):
            return None
        found = self._moves[self._taken]
        self._taken += 1
        self._generator.set_state(found.generator)
        return found.signs.double()

    def keep(self, signs: Tensor) -> None:
        """Keep the step that was found here."""
        self._moves.append(_Move(signs.to(torch.int8), self._generator.get_state()))
        self._taken += 1


_CURRENT: ContextVar[SharedSteps | None] = ContextVar("shared_steps", default=None)


@contextmanager
def sharing(steps: SharedSteps | None) -> Iterator[None]:
    """Let the loop that runs inside share its steps; None: it shares nothing."""
    token = _CURRENT.set(steps)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def shared_walk(start: Tensor, size: float, generator: torch.Generator) -> Walk | None:
    """Return the walk that this call shares with those at other strengths; None where none is shared."""
    current = _CURRENT.get()
    return None if current is None else current.walk(start, size, generator)
