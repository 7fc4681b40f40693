"""Success against the number of iterations, from recorded steps of one attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import GREY, MARKERS, SERIES, NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.series import HOW_DRAWN, LINES, RELATION_ORDER, first_place, in_series, who
from dumb_bench.report.posteriors import is_single

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = [
    "axis_top", "panel", "label", "setting", "relation", "posterior", "recipe", "samples", "aggregation", "iteration",
    "final", "rate", "low", "high", "single", "n_tests", "n_images", "n_surrogates", "n_victims",
]  # fmt: skip
_SHOWN = ("mean_logits", "cycle")


@figure(
    "success_by_iterations",
    section="posteriors",
    order=30,
    table="posteriors",
    title="Success against iterations",
    panel=(2.7, 1.75),
    needs={"posterior", "recipe", "samples", "aggregation", "relation", "step", "steps", "rate", "low"},
)
class SuccessByIterations:
    """Mean success of intermediate and final images, a panel a posterior (its most samples), a line a relation."""

    title_letters = 26

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep one attack with recorded steps; of each posterior and recipe the largest number of samples.

        single: success of one network of the same recipe, relation and iteration.
        """
        recorded = frame[["population", "label", "setting"]].apply(tuple, axis=1)
        rows = first_place(frame[recorded.isin(set(recorded[frame["step"].notna()]))])
        if rows.empty:
            raise NothingToShowError("Success against iterations is not drawn: no steps were recorded.")
        most = rows.groupby(["posterior", "recipe", "aggregation"])["samples"].transform("max")
        iteration = rows["step"].astype(float).fillna(rows["steps"].astype(float))
        kept = (rows["samples"] == most) & iteration.notna()
        if rows["aggregation"].isin(_SHOWN).any():
            kept &= rows["aggregation"].isin(_SHOWN) | is_single(rows)
        rows = in_series(rows.assign(final=rows["step"].isna(), iteration=iteration)[kept])
        alone = rows[is_single(rows)].set_index(["recipe", "relation", "iteration"])["rate"]
        alone = alone[~alone.index.duplicated()].rename("single")
        rows = rows.join(alone, on=["recipe", "relation", "iteration"]).assign(panel=rows["series"])
        rank = rows["relation"].map({name: index for index, name in enumerate(RELATION_ORDER)})
        rows = rows.assign(rank=rank).sort_values(["style", "aggregation", "rank", "iteration"], kind="stable")
        return rows[_COLUMNS].reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """A line for each relation and aggregation; thin and grey: one network of the recipe."""
        for index, relation in enumerate(RELATION_ORDER):
            here = frame[frame["relation"] == relation]
            colour, marker = SERIES[index], MARKERS[index]
            for number, (aggregation, rows) in enumerate(here.groupby("aggregation", sort=True)):
                line, full = LINES.get(str(aggregation), ":"), aggregation == "mean_logits"
                axes.plot(rows["iteration"], rows["rate"], ls=line, color=colour, lw=1.1)
                axes.plot(
                    rows["iteration"], rows["rate"], marker, ms=3.4, color=colour, mfc=colour if full else "white"
                )
                if number == 0:
                    axes.plot([], [], marker=marker, ms=3.4, color=colour, lw=1.1, label=relation)
            ends = here[here["final"] & here["low"].notna()]
            axes.vlines(ends["iteration"], ends["low"], ends["high"], color=colour, lw=0.7, alpha=0.6)
            beside = here[here["single"].notna() & ~is_single(here)].drop_duplicates("iteration")
            if len(beside):
                axes.plot(
                    beside["iteration"],
                    beside["single"],
                    "-",
                    color=GREY,
                    lw=0.7,
                    zorder=1,
                    label="one network of the recipe",
                )
        axes.set_xlabel("iterations")
        axes.set_ylabel("success")
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators and n."""
        return (
            f"{who(frame.assign(panel=frame['relation']))}Images as they were after so many iterations of one attack; "
            "the last point is the final image (an intermediate image has not used its whole budget where the step is "
            "a share of it). Of each posterior and recipe the largest number of samples, mean_logits and cycle. "
            f"{HOW_DRAWN}Bars at the end: 95 % intervals."
        )
