"""Success against the number of weight samples, with the deep ensembles' curve and the single networks beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.series import HOW_DRAWN, draw_level, draw_series, first_place, in_series, who
from dumb_bench.report.posteriors import is_single

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = [
    "axis_top",
    "panel", "label", "setting", "series", "style", "posterior", "recipe", "samples", "aggregation", "rate", "low",
    "high", "reason", "n_tests", "n_images", "n_surrogates", "n_victims", "n_draws",
]  # fmt: skip


@figure(
    "success_by_samples",
    section="posteriors",
    order=20,
    table="posteriors",
    title="Success against the number of samples",
    needs={"posterior", "recipe", "samples", "aggregation", "relation", "step", "rate", "low", "high"},
)
class SuccessBySamples:
    """Mean success of every configuration by its number of samples, a panel for each relation to the victim."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep final images of the primary attack, what has several numbers of samples, and single networks."""
        rows = in_series(first_place(frame[frame["step"].isna()]))
        several = rows.groupby("series")["samples"].transform("nunique") > 1
        if not several.any():
            raise NothingToShowError(
                "Success against the number of samples is not drawn: no posterior has two of them."
            )
        return rows.loc[several | is_single(rows), _COLUMNS].reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """A line for each posterior, recipe and aggregation; single networks as level lines."""
        single = is_single(frame)
        draw_level(axes, frame[single])
        draw_series(axes, frame[~single], "samples")
        values = sorted(set(frame["samples"]))
        axes.set_xscale("log", base=2)
        axes.set_xticks(values, [str(value) for value in values])
        axes.minorticks_off()
        axes.set_xlabel("weight samples")
        axes.set_ylabel("success")
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators and n."""
        draws = frame["n_draws"].max()
        some = f"Up to {draws:.0f} subsets of a pool are averaged. " if draws > 1 else ""
        return (
            f"{who(frame)}{some}{HOW_DRAWN}Level lines: one network. Posteriors with one number "
            "of samples are left to the figure against training cost. The line of deep_ensemble is the curve that "
            "T-DEE reads. Bars: 95 % intervals for new seeds on the same images; without one, a description."
        )
