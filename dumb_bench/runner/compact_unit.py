"""Compaction as work of a slot: the unit, and when it is due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dumb_bench.store.lease import Lease
from dumb_bench.store.quarantine import Damage
from dumb_bench.store.store import Store

EVERY = 500
"""Finished units after which loose parts are merged."""


@dataclass(frozen=True)
class CompactUnit:
    """Merge loose parts of the store, if there are at least `minimum`. It has no rows and is never stored as done."""

    minimum: int = 1
    key: str = "compact"

    @property
    def subject(self) -> str:
        """What a failure of this unit is about."""
        return self.key

    @property
    def label(self) -> str:
        """A line for people."""
        return "compaction of the store"


class Compacted(NamedTuple):
    """What a compaction did. parts: loose parts merged. damaged: what it put in quarantine."""

    parts: int
    damaged: tuple[Damage, ...] = ()


def run_compact(unit: CompactUnit, store: Store) -> Compacted:
    """Compact a store, unless another process does so already.

    Raises:
        SchemaError, OSError: as `Store.compact`.
    """
    before = len(store.damaged)
    with Lease(store.place, "compact") as lease:
        merged = 0 if lease.others(earlier=True) else store.compact(minimum=unit.minimum)
    return Compacted(merged, tuple(store.damaged[before:]))


class Upkeep:
    """Says when a compaction is due: one at a time, after every so many finished units, and once at the end."""

    def __init__(self, every: int = EVERY) -> None:
        self._every = every
        self._fresh = 0
        self.running = False

    def count(self) -> None:
        """Note that a unit has ended."""
        self._fresh += 1

    @property
    def due(self) -> bool:
        """Whether a compaction is to start now."""
        return not self.running and self._fresh >= self._every

    @property
    def left(self) -> bool:
        """Whether units have ended since the last compaction began."""
        return self._fresh > 0

    def start(self) -> CompactUnit:
        """Return the unit of a compaction that starts now."""
        self._fresh = 0
        self.running = True
        return CompactUnit()

    def end(self) -> None:
        """Note that the compaction has ended, well or not."""
        self.running = False
