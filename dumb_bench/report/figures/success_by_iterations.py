"""Success against the number of iterations, from recorded steps of one attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.series import HOW_DRAWN, draw_series, first_place, in_series, who

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = [
    "axis_top",
    "panel", "label", "setting", "series", "style", "posterior", "recipe", "samples", "aggregation", "iteration",
    "final", "rate", "low", "high", "n_tests", "n_images", "n_surrogates", "n_victims",
]  # fmt: skip


@figure(
    "success_by_iterations",
    section="posteriors",
    order=30,
    table="posteriors",
    title="Success against iterations",
    needs={"posterior", "recipe", "samples", "aggregation", "relation", "step", "steps", "rate", "low"},
)
class SuccessByIterations:
    """Mean success of intermediate and final images, the most samples of every posterior, a panel a relation."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep one attack with recorded steps; of each posterior and recipe the largest number of samples."""
        recorded = frame[["population", "label", "setting"]].apply(tuple, axis=1)
        rows = first_place(frame[recorded.isin(set(recorded[frame["step"].notna()]))])
        if rows.empty:
            raise NothingToShowError("Success against iterations is not drawn: no steps were recorded.")
        most = rows.groupby(["posterior", "recipe", "aggregation"])["samples"].transform("max")
        iteration = rows["step"].astype(float).fillna(rows["steps"].astype(float))
        rows = rows.assign(final=rows["step"].isna(), iteration=iteration)[
            (rows["samples"] == most) & iteration.notna()
        ]
        return in_series(rows.sort_values("iteration", kind="stable"))[_COLUMNS].reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """A line for each posterior, recipe and aggregation."""
        draw_series(axes, frame, "iteration")
        axes.set_xlabel("iterations")
        axes.set_ylabel("success")
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators and n."""
        return (
            f"{who(frame)}Images as they were after so many iterations of one attack; the last point is the final "
            "image (an intermediate image has not used its whole budget where the step is a share of it). Of each "
            f"posterior and recipe the largest number of samples. {HOW_DRAWN}Bars at the end: 95 % intervals."
        )
