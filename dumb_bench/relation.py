"""How a surrogate and a victim are related: the case, and what they share. Said once, on plain columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dumb_bench.case import case_of

Columns = Mapping[str, Any]


class Relation(NamedTuple):
    """The columns of `tests` that depend on surrogate and victim alone."""

    case: str
    white_box: bool
    shared_weights: float
    same_lineage: bool
    same_init: bool
    defence_known: bool


def _lineage(model: Columns) -> tuple[Any, ...]:
    keys = ("source", "subset", "architecture", "init", "balance", "balance_mode", "recipe", "seed")
    return tuple(model[key] for key in keys)


def relate(members: Sequence[Columns], victim: Columns) -> Relation:
    """Relate a surrogate, given as the columns of its models, to a victim.

    An axis differs when no member of the surrogate agrees with the victim on it. `white_box`: the surrogate is exactly
    the victim. `shared_weights`: the share of the surrogate's samples that are the victim's. `same_lineage`: a training
    run in common. `same_init`: the same initial weights, named ones or those of a run in common.
    """
    lineage = any(_lineage(member) == _lineage(victim) for member in members)
    samples = sum(member["samples"] for member in members)
    shared = sum(member["samples"] for member in members if member["id"] == victim["id"])
    named = any(
        member["init"] == victim["init"] != "random" and member["architecture"] == victim["architecture"]
        for member in members
    )
    return Relation(
        case=case_of(
            source_differs=all(member["source"] != victim["source"] for member in members),
            architecture_differs=all(member["architecture"] != victim["architecture"] for member in members),
            balance_differs=all(member["balance"] != victim["balance"] for member in members),
        ),
        white_box=len(members) == 1 and members[0]["id"] == victim["id"],
        shared_weights=shared / samples,
        same_lineage=lineage,
        same_init=lineage or named,
        defence_known=any(member["defence"] == victim["defence"] for member in members),
    )
