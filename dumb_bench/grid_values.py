"""The values that a grid file may hold: names, fractions, sweeps, lists of them; read and checked one by one."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

T = TypeVar("T")


class Choice(NamedTuple):
    """A plugin named in a grid: `"point"`, or `{ name = "csgld", cycles = 5 }`."""

    name: str
    params: tuple[tuple[str, Any], ...] = ()


def as_list(value: Any) -> Any:
    """Return a list as it is, and any other value as a list of one."""
    return value if isinstance(value, list) else [value]


def distinct(values: list[T]) -> list[T]:
    """Return values as they are.

    Raises:
        ValueError: one is given twice.
    """
    seen: set[T] = set()
    for value in values:
        if value in seen:
            shown = value.name if isinstance(value, Choice) else value
            raise ValueError(f"{shown!r} is given twice")
        seen.add(value)
    return values


def _as_choice(value: Any) -> Choice:
    if isinstance(value, str):
        return Choice(value)
    if isinstance(value, dict):
        if not isinstance(value.get("name"), str):
            raise ValueError('expected a table with a `name`, as in { name = "csgld", cycles = 5 }')
        rest = {key: entry for key, entry in value.items() if key != "name"}
        return Choice(value["name"], tuple(sorted((key, _plain(entry)) for key, entry in rest.items())))
    raise ValueError(f"expected a name or a table with a `name`, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_plain(entry) for entry in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"expected a number, text, true, false or a list of them, got {value!r}")


def strength_of(value: Any) -> float:
    """Return a strength written as a number or as a fraction such as "8/255".

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        if not re.fullmatch(r"\s*\d+(\.\d+)?\s*(/\s*\d+(\.\d+)?\s*)?", value):
            raise ValueError(f'expected a number or a fraction such as "8/255", got {value!r}')
        upper, _, lower = value.partition("/")
        if lower and Fraction(lower.strip()) == 0:
            raise ValueError(f"division by zero in {value!r}")
        return _finite(Fraction(upper.strip()) / Fraction(lower.strip() or "1"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'expected a number or a fraction such as "8/255", got {value!r}')
    return _finite(value)


def _finite(value: float | Fraction) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not abs(number) < float("inf"):
        raise ValueError("expected a finite number")
    return number


def sweep(value: Any) -> Any:
    """Return a sweep as a list: "first:last:step", or a list of strengths."""
    if not isinstance(value, str) or ":" not in value:
        return value if isinstance(value, list | tuple) else [value]
    parts = value.split(":")
    try:
        first, last, step = (Fraction(str(strength_of(part.strip()))) for part in parts)
    except ValueError:
        raise ValueError(f'expected "first:last:step", as in "0.01:0.30:0.01", got {value!r}') from None
    if step <= 0 or last < first or (last - first) / step > MAX_SWEEP:
        raise ValueError(f'expected "first:last:step" that rises in at most {MAX_SWEEP} steps, got {value!r}')
    return [float(first + number * step) for number in range(int((last - first) / step) + 1)]


MAX_SWEEP = 1000

Axis = Annotated[list[T], BeforeValidator(as_list), Field(min_length=1), AfterValidator(distinct)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]


def _written(choice: Choice) -> Any:
    return {"name": choice.name, **dict(choice.params)} if choice.params else choice.name


PluginName = Annotated[Choice, BeforeValidator(_as_choice), PlainSerializer(_written)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Strength = Annotated[float, BeforeValidator(strength_of)]


def _samples(value: Any) -> Any:
    if value != "all" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000):
        raise ValueError(f'expected "all" or a whole number from 1 to 100,000, got {value!r}')
    return value


Samples = Annotated[int | str, BeforeValidator(_samples)]
"""How many of a posterior's weight samples are used: the first so many, or all."""


PINNED = {"imagenet": "imagenet1k_v1"}
"""Names of initial weights that stand for a version; a resolved grid and every table hold the version."""

Init = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=100),
    AfterValidator(lambda name: PINNED.get(name, name)),
]
"""`random`, `shared_0`, or the name of weights that an architecture offers."""
