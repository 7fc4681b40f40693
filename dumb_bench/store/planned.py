"""The rows that a plan asks for. Where a strength is chosen per surrogate, they are known once the choice is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


class PlannedGroup(NamedTuple):
    """The scored tests of one row of `attacks`: one a victim, all else alike; fields as in `PlannedRow`."""

    attack_id: str
    victims: Sequence[str]
    delivery: str
    set: Mapping[str, Any]
    holders: tuple[str, ...]
    tunings: tuple[str, ...]
    rule: str

    @property
    def scored(self) -> bool:
        """Whether its tests are known and scored."""
        return self.rule in (GRID, TUNED)

    @property
    def plain(self) -> bool:
        """Whether a scored row is a row of `tests` as it is."""
        return self.rule == GRID and not self.set["free"]

    @property
    def repeats(self) -> int:
        """The number of rows of `tests`."""
        return len(self.victims) * len(self.holders)

    def test_ids(self) -> list[str]:
        """Return the ids of its scored tests, in the order of the victims."""
        return [id_of_test(self.attack_id, victim) for victim in self.victims] if self.scored else []

    def row(self, victim: str, test_id: str = "") -> PlannedRow:
        """Return the row of one victim."""
        return PlannedRow(
            test_id, self.attack_id, victim, self.delivery, self.set, self.holders, self.tunings, self.rule
        )


def planned_rows(plan: Document, chosen: Chosen) -> Iterator[PlannedRow]:
    """Yield every scored test of a plan document."""
    for group in planned_groups(plan, chosen):
        for victim, test_id in zip(group.victims, group.test_ids() or [""] * len(group.victims), strict=True):
            yield group.row(victim, test_id)


def planned_groups(plan: Document, chosen: Chosen) -> Iterator[PlannedGroup]:
    """Yield the scored tests of a plan document, those of one adversarial set, strength and delivery together."""
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
                    yield PlannedGroup("", victims, delivery, item, holders, tunings, rule)
                    continue
                attack_id = id_of_attack(item["id"], strength, delivery, step)
                kept = holders
                if is_noise:  # a surrogate has the noise of one size once, whichever of its attacks has that size
                    kept = tuple(holder for holder in holders if (attack_id, holder) not in noise)
                    noise.update((attack_id, holder) for holder in kept)
                    rule, tunings = GRID, ()
                if kept:
                    yield PlannedGroup(attack_id, victims, delivery, item, kept, tunings, rule)


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
