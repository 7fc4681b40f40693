"""What each axis costs in success, with its intervals: a forest plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.figures.base import BLUE, GREY, INK, ORANGE, figure
from dumb_bench.report.figures.effect_rows import NEEDS, ends_of, shown_effects, tests_behind
from dumb_bench.report.figures.rows import cut, cut_note, name_rows, panel_size, points_axis, spans, words_beside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = (
    "panel", "row", "label", "setting", "family", "axis", "level", "effect", "low", "high", "p", "p_holm", "resolved",
    "reason", "images_low", "images_high", "smallest", "excess", "excess_low", "excess_high", "n_tests", "n_surrogates",
    "n_victims", "n_images", "seeds_surrogate", "seeds_victim", "primary", "bold", "place", "axis_from", "axis_to",
)  # fmt: skip
DIFFERS = 0.005
"""An excess over noise closer to the effect than this is not marked: half a percentage point."""


@figure(
    "effects_forest",
    section="effects",
    order=10,
    table="effects",
    title="What each mismatch costs",
    panel=None,
    needs=NEEDS | {"low", "high", "p_holm", "resolved", "reason", "images_low", "images_high", "excess", "n_images"},
)
class EffectsForest:
    """Effect of every axis on success, a row an attack (or an axis), zero line, p and n at the right."""

    shared_rows = True
    title_letters = 26

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the reference population; one row a (attack at its shown strength, axis, level)."""
        values = ["effect", "low", "high", "images_low", "images_high", "excess"]
        rows = shown_effects(frame[frame["effect"].notna()], values, "The effects are")
        return rows[[name for name in _COLUMNS if name in rows]]

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return panel_size(frame, plot=1.5 if frame["panel"].nunique() > 2 else 2.6, least=0.9, beside=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Thick: new seeds; thin: new images too; hollow and grey: not resolved; diamonds: excess over noise."""
        rows = cut(frame)
        place = rows["place"].to_numpy(dtype=float)
        resolved = rows["resolved"].eq(True).to_numpy()
        known = rows["effect"].notna().to_numpy()
        for here, colour, fill, text in (
            (resolved, BLUE, BLUE, "resolved"), (~resolved & known, GREY, "white", "not resolved, or descriptive"),
        ):  # fmt: skip
            part = rows[here]
            spans(axes, part["low"], part["high"], part["place"], color=colour, lw=2.4, alpha=0.75, zorder=2)
            if here.any():
                at = part["effect"], part["place"]
                axes.plot(*at, "o", ms=4.4, color=colour, mfc=fill, mew=1.1, label=text, zorder=3)
        if np.isfinite(rows["images_low"].to_numpy(dtype=float)).any():
            text = "interval for new images too"
            spans(axes, rows["images_low"], rows["images_high"], place, color=INK, lw=0.8, zorder=1.9, label=text)
        apart = (rows["excess"].astype(float) - rows["effect"].astype(float)).abs() > DIFFERS
        if apart.any():
            text = "above noise of the same size"
            y = rows.loc[apart, "place"] + 0.24
            axes.plot(
                rows.loc[apart, "excess"], y, "D", ms=2.8, color=ORANGE, mfc="none", mew=0.9, label=text, zorder=4
            )
        points_axis(axes, ends_of(frame))
        name_rows(axes, rows, bold="bold")
        axes.set_xlabel("percentage points of success")
        words_beside(axes, place, [_words(row) for row in rows.to_dict("records")])

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is compared, n, and what the intervals mean."""
        resolved = int(frame["resolved"].eq(True).sum())
        effects = int(frame["effect"].notna().sum())
        bold = " (bold)" if frame["bold"].any() else ""
        bare = sorted({str(text) for text in frame["reason"].dropna() if text})
        return (
            "An effect: mean success where surrogate and victim differ in the axis minus where they are the same, mean "
            "over the combinations of the other axes; of a defence: victims with it minus undefended ones. Success: "
            f"images misclassified by the victim / images it gets right when clean. {tests_behind(frame)}. Thick: 95 % "
            "intervals for new seeds on the same images; thin, where given: for new images too. p: adjusted by Holm "
            f"within an attack. {resolved} of {effects} are resolved (interval without zero, p below .05, enough "
            f"seeds); a row without p is descriptive. The declared contrast{bold} stands first; all else is "
            f"exploratory.{' Not claimed: ' + '; '.join(bare) + '.' if bare else ''}{cut_note(frame)}"
        )


def _words(row: Mapping[Any, Any]) -> str:
    if not row["n_tests"]:
        return "not tested"
    p = row["p_holm"]
    known = p is not None and np.isfinite(p)
    text = "" if not known else "p < .001" if p < 0.001 else f"p {p:.3f}".replace("0.", ".")
    text = "too few seeds" if known and row["reason"] else text
    return f"{text or 'descriptive'}, n {int(row['n_tests']):,}"
