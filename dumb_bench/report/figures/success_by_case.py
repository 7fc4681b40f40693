"""Success by case, C1 to C8, with intervals and the controls beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import BLUE, GREY, INK, PALE, VERMILION, NothingToShowError, figure, percent_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = (
    "panel", "label", "setting", "case", "rate", "low", "high", "reason", "n_tests", "n_images", "noise",
    "noise_n", "swap", "swap_n", "population",
)  # fmt: skip


@figure(
    "success_by_case",
    section="cases",
    order=10,
    table="summary",
    title="Success by case",
    needs={"label", "setting", "case", "rate", "low", "high", "noise", "swap", "primary", "largest", "reference"},
)
class SuccessByCase:
    """Mean success in each case, one panel an attack (primary strength, else the largest), controls beside."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the reference population, the attacks at their primary or largest strength, the primary one first."""
        control = frame["label"].astype(str).str.startswith(("sign_noise", "delta_swap of "))
        primary = frame["primary"].astype(bool)
        own = frame["label"].isin(frame.loc[primary, "label"])
        rows = frame[frame["reference"].astype(bool) & ~control & np.where(own, primary, frame["largest"].astype(bool))]
        if rows.empty:
            raise NothingToShowError("Success by case is not drawn: no test of an attack has a case.")
        text = rows["label"].astype(str) + (" @ " + rows["setting"].astype(str)).where(
            rows["setting"].astype(str) != "", ""
        )
        rows = rows.assign(panel=text, order=~rows["primary"].astype(bool))
        rows = rows.sort_values(["order", "panel", "case"], kind="stable")
        most = np.nanmax(rows[["rate", "high", "noise", "swap"]].to_numpy(dtype=float))
        return rows[list(_COLUMNS)].assign(axis_to=min(1.0, np.ceil(most * 10 + 1) / 10)).reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Points with intervals; hollow circles: noise; crosses: delta_swap; a square apart: white box."""
        slots = {case: index for index, case in enumerate(CASES)} | {"WB": 8.6}
        x = frame["case"].map(slots).to_numpy(dtype=float)
        rate = frame["rate"].to_numpy(dtype=float)
        low, high = (frame[name].to_numpy(dtype=float) for name in ("low", "high"))
        counted = (frame["case"] != "WB").to_numpy()
        for at in (0, 4):
            axes.axvspan(at + 1.5, at + 3.5, color="#f4f4f4", zorder=0, lw=0)
        axes.axvline(3.5, color=GREY, lw=0.6)
        solid = counted & np.isfinite(low)
        error = np.clip(np.stack([rate - low, high - rate])[:, solid], 0, None)
        axes.errorbar(
            x[solid],
            rate[solid],
            error,
            fmt="o",
            ms=4.5,
            color=BLUE,
            elinewidth=1.3,
            capsize=2.5,
            label="attack, 95 % interval",
        )
        bare = counted & ~np.isfinite(low)
        if bare.any():
            axes.plot(x[bare], rate[bare], "o", ms=4.5, mfc="white", color=BLUE, label="attack, descriptive")
        if not counted.all():
            axes.plot(x[~counted], rate[~counted], "s", ms=4.5, color=INK, label="white box")
        for column, marker, label, shift, colour in (
            ("noise", "_", "noise of the same size", 0.0, VERMILION), ("swap", "x", "delta_swap", 0.0, GREY),
        ):  # fmt: skip
            values = frame[column].to_numpy(dtype=float)
            if np.isfinite(values).any():
                axes.plot(
                    x + shift,
                    values,
                    marker,
                    ms=4 if marker == "x" else 9,
                    mew=1.4,
                    color=colour,
                    label=label,
                    zorder=1.8,
                )
        axes.set_xlim(-0.6, 7.6)
        axes.set_xticks(range(8), CASES)
        if not counted.all():
            axes.axvline(7.8, color=GREY, lw=0.6, ls=":")
            axes.set_xlim(-0.6, 9.2)
            axes.set_xticks([*range(8), slots["WB"]], [*CASES, "WB"])
        axes.tick_params(axis="x", length=0)
        top = float(frame["axis_to"].iloc[0])
        axes.text(1.5, top, "same source", ha="center", va="top", color=GREY, fontsize=7)
        axes.text(5.6, top, "source differs", ha="center", va="top", color=GREY, fontsize=7)
        axes.set_ylabel("success")
        percent_axis(axes, top=top)
        axes.spines["bottom"].set_color(PALE)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominator, n and what the intervals mean."""
        counted = frame[frame["case"] != "WB"]
        if counted.empty:
            return "Every test of these attacks is white box (WB): no case is shown."
        n = counted.groupby("case")["n_tests"].median()
        tests = ", ".join(f"{case} {int(value)}" for case, value in n.items())
        kinds = frame["panel"].nunique()
        shown = f"{kinds} attacks at one strength each" if kinds > 1 else str(frame["panel"].iloc[0])
        return (
            f"{shown}. Mean over tests of: images misclassified by the victim / images it gets right when clean "
            f"(median {counted['n_images'].median():.0f} a test). Tests behind a point: {tests}. Grey bands: the "
            f"architecture "
            "differs. Odd cases: same balance, even cases: another. Points without an interval are descriptive. "
            "WB: the "
            "victim is the surrogate itself."
        )
