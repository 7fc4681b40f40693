"""Which slot fits on which node: pure arithmetic over what nodes have and what slots take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dumb_bench.errors import InputError
from dumb_bench.wording import bytes_text

_SLACK = 1e-6
"""Fractions of a GPU add up to a whole one but for rounding."""


class Need(NamedTuple):
    """What a slot takes, or what a node has. memory: bytes, 0 = nothing is reserved."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0

    def fits(self, room: Need) -> bool:
        """Whether there is room for this."""
        return all(own <= theirs + _SLACK for own, theirs in zip(self, room, strict=True))

    def less(self, taken: Iterable[Need]) -> Need:
        """Return what is left when these are taken."""
        cpus, gpus, memory = self
        for item in taken:
            cpus, gpus, memory = cpus - item.cpus, gpus - item.gpus, memory - item.memory
        return Need(cpus, gpus, memory)

    def times_in(self, room: Need) -> int:
        """Return how many of this fit side by side."""
        ratios = [theirs / own for own, theirs in zip(self, room, strict=True) if own > 0]
        return int(min(ratios) + _SLACK) if ratios else 0

    @property
    def text(self) -> str:
        """The amounts in words."""
        parts = [f"{self.cpus:g} CPUs"]
        parts += [f"{self.gpus:g} GPUs"] if self.gpus else []
        parts += [f"{bytes_text(self.memory)} of memory"] if self.memory else []
        return ", ".join(parts)


Nodes = Mapping[str, Need]
"""Node id -> all that it has."""


def check_feasible(needs: Mapping[str, Need], nodes: Nodes) -> None:
    """Refuse a slot that no node could ever hold.

    needs: kind of unit -> what its slot takes.

    Raises:
        InputError: one line, with the kind, what it asks for and the largest amounts that a node has.
    """
    for kind, need in needs.items():
        if any(need.fits(total) for total in nodes.values()):
            continue
        if not nodes:
            raise InputError("the cluster has no node")
        most = Need(*(max(total[place] for total in nodes.values()) for place in range(3)))  # type: ignore[arg-type]
        short = [
            f"{text(asked)} {unit} (the most that a node has is {text(has)})"
            for asked, has, unit, text in (
                (need.cpus, most.cpus, "CPUs", "{:g}".format),
                (need.gpus, most.gpus, "GPUs", "{:g}".format),
                (need.memory, most.memory, "of memory", bytes_text),
            )
            if asked > has + _SLACK
        ]
        why = " and ".join(short) or f"{need.text} on one node (each is there, but not together)"
        raise InputError(f"a slot for units of kind {kind!r} needs {why}; no unit of that kind could ever run")


def capacity(needs: Iterable[Need], nodes: Nodes) -> int:
    """Return how many slots of the smallest of these needs the nodes hold."""
    return max((sum(need.times_in(total) for total in nodes.values()) for need in set(needs)), default=0)


def emptiest(need: Need, room: Nodes) -> str | None:
    """Return the node with the most CPUs left among those with room for a slot; None when there is none."""
    fitting = [name for name, left in room.items() if need.fits(left)]
    return max(fitting, key=lambda name: (room[name].cpus, name), default=None)
