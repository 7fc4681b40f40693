"""The columns of `tests` that follow from who attacks whom, whatever the attack: made once for many rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from dumb_bench.relation import relate
from dumb_bench.spec import ModelSpec, SurrogateSpec

MOST_KEPT = 4096
"""Pairs of surrogate and victim that a slot keeps the columns of; the pair used longest ago goes first."""

Ids = frozenset[tuple[str, str]]
"""Training images, as (source, id)."""


class Pairs:
    """Columns of pairs of surrogate and victim.

    Args:
        weights: model -> trained part -> the places in it. trained_on: model -> its training images.
    """

    def __init__(
        self, weights: Callable[[ModelSpec], Mapping[str, list[int]]], trained_on: Callable[[ModelSpec], Ids]
    ) -> None:
        self._weights = weights
        self._trained_on = trained_on
        self._kept: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    def columns(self, surrogate: SurrogateSpec | None, victim: ModelSpec) -> Mapping[str, Any]:
        """Return the columns that describe the two and their relation; the victim's alone without a surrogate."""
        key = (surrogate.id if surrogate else "", victim.id)
        if key not in self._kept:
            self._kept[key] = _role("victim", victim.columns) | (self._related(surrogate, victim) if surrogate else {})
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _related(self, surrogate: SurrogateSpec, victim: ModelSpec) -> dict[str, Any]:
        members = surrogate.models
        relation = relate([self._described(member) for member in members], self._described(victim))._asdict()
        if any(model.checkpoint for model in (*members, victim)):
            return {**_role("surrogate", surrogate.columns), **relation}
        return {**_role("surrogate", surrogate.columns), **relation, "train_overlap": self._overlap(members, victim)}

    def _described(self, model: ModelSpec) -> dict[str, Any]:
        return {**model.columns, "weights": self._weights(model)}

    def _overlap(self, members: tuple[ModelSpec, ...], victim: ModelSpec) -> float:
        """Return the Jaccard index of the training images of surrogate and victim."""
        own = frozenset[tuple[str, str]]().union(*(self._trained_on(member) for member in members))
        theirs = self._trained_on(victim)
        return len(own & theirs) / len(own | theirs)


def _role(role: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{role}_{key}": value for key, value in columns.items()}
