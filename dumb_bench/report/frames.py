"""The frames that figures, tables and the page are made of; each is computed once, when it is first asked for."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from dumb_bench.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.design import Design
    from dumb_bench.report.gates import Gate
    from dumb_bench.report.load import Results
    from dumb_bench.report.study import Study

NAMES = (
    "tests", "summary", "models", "tunings", "attacks", "posteriors", "equivalents", "defences", "gates",
    "effects", "shares", "definitions", "classes", "visibility",
)  # fmt: skip


class Frames:
    """What is derived from the results of one folder, by name (`NAMES`)."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def get(self, name: str) -> pd.DataFrame | None:
        """Return a frame; None where the grid has nothing of the kind, and for `studies`, which several folders have.

        Raises:
            InputError: there is no such frame.
        """
        if name == "studies":
            return None
        if name not in NAMES:
            raise InputError(unknown("frame", name, NAMES))
        found: pd.DataFrame | None = getattr(self, name)
        return found

    @cached_property
    def tests(self) -> pd.DataFrame:
        """The scored tests with what groups them: `groups.prepared`."""
        from dumb_bench.report.groups import prepared

        return prepared(self.results)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Success by case with intervals and controls: `contrasts.summary`."""
        from dumb_bench.report.contrasts import summary

        return summary(self.tests, self.plan)

    @cached_property
    def plan(self) -> Design:
        """Who meets whom in `tests`: `design.design`."""
        from dumb_bench.report.design import design

        return design(self.tests)

    @cached_property
    def models(self) -> pd.DataFrame:
        """The models, as stored."""
        return self.results.models

    @cached_property
    def tunings(self) -> pd.DataFrame:
        """The choices of a strength, as stored."""
        return self.results.tunings

    @cached_property
    def attacks(self) -> pd.DataFrame:
        """The adversarial sets, as stored, without intermediate iterates; of norms the largest of a set."""
        return self.results.final.attacks

    @cached_property
    def study(self) -> Study | None:
        """Everything on posteriors: `study.study`."""
        from dumb_bench.report.study import study

        return study(self.results)

    @cached_property
    def posteriors(self) -> pd.DataFrame | None:
        """Success and costs of each configuration: `posteriors.configurations`."""
        return None if self.study is None else self.study.configurations

    @cached_property
    def equivalents(self) -> pd.DataFrame | None:
        """Deep-ensemble equivalents: `equivalents.equivalents`."""
        return None if self.study is None else self.study.equivalents

    @cached_property
    def defences(self) -> pd.DataFrame | None:
        """What each defence does: `defences.defence_rows`."""
        from dumb_bench.report.defences import defence_rows, defended

        return defence_rows(self.results) if defended(self.results) else None

    @cached_property
    def visibility(self) -> pd.DataFrame:
        """Success, visibility and costs of every attack at every strength: `visibility.visibility`."""
        from dumb_bench.report.visibility import visibility

        return visibility(self.tests, self.attacks)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """What each axis costs: `axis_effects.axis_effects`."""
        from dumb_bench.report.axis_effects import axis_effects
        from dumb_bench.report.per_image import outcomes

        return axis_effects(self.tests, partial(outcomes, self.results), self.plan)

    @cached_property
    def definitions(self) -> pd.DataFrame:
        """Success under every definition: `definitions.definitions`."""
        from dumb_bench.report.definitions import definitions

        return definitions(self.results, self.tests)

    @cached_property
    def classes(self) -> pd.DataFrame:
        """Success of each class: `class_rates.class_rates`."""
        from dumb_bench.report.class_rates import class_rates

        return class_rates(self.results, self.tests)

    @cached_property
    def shares(self) -> pd.DataFrame:
        """How the spread of success is shared out among the axes: `variance_shares.variance_shares`."""
        from dumb_bench.report.variance_shares import variance_shares

        return variance_shares(self.tests)

    @cached_property
    def checks(self) -> list[Gate]:
        """Every check of the run, in the order shown."""
        from dumb_bench.report.defence_gates import defence_gates
        from dumb_bench.report.gates import gates
        from dumb_bench.report.published import as_published

        return as_published([*gates(self.results), *defence_gates(self.results)], self.results)

    @cached_property
    def gates(self) -> pd.DataFrame:
        """The checks of the run: name, status, sentence."""
        import pandas as pd

        return pd.DataFrame([{**gate._asdict(), "details": list(gate.details)} for gate in self.checks])
