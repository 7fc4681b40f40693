"""Every error a user can meet. The message is one line: what, where, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Bad input: the command line prints the message without a traceback and exits with code 2."""


class DamagedFileError(Exception):
    """A stored file is torn or altered; `path` names it, `reason` says how that was noticed."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[DamagedFileError], tuple[str, str]]:
        return (DamagedFileError, (self.path, self.reason))


class AttackError(Exception):
    """An attack broke its contract (shape, finite values, model state); the unit fails, the grid goes on."""


class SchemaError(Exception):
    """A table does not have the columns that this version of the schema promises."""


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """Return the sentence for an unknown name, with the nearest allowed one and all of them."""
    choices = sorted(allowed)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {shown(name)}.{hint} Available: {', '.join(choices) or 'none'}."


def shown(value: object) -> str:
    """Return a value as a message shows it: quoted, what a terminal would obey escaped, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
