"""The strengths of Alecci et al.: chosen again from what was measured, beside what the files say was used."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from dumb_bench.attacks.tuning import Point, choose, largest_feasible
from dumb_bench.errors import InputError
from dumb_bench.published.attacks import DUMB
from dumb_bench.published.dumb_files import Measured, Network, TaskFiles
from dumb_bench.published.files import Numbered

THRESHOLD = 0.4
"""Strengths count whose mean SSIM lies strictly above it."""

Key = tuple[str, Network]


class Sweep(NamedTuple):
    """The strengths measured on a surrogate, rising, and the one that the published rule chooses (None: none is)."""

    rows: list[Measured]
    chosen: Point | None
    shortest: Point | None
    looked: int

    def at(self, strength: float | None) -> Measured | None:
        """Return what was measured at a strength."""
        return next((row for row in self.rows if row.eps == strength), None)


@dataclass
class Strengths:
    """Of one task. used: the published choice; equal: rows in which choosing again gives it; others: those not.

    stale: attacks without a strength whose published value is not what their own measurement gives: left over from
    another attack.
    """

    sweeps: dict[Key, Sweep] = field(default_factory=dict)
    used: dict[Key, float] = field(default_factory=dict)
    compared: int = 0
    equal: int = 0
    others: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    def of(self, attack: str, surrogate: Network) -> float | None:
        """Return the strength that was used, else the one that the rule chooses; None for an attack without one."""
        if DUMB[attack].unit is None:
            return None
        key = (attack, surrogate)
        chosen = self.sweeps[key].chosen if key in self.sweeps else None
        return self.used.get(key, chosen.strength if chosen else None)


def strengths_of(files: TaskFiles) -> Strengths:
    """Return the strengths of a task.

    Raises:
        InputError: a strength of a surrogate is listed twice.
    """
    found = Strengths()
    grouped: dict[Key, list[Numbered[Measured]]] = {}
    for attack, rows in files.history.items():
        for item in rows:
            grouped.setdefault((attack, item.row.surrogate), []).append(item)
    found.sweeps = {key: _sweep(rows) for key, rows in grouped.items()}
    for best in files.best:
        key = (best.row.attack, best.row.surrogate)
        if key in found.used:
            raise InputError(f"{best.place}: a second strength of {key[0]} on {key[1]}")
        if best.row.best_eps is not None:
            found.used[key] = best.row.best_eps
            _compare(found, key)
    return found


def _compare(found: Strengths, key: Key) -> None:
    sweep, used = found.sweeps.get(key), found.used[key]
    if sweep is None:
        return
    found.compared += 1
    if sweep.chosen is not None and sweep.chosen.strength == used:
        found.equal += 1
        return
    rule = "none allowed" if sweep.chosen is None else f"{sweep.chosen.strength:g} by the rule"
    (found.stale if DUMB[key[0]].unit is None else found.others).append(f"{key[0]} {key[1]}: {used:g}, {rule}")


def _sweep(items: list[Numbered[Measured]]) -> Sweep:
    items = sorted(items, key=lambda item: item.row.eps)
    for item, following in pairwise(items):
        if item.row.eps == following.row.eps:
            raise InputError(f"{following.place}: eps {following.row.eps:g} of this surrogate is listed twice")
    points = {item.row.eps: Point(item.row.eps, item.row.ssim, item.row.asr) for item in items}
    shortest, looked = largest_feasible(list(points), points.__getitem__, THRESHOLD)
    chosen = choose(list(points.values()), THRESHOLD, reference=True)
    return Sweep([item.row for item in items], chosen, shortest, len(looked))
