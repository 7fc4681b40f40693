"""Several studies side by side: success by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import MARKERS, SERIES, NothingToShowError, figure, percent_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = [
    "panel", "study", "number", "label", "setting", "case", "rate", "low", "high", "noise", "n_tests", "n_images",
    "axis_to",
]  # fmt: skip


@figure(
    "studies_by_case",
    table="studies",
    section="cases",
    order=10,
    title="Success by case, study beside study",
    needs={"study", "number", "label", "setting", "case", "rate", "low", "high", "primary", "largest"},
)
class StudiesByCase:
    """One panel an attack that several studies have (else every attack); a colour and marker a study."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep each attack's declared or largest strength, cases C1 to C8; shared attacks first."""
        primary = frame["primary"].astype(bool)
        declared = set(zip(frame.loc[primary, "study"], frame.loc[primary, "label"], strict=True))
        own = np.array([key in declared for key in zip(frame["study"], frame["label"], strict=True)], dtype=bool)
        rows = frame[frame["case"].isin(CASES) & np.where(own, primary, frame["largest"].astype(bool))]
        if rows.empty:
            raise NothingToShowError("Studies are not drawn side by side: no test of an attack has a case.")
        studies = rows.groupby("label")["study"].nunique()
        kept = studies[studies > 1].index if (studies > 1).any() else studies.index
        rows = rows[rows["label"].isin(kept)]
        most = np.nanmax(rows[["rate", "high"]].to_numpy(dtype=float))
        rows = rows.assign(panel=rows["label"].astype(str), axis_to=min(1.0, np.ceil(most * 10 + 1) / 10))
        return rows.sort_values(["panel", "number", "case"], kind="stable")[_COLUMNS].reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Points with intervals, studies beside each other within a case."""
        numbers = sorted(set(frame["number"]))
        for place, number in enumerate(numbers):
            part = frame[frame["number"] == number]
            shift = 0.7 * ((place + 0.5) / len(numbers) - 0.5)
            x = part["case"].map(CASES.index).to_numpy(dtype=float) + shift
            rate, low, high = (part[name].to_numpy(dtype=float) for name in ("rate", "low", "high"))
            colour, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
            solid = np.isfinite(low)
            axes.vlines(x[solid], low[solid], high[solid], color=colour, lw=1.1)
            filling = colour if solid.any() else "white"
            axes.plot(x, rate, marker, ms=4, color=colour, mfc=filling, label=str(part["study"].iloc[0]))
        for at in range(1, 8):
            axes.axvline(at - 0.5, color="#eeeeee", lw=0.6, zorder=0)
        axes.set_xticks(range(8), CASES)
        axes.set_xlim(-0.6, 7.6)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("success")
        percent_axis(axes, top=float(frame["axis_to"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say whose strengths and what is no comparison."""
        at = frame.drop_duplicates(["study", "label"])
        places = (at["label"].astype(str) + " @ " + at["setting"].astype(str)).str.removesuffix(" @ ")
        shown = "; ".join(f"{study}: {', '.join(part)}" for study, part in places.groupby(at["study"], sort=False))
        return (
            f"{shown}. Mean over tests of: images misclassified by the victim / images it gets right when clean, as "
            f"each study counts it; {frame['n_tests'].min()} to {frame['n_tests'].max()} tests behind a point. Hollow: "
            "no interval (one seed). Studies differ in more than their results: see how they were made."
        )
