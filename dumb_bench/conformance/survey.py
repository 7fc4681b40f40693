"""The conformance checks on many attacks: one row each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dumb_bench.catalogue import Catalogue, check_params, parameters
from dumb_bench.conformance.attack import DEFAULTS, Check, check_attack
from dumb_bench.errors import InputError


class Row(NamedTuple):
    """What the checks say of one attack.

    verdict: `passed`, `failed`, or `refused` for what cannot be used. passed, failed, skipped: numbers of checks.
    check, reason: the first that failed, or why it is refused. settings: the parameters that are not at their defaults.
    """

    name: str
    verdict: str
    passed: int
    failed: int
    skipped: int
    check: str | None
    reason: str | None
    settings: str | None
    checks: list[Check]

    def line(self, width: int) -> str:
        """Return the row for a terminal; width: of the names."""
        start = f"{self.name:<{width}} {self.verdict:<8}"
        if self.verdict == "refused":
            return f"{start} {self.reason}"
        counts = f"{self.passed:>3} passed {self.failed:>2} failed {self.skipped:>2} skipped"
        first = f"; {self.check}: {self.reason}" if self.failed else ""
        return f"{start} {counts}{f'; {self.settings}' if self.settings else ''}{first}"

    @property
    def details(self) -> str:
        """Return one line a check."""
        return "\n".join(f"{item.verdict:<8} {item.check:<24} {item.reason}" for item in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return self._asdict() | {"checks": [check._asdict() for check in self.checks]}


def survey(catalogue: Catalogue, names: Sequence[tuple[str, str | None]], given: Mapping[str, Any]) -> Iterator[Row]:
    """Check attacks one after the other.

    names: each with the reason why it cannot be used, or None. given: parameters; an attack takes those it has.

    Raises:
        InputError: a parameter that none of the attacks has, or a value that an attack does not allow.
    """
    entries = {name: catalogue.get("attacks", name) for name, reason in names if reason is None}
    own = {
        name: {key: value for key, value in given.items() if len(entries) == 1 or key in parameters(entry)}
        for name, entry in entries.items()
    }
    for key in given:
        if not any(key in params for params in own.values()):
            raise InputError(f"--set {key}: no attack that is checked has a parameter {key!r}")
    for name, params in own.items():
        check_params(entries[name], params)
    for name, reason in names:
        if reason is not None:
            yield Row(name, "refused", 0, 0, 0, None, reason, None, [])
            continue
        checks = check_attack(catalogue, name, own[name])
        passed, failed, skipped = (
            [check for check in checks if check.verdict == verdict] for verdict in ("passed", "failed", "skipped")
        )
        first = failed[0] if failed else None
        settings = None if checks[0].reason == DEFAULTS or checks[0] is first else checks[0].reason
        yield Row(
            name, "failed" if failed else "passed", len(passed), len(failed), len(skipped),
            first.check if first else None, first.reason if first else None, settings, checks,
        )  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
    """Return how many attacks passed."""
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("passed", "failed", "refused")}
    checked = counts["passed"] + counts["failed"]
    refused = f"; {counts['refused']} refused" if counts["refused"] else ""
    return f"{checked} attacks checked: {counts['passed']} passed, {counts['failed']} failed{refused}"


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that `--set key=value` gives; the value is TOML, or a word.

    Raises:
        InputError: no key, or a key given twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key.isidentifier()):
            raise InputError(f'--set {text}: expected key=value, as in steps=3 or norm="l2"')
        if key in found:
            raise InputError(f"--set {key}: given twice")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found
