"""An x axis of the cases C1 to C8 that occur; series side by side within a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import GREY, MARKERS, PALE, SERIES, percent_axis, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WIDTH = 0.72
"""What the series of one case take of the distance between cases."""


def places(cases: pd.Series) -> NDArray[np.float64]:
    """Return the x places of cases: those that occur stand at 0, 1, ... in order."""
    there = set(cases)
    slots = {case: float(index) for index, case in enumerate(case for case in CASES if case in there)}
    return np.asarray(cases.map(slots), dtype=np.float64)


def draw_side_by_side(axes: Axes, frame: pd.DataFrame, series: str) -> None:
    """Draw `rate` with `low` and `high` by case; the values of `series`, in order of appearance, beside each other.

    Filled: with an interval; hollow: descriptive. Colour and marker tell series apart.
    """
    names = list(dict.fromkeys(frame[series]))
    step, at = WIDTH / len(names), places(frame["case"])
    for index, name in enumerate(names):
        mine = (frame[series] == name).to_numpy()
        part = frame[mine]
        x = at[mine] + (index - (len(names) - 1) / 2) * step
        low, high = (part[end].to_numpy(dtype=float) for end in ("low", "high"))
        rate, solid = part["rate"].to_numpy(dtype=float), np.isfinite(low)
        colour = SERIES[index % len(SERIES)]
        marker = MARKERS[(index + index // len(SERIES)) % len(MARKERS)]
        axes.vlines(x[solid], low[solid], high[solid], color=colour, lw=1.0, zorder=2)
        for here, fill in ((solid, colour), (~solid, "white")):
            axes.plot(x[here], rate[here], marker, ms=3.6, color=colour, mfc=fill, mew=0.9, zorder=3)
        fill = colour if solid.any() else "white"
        axes.plot([], [], marker, ms=3.6, color=colour, mfc=fill, mew=0.9, label=shorten(str(name), 40))


def name_cases(axes: Axes, cases: pd.Series, top: float) -> None:
    """Mark the cases that occur: bands where the architecture differs, a line where the source begins to."""
    names = [case for case in CASES if case in set(cases)]
    for index, case in enumerate(names):
        if case in ("C3", "C4", "C7", "C8"):
            axes.axvspan(index - 0.5, index + 0.5, color="#f4f4f4", zorder=0, lw=0)
    same = sum(case < "C5" for case in names)
    if 0 < same < len(names):
        axes.axvline(same - 0.5, color=GREY, lw=0.6)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("success")
    percent_axis(axes, top=top)
    for text, start, count in (("same source", 0, same), ("source differs", same, len(names) - same)):
        if count:
            middle, across = start + (count - 1) / 2, axes.get_xaxis_transform()
            axes.text(middle, 1.02, text, transform=across, ha="center", color=GREY, fontsize=7)
    axes.spines["bottom"].set_color(PALE)


def top_of(frame: pd.DataFrame) -> float:
    """Return the least tenth above every rate and interval, at least .1 and at most 1."""
    values = frame[["rate", "high"]].to_numpy(dtype=float)
    return min(1.0, max(0.1, float(np.ceil(np.nanmax(values, initial=0.0) * 10)) / 10))


def width_of(frame: pd.DataFrame) -> float:
    """Return the width (inches) of a figure of these cases."""
    return max(3.6, 0.8 + 0.7 * frame["case"].nunique())


def counts_by_case(frame: pd.DataFrame) -> str:
    """Return the tests behind each case, for a caption."""
    n = frame.groupby("case")["n_tests"].max()
    return ", ".join(f"{case} {int(n[case]):,}" for case in CASES if case in n.index)
