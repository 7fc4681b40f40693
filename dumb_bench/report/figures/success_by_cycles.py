"""Success against the cycles of a chain, beside deep ensembles of as many networks, which cost about the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.series import HOW_DRAWN, draw_level, draw_series, first_place, in_series, who
from dumb_bench.report.posteriors import is_ensemble, is_single

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SAMPLES_PER_CYCLE = {"csgld": 3, "snapshot": 1}
"""Posterior of cycles -> its default; a name in the tables leaves defaults out."""
_COLUMNS = [
    "axis_top", "panel", "label", "setting", "series", "style", "posterior", "recipe", "samples", "cycles",
    "aggregation", "epochs", "rate", "low", "high", "reason", "n_tests", "n_images", "n_surrogates", "n_victims",
]  # fmt: skip
_GIVEN = re.compile(r"[(, ]samples_per_cycle=(\d+)")


def samples_per_cycle(posterior: str) -> int | None:
    """Return the samples of one cycle of a posterior such as `csgld(cycles=5)`; None where it has no cycles."""
    default = SAMPLES_PER_CYCLE.get(posterior.partition("(")[0])
    given = _GIVEN.search(posterior)
    return default if default is None or given is None else int(given[1])


@figure(
    "success_by_cycles",
    section="posteriors",
    order=25,
    table="posteriors",
    title="Success against cycles",
    needs={"posterior", "recipe", "samples", "aggregation", "relation", "step", "rate", "low", "high", "epochs"},
)
class SuccessByCycles:
    """Mean success of chains after whole cycles and of deep ensembles, a panel for each relation to the victim."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep final images of the primary attack; cycles: whole cycles of a chain, or networks of an ensemble."""
        rows = in_series(first_place(frame[frame["step"].isna()]))
        length = rows["posterior"].astype(str).map(samples_per_cycle).astype(float)
        chain = length.notna() & (rows["samples"] % length == 0)
        if chain.sum() == 0 or rows[chain].groupby("series")["samples"].nunique().max() < 2:
            raise NothingToShowError("Success against cycles is not drawn: no chain has two numbers of whole cycles.")
        beside = is_ensemble(rows) | is_single(rows)
        alike = rows["recipe"].isin(set(rows.loc[chain, "recipe"]))
        kept = chain | (beside & alike if (is_ensemble(rows) & alike).any() else beside)
        cycles = (rows["samples"] / length).where(chain, rows["samples"])
        found: pd.DataFrame = rows.assign(cycles=cycles.astype(float)).loc[kept, _COLUMNS]
        return found.reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """A line for each chain and deep ensemble, recipe and aggregation; single networks as level lines."""
        single = is_single(frame)
        draw_level(axes, frame[single])
        draw_series(axes, frame[~single], "cycles")
        values = sorted(set(frame.loc[~single, "cycles"]))
        axes.set_xticks(values, [f"{value:.0f}" for value in values])
        axes.set_xlabel("cycles of a chain, networks of an ensemble")
        axes.set_ylabel("success")
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators and n."""
        return (
            f"{who(frame)}A chain after so many whole cycles, all samples of each; a deep ensemble of so many "
            "networks. Networks of the chains' recipes alone, where there are ensembles of them. A cycle costs what "
            f"one network of its recipe does where both have as many epochs (column epochs of the CSV). "
            f"{HOW_DRAWN}Level lines: one network. Bars: 95 % intervals for new seeds on the same images; without one, "
            "a description."
        )
