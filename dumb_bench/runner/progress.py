"""Progress: live bars on a terminal, one plain line every 30 s elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dumb_bench.runner.units import AttackUnit, Outcome, TrainUnit, TuneUnit, Unit

PLAIN_EVERY = 30.0


class ProgressWatcher:
    """Shows models trained and tests scored, tests per second, failures and time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._bars: Progress | None = None
        self._said = 0.0

    def started(self, units: Sequence[Unit]) -> None:
        """Begin a round."""
        self.close()
        self._began = self._said = time.monotonic()
        self._models = sum(isinstance(unit, TrainUnit) for unit in units)
        self._tests = sum(unit.tests for unit in units if isinstance(unit, AttackUnit))
        self._choices = sum(isinstance(unit, TuneUnit) for unit in units)
        self._trained = self._scored = self._failed = self._chosen = 0
        self._first_score: float | None = None
        if self._live:
            self._bars = Progress(
                TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TimeRemainingColumn(compact=True), TextColumn("{task.fields[note]}"), console=self._console,
            )  # fmt: skip
            self._bars.start()
            self._model_bar = self._bars.add_task("models", total=self._models, note="") if self._models else None
            self._tune_bar = self._bars.add_task("choices", total=self._choices, note="") if self._choices else None
            self._test_bar = self._bars.add_task("tests", total=self._tests, note="") if self._tests else None

    def ended(self, unit: Unit, outcome: Outcome, failed: bool) -> None:
        """Count a unit."""
        self._failed += failed
        if isinstance(unit, TrainUnit):
            self._trained += 1
        elif isinstance(unit, TuneUnit):
            self._chosen += 1
        elif isinstance(unit, AttackUnit):
            self._first_score = self._first_score or time.monotonic() - outcome.seconds
            self._scored += unit.tests
        if self._bars is not None:
            if self._model_bar is not None:
                self._bars.update(self._model_bar, completed=self._trained)
            if self._tune_bar is not None:
                self._bars.update(self._tune_bar, completed=self._chosen)
            if self._test_bar is not None:
                self._bars.update(self._test_bar, completed=self._scored, note=self._note())

    def _note(self) -> str:
        spent = time.monotonic() - self._first_score if self._first_score else 0.0
        rate = f"{self._scored / spent:,.0f} tests/s" if spent > 1 else ""
        failures = f"{self._failed} failed" if self._failed else ""
        return "  ".join(part for part in (rate, failures) if part)

    def tick(self) -> None:
        """Say where things are, if it is time."""
        now = time.monotonic()
        if self._live or now - self._said < PLAIN_EVERY:
            return
        self._said = now
        left = ""
        if self._scored and self._first_score:
            seconds = (self._tests - self._scored) * (now - self._first_score) / self._scored
            left = f", about {seconds:,.0f} s left"
        note = self._note()
        choices = f"{self._chosen:,} of {self._choices:,} strengths chosen, " if self._choices else ""
        self._console.print(
            f"{now - self._began:,.0f} s: {self._trained:,} of {self._models:,} models, {choices}"
            f"{self._scored:,} of {self._tests:,} tests{', ' + note if note else ''}{left}",
            highlight=False,
            soft_wrap=True,
        )

    def close(self) -> None:
        """Take the bars down."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
