"""`--retry-failed` and `--retry-errors`: which failures of earlier runs are forgotten and their units run again."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Sequence
from typing import Any

from dumb_bench.errors import InputError, unknown
from dumb_bench.runner.attempts import FOUND_BY_RUNNER

Retried = bool | tuple[str, ...]
"""All failures, none, or those with one of these error types."""

Row = dict[str, Any]


def error_types(text: str) -> tuple[str, ...]:
    """Return the error types of `TYPE,TYPE`.

    Raises:
        InputError: an empty name.
    """
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names):
        raise InputError(f"--retry-errors: expected error types with commas between, got {text!r}")
    return names


def chosen_failures(failures: Sequence[Row], retried: Retried) -> tuple[list[str], list[Row]]:
    """Return the keys of the units to be tried again, and the rows of the others.

    A unit that was blocked by one that is tried again follows by itself: its row counts for nothing before that one is
    done.

    Raises:
        InputError: there are failures, but the type is none of theirs, of the runner's or of Python's.
    """
    if isinstance(retried, bool):
        return [row["unit_key"] for row in failures] if retried else [], [] if retried else list(failures)
    _check(retried, {row["error_type"] for row in failures})
    again = [row["unit_key"] for row in failures if row["error_type"] in retried]
    return again, [row for row in failures if row["error_type"] not in retried]


def _check(asked: Collection[str], there: Collection[str]) -> None:
    choices = {*there, *FOUND_BY_RUNNER}
    for name in asked if there else ():
        if name not in choices and not hasattr(builtins, name):
            raise InputError(f"--retry-errors: {unknown('error type', name, choices)}")
