"""The same contrast under each definition of success, by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import NothingToShowError, figure
from dumb_bench.report.figures.case_axis import counts_by_case, draw_side_by_side, name_cases, top_of, width_of
from dumb_bench.report.figures.series import first_place

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WORDS = {
    "all_images": "all images", "victim_correct": "victim right (standard)", "both_correct": "both right",
    "surrogate_fooled": "surrogate fooled", "common_correct": "all victims right", "targeted": "target hit",
}  # fmt: skip
"""Definition -> series, in order."""
MEANING = {
    "all_images": "All images: misclassified / all, clean errors included.",
    "victim_correct": "Victim right: misclassified / those that the victim gets right when clean.",
    "both_correct": "Both right: among those that surrogate and victim get right.",
    "surrogate_fooled": "Surrogate fooled: among those of them that fool the surrogate.",
    "common_correct": "All victims right: among those that every compared victim gets right.",
    "targeted": "Target hit: taken for the target / those that the victim gets right when clean.",
}
_COLUMNS = [
    "label", "setting", "case", "definition", "name", "rate", "low", "high", "reason", "n_tests", "n_images", "known",
]  # fmt: skip


@figure(
    "definitions_of_success",
    section="cases",
    order=70,
    table="definitions",
    title="Success under each definition",
    panel=None,
    needs={"reference", "primary", "label", "setting", "case", "definition", "rate", "low", "high", "n_tests", "known"},
)
class DefinitionsOfSuccess:
    """Success of the primary contrast by case under each definition that the stored labels allow."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the primary contrast of the reference population; one row a (case, definition)."""
        rows = frame[frame["rate"].notna() & frame["case"].isin(CASES)].assign(largest=False)
        rows = first_place(rows)
        if rows.empty:
            raise NothingToShowError("Success under each definition is not drawn: no case has a test of an attack.")
        order = {name: index for index, name in enumerate(WORDS)}
        name = rows["definition"].map(WORDS).fillna(rows["definition"].astype(str))
        rows = rows.assign(name=name, a=rows["definition"].map(order).fillna(len(order)))
        rows = rows.sort_values(["a", "definition", "case"], kind="stable").reset_index(drop=True)
        return rows[_COLUMNS].assign(axis_top=top_of(rows))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height in inches."""
        return width_of(frame), 3.0

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Dots with intervals, definitions side by side within a case."""
        draw_side_by_side(axes, frame, "name")
        name_cases(axes, frame["case"], float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the definitions, n and what is not known."""
        place = f"{frame['label'].iloc[0]} @ {frame['setting'].iloc[0]}".removesuffix(" @ ")
        images = frame.groupby("name", sort=False)["n_images"].median()
        counts = ", ".join(f"{name} {value:.0f}" for name, value in images.items() if value == value)
        part = frame[frame["known"] < 1].groupby("name", sort=False)["known"].min()
        gaps = ", ".join(f"{name} {100 * value:.0f} %" for name, value in part.items())
        meant = " ".join(MEANING[name] for name in MEANING if name in set(frame["definition"]))
        return (
            f"{place}. Mean over tests. {meant} Images a test (median): {counts}. Tests: {counts_by_case(frame)}. "
            + (f"Least share of tests for which it is known: {gaps}. " if gaps else "")
            + "Bars, where given: 95 % intervals for new seeds on the same images; hollow: descriptive. White box left "
            "out."
        )
