"""A part of the results: the tests that conditions on how they were made hold for, and what belongs to them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from dumb_bench.errors import InputError, shown
from dumb_bench.report.load import COLUMNS, Results
from dumb_bench.wording import printable

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = frozenset({"n_images", "n_victim_correct", "n_success", "n_target_success", "asr"})
"""What a test measured: choosing tests by it would choose the result."""

ALLOWED = tuple(name for name in COLUMNS["tests"] if name not in OUTCOMES)

_ATTACK = frozenset({"attack", "attack_params", "attack_library", "attack_seed", "targeted"})
"""Which attack it is: controls stand beside every attack, so these conditions are not asked of them."""

_STRENGTH = frozenset({"norm", "strength", "strength_rule"})
"""Of `identity`, which has none, these are not asked either."""

_CONDITION = re.compile(r"([A-Za-z_]\w*)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_MOST_SHOWN = 12
_MOST_NEAR = 6


class Condition(NamedTuple):
    """A column, a relation, and what stands behind it: for = and != values apart by commas, an empty one for null."""

    column: str
    relation: str
    value: str

    @property
    def text(self) -> str:
        """The condition as it was written, without what a terminal would obey."""
        return printable(f"{self.column}{self.relation}{self.value}", 200)

    def values(self, present: pd.Series) -> list[str]:
        """Return the values, or the one with commas in it that is present."""
        return [self.value] if (present == self.value).any() else [each.strip() for each in self.value.split(",")]


def parse_where(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions of `COLUMN=VALUE[,VALUE...]`, `!=`, or `COLUMN<=NUMBER`, `<`, `>=`, `>`.

    Raises:
        InputError: it is no condition, or there is no such column to choose by.
    """
    return tuple(map(_parsed, texts))


def _parsed(text: str) -> Condition:
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise InputError(f"--where {shown(text)}: expected COLUMN=VALUE, as in attack=pgd,bim or strength<=0.1")
    column, relation, rest = found[1], found[2], found[3].strip()
    if column in OUTCOMES:
        raise InputError(f"--where {column}: is what a test measured; tests are chosen by how they were made")
    if column not in ALLOWED:
        holding = [name for name in ALLOWED if column in name]
        alike = difflib.get_close_matches(column, ALLOWED, n=_MOST_NEAR, cutoff=0)
        near = list(dict.fromkeys([*holding, *alike]))[:_MOST_NEAR]
        raise InputError(
            f"--where: the table tests has no column {shown(column)} to choose by; nearest: {', '.join(near)} "
            f"(all {len(ALLOWED)}: docs/reading-results.md)"
        )
    return Condition(column, relation, rest)


R = TypeVar("R", bound=Results)


def restricted(results: R, conditions: Sequence[Condition]) -> R:
    """Return results of the tests that all conditions hold for; sets and choices of strengths that no test uses go.

    Controls are kept beside every attack: they are not asked which attack they are, `identity` not how strong. The
    plan's counts are left out, `meta.part` says what was chosen.

    Raises:
        InputError: a value does not fit its column, or no test of an attack is left.
    """
    if not conditions:
        return results
    tests = results.tests
    control = tests["control"].fillna(False).to_numpy(dtype=bool)
    identity = (tests["attack"] == "identity").to_numpy(dtype=bool)
    kept = np.ones(len(tests), dtype=bool)
    for condition in conditions:
        exempt = control if condition.column in _ATTACK else identity if condition.column in _STRENGTH else False
        asked = _holds(tests[condition.column], condition, results.folder.name)
        if not (asked & kept & ~control).any():
            raise InputError(_nothing(tests.loc[kept & ~control, condition.column], condition, results.folder.name))
        kept &= asked | exempt
    chosen = tests[kept].reset_index(drop=True)
    part = (
        f"Only tests with {' and '.join(each.text for each in conditions)}: "
        f"{int((kept & ~control).sum()):,} of {int((~control).sum()):,}, and their controls."
    )
    sets = results.attacks[results.attacks["attack_id"].isin(set(chosen["attack_id"]))].reset_index(drop=True)
    return replace(
        results,
        tests=chosen,
        attacks=sets,
        tunings=_of_the_same(results.tunings, chosen),
        meta=replace(results.meta, counts={}, part=f"{results.meta.part} {part}".strip()),
    )


def _of_the_same(tunings: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """Return the choices of a strength of the surrogates and attacks in some tests."""
    present = set(zip(tests["surrogate_id"], tests["attack"], strict=True))
    free = {attack for surrogate, attack in present if surrogate is None or surrogate != surrogate}
    pairs = zip(tunings["surrogate_id"], tunings["attack"], strict=True)
    kept = [pair in present or pair[1] in free for pair in pairs]
    return tunings[np.array(kept, dtype=bool)].reset_index(drop=True)


def _holds(values: pd.Series, condition: Condition, where: str) -> Any:
    """Return for which values (N,) a condition holds, (N,) bool."""
    if condition.relation not in ("=", "!="):
        bound = _number(values, condition.value, condition, where)
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        with np.errstate(invalid="ignore"):
            close = np.isclose(numbers, bound, rtol=1e-9, atol=0)
            beyond = numbers < bound if condition.relation[0] == "<" else numbers > bound
        return beyond | close if condition.relation.endswith("=") else beyond & ~close
    found = np.zeros(len(values), dtype=bool)
    for value in condition.values(values):
        found |= _equal(values, value, condition, where)
    return found if condition.relation == "=" else ~found


def _equal(values: pd.Series, value: str, condition: Condition, where: str) -> Any:
    if value == "":
        return values.isna().to_numpy(dtype=bool)
    kind = _kind(values)
    if kind == "number":
        bound = _number(values, value, condition, where)
        return np.isclose(values.to_numpy(dtype=np.float64, na_value=np.nan), bound, rtol=1e-9, atol=0)
    if kind == "truth":
        if value not in ("true", "false"):
            raise InputError(
                f"--where {condition.text} ({where}): {condition.column} is true or false, got {shown(value)}"
            )
        return (values.astype(object).where(values.notna(), None) == (value == "true")).to_numpy(dtype=bool)
    found: pd.Series = values == value
    return found.fillna(False).to_numpy(dtype=bool)


def _kind(values: pd.Series) -> str:
    """Return whether a column holds a `number`, a `truth` value or `text`."""
    from pandas.api import types

    if types.is_bool_dtype(values) or (
        values.dtype == object and any(isinstance(value, bool) for value in values.unique())
    ):
        return "truth"
    return "number" if types.is_numeric_dtype(values) else "text"


def _number(values: pd.Series, text: str, condition: Condition, where: str) -> float:
    from dumb_bench.grid_values import strength_of

    if _kind(values) != "number":
        raise InputError(f"--where {condition.text} ({where}): {condition.column} is no number; use = or !=")
    try:
        return strength_of(text)
    except ValueError:
        said = f'{condition.column} is a number, such as 0.1 or "8/255", got {shown(text)}'
        raise InputError(f"--where {condition.text} ({where}): {said}") from None


def _nothing(values: pd.Series, condition: Condition, where: str) -> str:
    """Return the sentence for a condition that no test of an attack holds for."""
    present = sorted({"" if value != value or value is None else _text(value) for value in values.unique()})
    listed = ", ".join(value or "(null)" for value in present[:_MOST_SHOWN])
    more = f" and {len(present) - _MOST_SHOWN} more" if len(present) > _MOST_SHOWN else ""
    return f"--where {condition.text} ({where}): no test is left; {condition.column} has {listed or 'no value'}{more}"


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
