"""How many units of a round stand how, by kind: what a dashboard shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dumb_bench.runner.units import Unit, kind_of

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
STATUSES = (WAITING, RUNNING, DONE, FAILED)


class Census:
    """Counts of units by kind and status. A unit that is tried again waits until it runs again."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._counts = Counter((kind_of(unit), WAITING) for unit in units)

    def move(self, unit: Unit, before: str, after: str) -> None:
        """Count a unit that stood one way (`STATUSES`) and now stands another."""
        kind = kind_of(unit)
        self._counts[kind, before] -= 1
        self._counts[kind, after] += 1

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the number of units of each (kind, status); a kind that the round has none of is left out."""
        kinds = sorted({kind for kind, _ in self._counts})
        return {(kind, status): self._counts[kind, status] for kind in kinds for status in STATUSES}
