"""What it costs an attack that the surrogate's images came from another source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import BLUE, GREY, INK, VERMILION, NothingToShowError, figure
from dumb_bench.report.figures.shown import (
    MAX_ATTACKS,
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
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PAIRS = {
    "C1, C5: nothing else differs": ("C1", "C5"), "C2, C6: balance differs": ("C2", "C6"),
    "C3, C7: architecture differs": ("C3", "C7"), "C4, C8: both differ": ("C4", "C8"),
}  # fmt: skip
"""What else differs -> the case of the same source and the case of another."""
_KEYS = ["label", "setting", "population", "norm"]
_TAKEN = ["rate", "low", "high", "noise", "n_tests", "n_images"]
_DESIGNS = {
    "own_source_images": ("^", "other source, surrogate's images"),
    "other_source_images": ("v", "other source, other images"),
}


@figure(
    "source_impact",
    section="matrix",
    order=30,
    table="summary",
    title="Same source against another",
    panel=None,
    needs={"label", "setting", "case", "rate", "low", "high", "primary", "largest", "reference", "own_source_images"},
)
class SourceImpact:
    """A row an attack: success where the source is the same and where it is not; a panel for what else differs."""

    title_letters = 20

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, attack) that was scored in both cases of a pair."""
        import pandas as pd

        rows = at_shown_strength(frame[~is_control(frame)])
        parts = []
        for panel, (same, other) in PAIRS.items():
            left = rows.loc[rows["case"] == same, [*_KEYS, "primary", *_TAKEN]]
            right = rows.loc[rows["case"] == other, [*_KEYS, *_TAKEN, *_DESIGNS]]
            parts.append(left.merge(right, on=_KEYS, suffixes=("_same", "_other")).assign(panel=panel))
        data = pd.concat(parts, ignore_index=True).drop(columns=["population", "norm"])
        if data.empty:
            raise NothingToShowError(
                "The impact of the source is not drawn: no attack was scored both on victims of "
                "the surrogate's source and on others."
            )
        both = data[list(_DESIGNS)].notna().all(axis=1)
        data[list(_DESIGNS)] = data[list(_DESIGNS)].where(both, np.nan)
        data = in_rows(data, "rate_same")
        ends = ["rate_same", "high_same", "rate_other", "high_other", *_DESIGNS]
        return data.assign(axis_top=tenth_above(data, ends))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return rows_size(frame, 0.26)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Two points a row and a line between them; triangles split the second by whose images were attacked."""
        frame = frame[frame["row"] < MAX_ATTACKS]
        y = frame["row"].to_numpy(dtype=float)
        ends = frame[["rate_same", "rate_other"]].to_numpy(dtype=float)
        axes.plot(ends.T, np.stack([y - 0.2, y + 0.2]), color=GREY, lw=0.8, zorder=1.5)
        looks = (
            ("same", "o", BLUE, BLUE, -0.2, "same source"),
            ("other", "s", VERMILION, "white", 0.2, "other source"),
        )
        for name, marker, colour, filling, shift, label in looks:
            axes.hlines(y + shift, frame[f"low_{name}"], frame[f"high_{name}"], color=colour, lw=1.2)
            axes.plot(
                frame[f"rate_{name}"], y + shift, marker, ms=4.4, color=colour, mfc=filling, label=label, zorder=3
            )
        for name, (marker, label) in _DESIGNS.items():
            if frame[name].notna().any():
                axes.plot(frame[name], y + 0.2, marker, ms=3.2, color=INK, mew=0.6, mfc="none", label=label, zorder=2.5)
        attack_axis(axes, frame)
        percent_x(axes, float(frame["axis_top"].iloc[0]))
        axes.set_xlabel("success")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominator, n and what has an interval."""
        shown = frame[frame["rate_same"].notna()]
        solid = shown[["low_same", "low_other"]].notna().any(axis=None)
        bars = "Bars: 95 % intervals about new seeds on the same images, of each mean, not of the difference. "
        design = (
            "Triangles, descriptive: the mean over test images of the surrogate's source (up) and of others (down). "
            if shown["own_source_images"].notna().any()
            else ""
        )
        return (
            f"{count_text(frame['row'].nunique(), 'attack')} at one strength each. Mean over tests of: "
            f"{denominator(shown['n_images_same'])}; surrogate and victim were trained on the same source, or not. "
            f"{bars if solid else 'No intervals: a description. '}{design}Tests behind a point: same "
            f"{spread(shown['n_tests_same'])}, other {spread(shown['n_tests_other'])}.{cut_note(frame)}"
        )
