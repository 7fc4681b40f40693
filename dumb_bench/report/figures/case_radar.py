"""Success by case as a radar, a line an attack, as Alecci et al. (RAID 2023) draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import GREY, NothingToShowError, figure
from dumb_bench.report.figures.shown import (
    MATHEMATICAL_NAME,
    OTHER_NAME,
    at_shown_strength,
    denominator,
    look,
    mathematical,
    short_names,
    spread,
    tenth_above,
)
from dumb_bench.report.rates import success_by
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

A_PANEL = 7
"""Lines in a panel at most."""
FEWEST = 3
"""Cases that a radar needs."""


@figure(
    "case_radar",
    section="cases",
    order=20,
    title="Success by case, as a radar",
    panel=(3.1, 2.9),
    needs={"label", "setting", "attack", "role", "case", "counted", "asr", "primary", "largest", "reference", "copied"},
)
class CaseRadar:
    """Mean success in each case, a spoke a case and a line an attack; mathematical attacks apart from the others."""

    projection = "polar"
    most_columns = 2

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (attack, case), at most seven attacks a panel, the highest mean first; noise beside."""
        import pandas as pd

        rows = frame[(frame["role"] == "attack") & frame["counted"].astype(bool)]
        rows = at_shown_strength(rows)
        cases = sorted(rows["case"].unique())
        if len(cases) < FEWEST:
            has = ", ".join(cases) or "no case"
            raise NothingToShowError(f"The radar is not drawn: it needs three cases or more; the tests have {has}.")
        data = success_by(rows.assign(kind=mathematical(rows)), ["kind", "label", "setting", "case"])
        data["mean"] = data.groupby(["label", "setting"])["rate"].transform("mean")
        data = data.sort_values(
            ["kind", "mean", "label", "setting", "case"], ascending=[False, False, True, True, True]
        )
        places = data[["kind", "label", "setting"]].drop_duplicates()
        names = short_names(places[["label", "setting"]].itertuples(index=False, name=None))
        count = places.groupby("kind")["label"].transform("size")
        panels = -(-count // A_PANEL)
        number = places.groupby("kind").cumcount() // -(-count // panels)
        title = np.where(places["kind"], MATHEMATICAL_NAME, OTHER_NAME).astype(object)
        places["panel"] = title + np.where(
            panels > 1, " (" + (number + 1).astype(str) + " of " + panels.astype(str) + ")", ""
        )
        places["line"] = [names[place] for place in places[["label", "setting"]].itertuples(index=False, name=None)]
        places["style"] = range(len(places))
        data = data.merge(places, on=["kind", "label", "setting"]).drop(columns=["kind", "mean"])
        noise = self._noise(frame, rows)
        if noise is not None:
            shown = [panel for panel in dict.fromkeys(data["panel"]) if panel.startswith(MATHEMATICAL_NAME)]
            line = f"random signs @ {noise['setting'].iloc[0]}"
            beside = [noise.assign(panel=panel, line=line, style=-1) for panel in shown]
            data = pd.concat([data, *beside], ignore_index=True)
        return data.assign(spokes=", ".join(cases), axis_top=tenth_above(data, ["rate"]))

    @staticmethod
    def _noise(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Return success of sign noise by case, in the norm of the primary contrast (else the first) and the largest
        of the strengths that the attacks shown have; None without.
        """
        bounded = rows[rows["norm"].notna()]
        if bounded.empty:
            return None
        first = bounded.sort_values("primary", ascending=False, kind="stable").iloc[0]
        noise = frame[(frame["role"] == "noise") & frame["counted"].astype(bool) & frame["reference"].astype(bool)]
        noise = noise[(noise["norm"] == first["norm"]) & noise["strength"].isin(bounded["strength"].unique())]
        noise = noise[noise["strength"] == noise["strength"].max()]
        return None if noise.empty else success_by(noise, ["label", "setting", "case"])

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Close each line that has every spoke; noise is dashed grey; rings are named where lines are shortest."""
        spokes = str(frame["spokes"].iloc[0]).split(", ")
        angles = 2 * np.pi * np.arange(len(spokes)) / len(spokes)
        top = float(frame["axis_top"].iloc[0])
        longest = np.zeros(len(spokes))
        for style in sorted(set(frame["style"])):
            part = frame[frame["style"] == style]
            rate = part.set_index("case")["rate"].reindex(spokes).to_numpy(dtype=float)
            longest = np.fmax(longest, rate)
            how = look(style) | {"ms": 3.6, "lw": 1.1}
            if style < 0:
                how = {"color": GREY, "ls": (0, (2, 1)), "lw": 1.1}
            axes.plot(np.append(angles, 0.0), np.append(rate, rate[0]), label=str(part["line"].iloc[0]), **how)
        polar: object = axes
        polar.set_theta_zero_location("N")  # type: ignore[attr-defined]
        polar.set_theta_direction(-1)  # type: ignore[attr-defined]
        axes.set_xticks(angles, spokes)
        axes.set_ylim(0, top)
        rings = [top / 2, top]
        axes.set_yticks(rings, ["", ""])
        box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
        gap = int(np.argmin(np.maximum(np.roll(longest, 1), longest)))
        angle = (2 * gap - 1) * np.pi / len(spokes)
        for ring in rings:
            text = f"{100 * ring:.0f} %"
            axes.text(angle, ring, text, fontsize=6.5, ha="center", va="center", bbox=box, zorder=5)
        axes.spines["polar"].set_visible(False)
        axes.grid(True)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the spokes, the denominator and n."""
        lines = frame[frame["style"] >= 0]
        noise = frame[frame["style"] < 0]
        beside = f" Grey dashes: {noise['label'].iloc[0]} at {noise['setting'].iloc[0]}." if len(noise) else ""
        spokes = str(frame["spokes"].iloc[0])
        lacking = [case for case in CASES if case not in spokes.split(", ")]
        without = f" No test has the case {', '.join(lacking)}." if lacking else ""
        return (
            f"{count_text(lines['line'].nunique(), 'attack')} at one strength each; a spoke is a case "
            f"({spokes}), its length the "
            f"mean over tests of: {denominator(lines['n_images'])}. Tests behind a point: {spread(lines['n_tests'])}. "
            f"White box and shared weights left out.{beside}{without} No intervals: a description."
        )
