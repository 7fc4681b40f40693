"""Success by case, C1 to C8, with intervals and the controls beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        """Keep the reference population, attacks at the primary or largest strength: primary first, then by success."""
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
        rows["mean"] = -rows["rate"].where(rows["case"] != "WB").groupby(rows["panel"]).transform("mean")
        rows = rows.sort_values(["order", "mean", "panel", "case"], kind="stable")
        most = np.nanmax(rows[["rate", "high", "noise", "swap"]].to_numpy(dtype=float))
        cases = ", ".join(case for case in CASES if case in set(rows["case"]))
        top = min(1.0, np.ceil(most * 10 + 1) / 10)
        return rows[list(_COLUMNS)].assign(cases=cases, axis_to=top).reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Points with intervals; hollow circles: noise; crosses: delta_swap; a square apart: white box."""
        cases = [case for case in CASES if case in str(frame["cases"].iloc[0]).split(", ")]
        slots: dict[str, float] = {case: index for index, case in enumerate(cases)}
        slots["WB"] = len(cases) + (0.6 if cases else 0.0)
        x = frame["case"].map(slots).to_numpy(dtype=float)
        rate = frame["rate"].to_numpy(dtype=float)
        low, high = (frame[name].to_numpy(dtype=float) for name in ("low", "high"))
        counted = (frame["case"] != "WB").to_numpy()
        solid = counted & np.isfinite(low)
        if solid.any():
            error = np.clip(np.stack([rate - low, high - rate])[:, solid], 0, None)
            how: dict[str, Any] = {"fmt": "o", "ms": 4.5, "color": BLUE, "elinewidth": 1.3, "capsize": 2.5}
            axes.errorbar(x[solid], rate[solid], error, label="attack, 95 % interval", **how)
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
        top = float(frame["axis_to"].iloc[0])
        _name_cases(axes, cases, top)
        axes.set_xlim(-0.6, len(cases) - 0.4)
        axes.set_xticks(range(len(cases)), cases)
        if not counted.all():
            if cases:
                axes.axvline(len(cases) - 0.2, color=GREY, lw=0.6, ls=":")
            axes.set_xlim(-0.6, slots["WB"] + 0.6)
            axes.set_xticks([*range(len(cases)), slots["WB"]], [*cases, "WB"])
        axes.tick_params(axis="x", length=0)
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
            f"(median {counted['n_images'].median():.0f} a test). Tests behind a point: {tests}.{_lacking(frame)} Grey "
            "bands: the architecture differs. Odd cases: same balance, even cases: another. Points without an interval "
            "are descriptive. WB: the victim is the surrogate itself."
        )


def _lacking(frame: pd.DataFrame) -> str:
    missing = [case for case in CASES if case not in set(frame["case"])]
    return f" No test has the case {', '.join(missing)}." if missing else ""


def _name_cases(axes: Axes, cases: list[str], top: float) -> None:
    """Mark the cases that occur: bands where the architecture differs, a line where the source begins to."""
    for index, case in enumerate(cases):
        if case in ("C3", "C4", "C7", "C8"):
            axes.axvspan(index - 0.5, index + 0.5, color="#f4f4f4", zorder=0, lw=0)
    same = sum(case < "C5" for case in cases)
    if 0 < same < len(cases):
        axes.axvline(same - 0.5, color=GREY, lw=0.6)
    for text, start, count in (("same source", 0, same), ("source differs", same, len(cases) - same)):
        if count > 1 or count == len(cases) == 1:
            axes.text(start + (count - 1) / 2, top, text, ha="center", va="top", color=GREY, fontsize=7)
