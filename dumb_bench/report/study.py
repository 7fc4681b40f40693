"""Everything that is computed about posteriors, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dumb_bench.report.tables import escaped, write_csv

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

FILES = {
    "gains": "posterior_gains", "configurations": "posterior_costs", "aggregations": "cycle_against_mean",
    "equivalents": "tdee",
}  # fmt: skip
"""Frame -> its files in `tables/`."""


class Study(NamedTuple):
    """Frames of `posteriors.configurations`, `gains`, `aggregations.cycle_against_mean` and `equivalents`."""

    configurations: pd.DataFrame
    gains: pd.DataFrame
    aggregations: pd.DataFrame
    equivalents: pd.DataFrame


def study(results: Results) -> Study | None:
    """Return what can be said of posteriors; None where every surrogate is `point` under `mean_logits`."""
    from dumb_bench.report.aggregations import cycle_against_mean
    from dumb_bench.report.equivalents import equivalents
    from dumb_bench.report.gains import gains
    from dumb_bench.report.posteriors import configurations, has_posteriors, observations

    if not has_posteriors(results.tests):
        return None
    observed = observations(results)
    return Study(configurations(observed), gains(observed), cycle_against_mean(observed), equivalents(observed))


class Shown(NamedTuple):
    """A table as text: `head` and cells are pairs (main, small); the first `left` columns are words.

    `total`: rows before the page's limit; `note`: what it holds; `empty`: the sentence instead of no rows.
    """

    name: str
    title: str
    head: list[tuple[str, str]]
    left: int
    rows: list[list[tuple[str, str]]]
    note: str
    empty: str


def write_study(studied: Study, folder: Path) -> None:
    """Write every frame as CSV, all attacks and strengths; intermediate iterates stand with the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        frame = getattr(studied, name)
        if name == "configurations":
            frame = frame[frame["step"].isna()].drop(columns="step")
        write_csv(frame, folder / f"{file}.csv")


def write_latex(table: Shown, folder: Path) -> None:
    """Write a table as LaTeX (booktabs), to be input inside a `table`."""

    def cell(text: tuple[str, str]) -> str:
        main, small = (escaped(part).replace("−", "$-$").replace("–", "--").replace("×", r"$\times$") for part in text)
        return main + (rf" {{\scriptsize {small}}}" if small else "")

    aligned = "l" * table.left + "r" * (len(table.head) - table.left)
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.", f"% {escaped(table.title)}. {escaped(table.note)}",
        r"\resizebox{\linewidth}{!}{%", rf"\begin{{tabular}}{{{aligned}}}", r"\toprule",
        " & ".join(map(cell, table.head)) + r" \\", r"\midrule",
        *(" & ".join(map(cell, row)) + r" \\" for row in table.rows), r"\bottomrule", r"\end{tabular}}", "",
    ]  # fmt: skip
    (folder / f"{table.name}.tex").write_text("\n".join(lines), encoding="utf-8")
