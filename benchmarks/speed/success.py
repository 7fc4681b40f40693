"""Tables of success, and the rule that no ratio is printed before they agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, equal


class Test(NamedTuple):
    """One test. surrogate: "" for an attack that looks at none. attack: `delta_swap of pgd` for that control."""

    surrogate: str
    attack: str
    strength: float | None
    image_source: str
    delivery: str
    victim: str


class Success(NamedTuple):
    """The counts of one test."""

    n_images: int
    n_victim_correct: int
    n_success: int


Table = dict[Test, Success]
Weights = Mapping[str, Mapping[str, Tensor]]
"""Model id -> name -> tensor."""


class DisagreementError(Exception):
    """Two programs that should compute the same do not: no time of theirs is worth anything."""


def attack_label(name: str, of: str = "") -> str:
    """Return what a test calls its attack. of: the attack whose perturbations a control swaps."""
    return f"{name} of {of}" if of else name


def from_rows(rows: list[dict[str, Any]]) -> Table:
    """Return the table of stored rows of `tests`.

    Raises:
        DisagreementError: two rows are the same test.
    """
    found: Table = {}
    for row in rows:
        of = json.loads(row["attack_params"]).get("of", "") if row["attack"] == "delta_swap" else ""
        test = Test(
            row["surrogate_id"] or "", attack_label(row["attack"], of), row["strength"], row["image_source"],
            row["delivery"], row["victim_id"],
        )  # fmt: skip
        if test in found:
            raise DisagreementError(f"the harness has two rows for {test}")
        found[test] = Success(row["n_images"], row["n_victim_correct"], row["n_success"])
    return found


def require_equal_tables(own: Table, other: Table, name: str) -> None:
    """See that another program found the harness's counts, test by test, and the same tests.

    Raises:
        DisagreementError: names the first test that differs.
    """
    for test in sorted(own.keys() | other.keys(), key=repr):
        ours, theirs = own.get(test), other.get(test)
        if ours != theirs:
            raise DisagreementError(f"{test}: the harness has {ours or 'no such test'}, {name} {theirs or 'none'}")


def require_equal_weights(own: Weights, other: Weights, name: str) -> None:
    """See that another program trained the same weights, bit for bit.

    Raises:
        DisagreementError: names the first model and tensor that differ.
    """
    for model in sorted(own.keys() | other.keys()):
        ours, theirs = own.get(model, {}), other.get(model, {})
        for tensor in sorted(ours.keys() | theirs.keys()):
            if tensor not in ours or tensor not in theirs or not equal(ours[tensor], theirs[tensor]):
                raise DisagreementError(f"model {model}, tensor {tensor!r}: {name} has other weights than the harness")
