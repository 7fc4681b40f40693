"""How a surrogate and a victim are related: the case, and what they share. Said once, on plain columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dumb_bench.case import case_of
from dumb_bench.spec import UNKNOWN

Columns = Mapping[str, Any]


class Relation(NamedTuple):
    """The columns of `tests` that depend on surrogate and victim alone."""

    case: str | None
    white_box: bool
    shared_weights: float
    same_lineage: bool
    same_init: bool | None
    defence_known: bool


def _lineage(model: Columns) -> tuple[Any, ...]:
    keys = ("source", "subset", "architecture", "init", "balance", "balance_mode", "recipe", "seed")
    return (model.get("checkpoint"), *(model[key] for key in keys if not model.get("checkpoint")))


def _lacks(models: Sequence[Columns], *keys: str) -> bool:
    return any(model[key] == UNKNOWN for model in models for key in keys)


def _weights(model: Columns) -> frozenset[tuple[str, int]]:
    """Return what a model's samples are, each by the trained part that holds it and its place there."""
    held = model.get("weights") or {model["id"]: range(model["samples"])}
    return frozenset((part, place) for part, places in held.items() for place in places)


def relate(members: Sequence[Columns], victim: Columns) -> Relation:
    """Relate a surrogate, given as the columns of its models, to a victim.

    An axis differs when no member of the surrogate agrees with the victim on it. `white_box`: the surrogate is exactly
    the victim. `shared_weights`: the share of the surrogate's samples that are among the victim's, told apart by
    `weights` (trained part -> places in it); the input defence around them does not matter. `same_lineage`: a training
    run in common. `same_init`: the same initial weights, named ones (`imagenet1k_v1`, `shared_0`) or those of a run in
    common. Of a checkpoint whose source or balance is unknown `case` is None, where it is unknown what it started from
    `same_init`.
    """
    known = not _lacks([*members, victim], "source", "balance")
    lineage = any(_lineage(member) == _lineage(victim) for member in members)
    samples = sum(member["samples"] for member in members)
    theirs = _weights(victim)
    alike = [member for member in members if member["defence"] == victim["defence"]]
    shared = sum(len(_weights(member) & theirs) for member in members)
    named = any(
        member["init"] == victim["init"] not in ("random", UNKNOWN) and member["architecture"] == victim["architecture"]
        for member in members
    )
    return Relation(
        case=case_of(
            source_differs=all(member["source"] != victim["source"] for member in members),
            architecture_differs=all(member["architecture"] != victim["architecture"] for member in members),
            balance_differs=all(member["balance"] != victim["balance"] for member in members),
        )
        if known
        else None,
        white_box=len(members) == len(alike) == 1 and _weights(members[0]) == theirs,
        shared_weights=shared / samples,
        same_lineage=lineage,
        same_init=lineage or named or (None if _lacks([*members, victim], "init") else False),
        defence_known=any(member["defence"] == victim["defence"] for member in members),
    )
