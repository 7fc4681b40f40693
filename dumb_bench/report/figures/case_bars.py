"""Success by case for all attacks beside each other: a row an attack, what differs from panel to panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import BLUE, GREY, VERMILION, NothingToShowError, figure
from dumb_bench.report.figures.series import RELATION_ORDER
from dumb_bench.report.figures.shown import (
    MAX_ATTACKS,
    NOISE_NAME,
    at_shown_strength,
    attack_axis,
    cut_note,
    denominator,
    in_rows,
    is_control,
    percent_x,
    rows_size,
    spread,
    tenth_above,
)
from dumb_bench.report.posteriors import RELATIONS
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SAME, DIFFERS = "same balance", "balance differs"
_ODD = ("C1", "C3", "C5", "C7")
_COLUMNS = ["rate", "low", "high", "reason", "noise", "n_tests", "n_images", "n_surrogates", "n_victims"]


@figure(
    "case_bars",
    section="cases",
    order=30,
    table="summary",
    title="Success of every attack by case",
    panel=None,
    needs={"label", "setting", "case", "rate", "low", "high", "noise", "primary", "largest", "reference"},
)
class CaseBars:
    """A row an attack, highest mean first; a panel for what differs, the balance told apart by marker."""

    title_letters = 20

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, attack, balance); an attack that a panel lacks has an empty one."""
        rows = at_shown_strength(frame[~is_control(frame)])
        rows = rows[rows["case"].isin(list(RELATIONS))]
        if rows.empty:
            raise NothingToShowError("Success of every attack by case is not drawn: no test of an attack has a case.")
        rows = rows.assign(panel=rows["case"].map(RELATIONS), balance=np.where(rows["case"].isin(_ODD), SAME, DIFFERS))
        rows["order"] = rows["panel"].map({name: place for place, name in enumerate(RELATION_ORDER)})
        rows = rows.sort_values(["order", "case", "label", "setting"], kind="stable")
        data = in_rows(rows[["panel", "label", "setting", "case", "balance", "primary", *_COLUMNS]], "rate")
        return data.assign(axis_top=tenth_above(data, ["rate", "high", "noise"]))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return rows_size(frame, 0.24)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Points with intervals; grey ticks: noise."""
        frame = frame[frame["row"] < MAX_ATTACKS]
        both = frame["balance"].nunique() > 1
        looks = ((SAME, "o", BLUE, BLUE, -0.2), (DIFFERS, "s", VERMILION, "white", 0.2))
        for balance, marker, colour, filling, shift in looks:
            part = frame[frame["balance"] == balance]
            if part.empty:
                continue
            y = part["row"].to_numpy(dtype=float) + (shift if both else 0.0)
            low, high = part["low"].to_numpy(dtype=float), part["high"].to_numpy(dtype=float)
            axes.hlines(y, low, high, color=colour, lw=1.1)
            if part["noise"].notna().any():
                axes.plot(part["noise"], y, "|", color=GREY, ms=8, mew=1.4, label=NOISE_NAME)
            axes.plot(part["rate"], y, marker, ms=4, color=colour, mfc=filling, label=balance)
        attack_axis(axes, frame)
        percent_x(axes, float(frame["axis_top"].iloc[0]))
        axes.set_xlabel("success")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominator, n and what has an interval."""
        shown = frame[frame["rate"].notna()]
        bare = int(shown["low"].isna().sum())
        bars = "Bars: 95 % intervals about new seeds on the same images"
        bars += f"; the {bare} of {len(shown)} points without one are descriptive. " if bare else ". "
        bars = bars if bare < len(shown) else "No intervals: a description. "
        ticks = "Grey ticks: random signs of the same norm and strength, where the attack has a norm."
        ticks = ticks if shown["noise"].notna().any() else "No noise control stands beside."
        return (
            f"{count_text(frame['row'].nunique(), 'attack')} at one strength each, highest mean over the "
            "cases first. Mean over "
            f"tests of: {denominator(shown['n_images'])}. Tests behind a point: {spread(shown['n_tests'])}. White box "
            f"and shared weights left out. {bars}{ticks}{cut_note(frame)}"
        )
