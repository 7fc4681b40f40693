"""The rows that a plan asks for. Where a strength is chosen per surrogate, they are known once the choice is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import pyarrow as pa

from dumb_bench.spec import id_of_attack, id_of_test, id_of_tuned_test

Document = Mapping[str, Any]

Chosen = Mapping[str, float | None]
"""Tuning id -> the strength chosen, None where none was feasible."""

GRID, TUNED, INFEASIBLE, PENDING = "grid", "tuned", "infeasible", "pending"


class PlannedRow(NamedTuple):
    """One scored test of a plan and the rows of `tests` that it becomes.

    test_id: the scored test; empty where nothing is scored. holders: the surrogates whose rows these are. tunings: the
    choices they stand for, beside the holders; empty for a strength of the grid. rule: `grid`, `tuned`, `infeasible`
    (rows without a score), `pending` (rows that are not known yet).
    """

    test_id: str
    attack_id: str
    victim: str
    delivery: str
    set: Mapping[str, Any]
    holders: tuple[str, ...]
    tunings: tuple[str, ...]
    rule: str

    @property
    def repeats(self) -> int:
        """The number of rows of `tests`."""
        return len(self.holders)

    def row_ids(self) -> tuple[str, ...]:
        """Return the ids of its rows of `tests`, one a holder."""
        if self.rule in (TUNED, INFEASIBLE):
            return tuple(
                id_of_tuned_test(self.set["id"], self.delivery, self.victim, holder, tuning)
                for holder, tuning in zip(self.holders, self.tunings, strict=True)
            )
        if self.set["free"]:
            return tuple(id_of_test(self.attack_id, self.victim, holder) for holder in self.holders)
        return (self.test_id,)


def chosen_in(tunings: pa.Table) -> dict[str, float | None]:
    """Return the choices in rows of `tunings`."""
    names, strengths = (tunings.column(name).to_pylist() for name in ("tuning_id", "strength"))
    return dict(zip(names, strengths, strict=True))


def planned_rows(plan: Document, chosen: Chosen) -> Iterator[PlannedRow]:
    """Yield every scored test of a plan document."""
    groups = plan["groups"]
    noise: set[tuple[str, str]] = set()
    for item in plan["sets"]:
        victims = groups[item["victims"]]
        is_noise = item["attack"] == "sign_noise"
        for strength, holders, tunings, rule in _asked(item, groups, chosen):
            if is_noise and rule == INFEASIBLE:
                continue
            for delivery, step in product(plan["deliveries"], (None, *item.get("steps", ()))):
                if rule in (PENDING, INFEASIBLE):
                    for victim in victims:
                        yield PlannedRow("", "", victim, delivery, item, holders, tunings, rule)
                    continue
                attack_id = id_of_attack(item["id"], strength, delivery, step)
                kept = holders
                if is_noise:  # a surrogate has the noise of one size once, whichever of its attacks has that size
                    kept = tuple(holder for holder in holders if (attack_id, holder) not in noise)
                    noise.update((attack_id, holder) for holder in kept)
                    rule, tunings = GRID, ()
                for victim in victims if kept else ():
                    test_id = id_of_test(attack_id, victim)
                    yield PlannedRow(test_id, attack_id, victim, delivery, item, kept, tunings, rule)


def _asked(
    item: Mapping[str, Any], groups: list[list[str]], chosen: Chosen
) -> Iterator[tuple[float | None, tuple[str, ...], tuple[str, ...], str]]:
    """Yield (strength, surrogates, their tunings, rule) of a set."""
    holders = tuple(groups[item["surrogates"]])
    if "tunings" not in item:
        for strength in item["strengths"]:
            yield strength, holders, (), GRID
        return
    found: dict[tuple[str, float | None], list[tuple[str, str]]] = {}
    for holder, tuning in zip(holders, groups[item["tunings"]], strict=True):
        if tuning not in chosen:
            key: tuple[str, float | None] = (PENDING, None)
        else:
            key = (INFEASIBLE if chosen[tuning] is None else TUNED, chosen[tuning])
        found.setdefault(key, []).append((holder, tuning))
    for (rule, strength), pairs in found.items():
        yield strength, tuple(holder for holder, _ in pairs), tuple(tuning for _, tuning in pairs), rule
