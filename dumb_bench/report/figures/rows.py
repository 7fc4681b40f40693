"""What figures of rows share: a name at the left, a value with its interval on the line, words at the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.figures.base import GREY, PALE, WIDEST, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Reals = NDArray[np.float64]

LONGEST = 38
MAX_ROWS = 40
BESIDE, BESIDE_LETTERS = 1.15, 24
"""Inches and letters of the words at a row's right."""
ROW_HEIGHT, FONT = 0.19, 7.0
_LETTER = 0.056
"""Inches of a letter of a row's name."""


def columns_of(panels: int, most: int | None = None) -> int:
    """Return how many panels `render` puts side by side. most: a figure's `most_columns`."""
    return min(panels, most or (2 if panels in (2, 4) else 3))


def panel_size(
    frame: pd.DataFrame,
    *,
    plot: float,
    least: float,
    beside: bool = False,
    extra: float = 0.75,
    most: int | None = None,
) -> tuple[float, float]:
    """Return width and height (inches) of a panel that draws the rows of `frame` (`row`, `place`, perhaps `panel`).

    plot: width of the plot, down to `least` where more panels stand side by side then; beside: whether words stand at
    its right; extra: the height of title and axis.
    """
    panels = frame["panel"].nunique() if "panel" in frame else 1
    columns = columns_of(panels, most)
    names = max(len(shorten(str(name), LONGEST)) for name in frame["row"])
    named, words = 0.4 + names * _LETTER, BESIDE * beside
    columns = max(1, min(columns, int((WIDEST - named) / (least + words))))
    width = min(named + columns * (plot + words), WIDEST)
    rows = min(int(frame["place"].max()) + 1, MAX_ROWS)
    return max(3.4 if columns == 1 else 0.0, width / columns), extra + ROW_HEIGHT * rows


def completed(frame: pd.DataFrame, names: Sequence[str] = ()) -> pd.DataFrame:
    """Return the frame with every row in every panel, so that panels share their names: n_tests 0 where it was not.

    names: further columns that belong to a row's `place` rather than to the panel.
    """
    rows = frame[["row", "place", *names]].drop_duplicates("place")
    panels = frame[["panel"]].drop_duplicates().assign(outer=range(frame["panel"].nunique()))
    every = panels.merge(rows, how="cross")
    found = every.merge(frame.drop(columns=["row", *names]), on=["panel", "place"], how="left")
    found["n_tests"] = found["n_tests"].fillna(0).astype(int)
    return found.sort_values(["outer", "place"], kind="stable").drop(columns="outer").reset_index(drop=True)


def cut(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are drawn: the first `MAX_ROWS` places."""
    return frame[frame["place"] < MAX_ROWS]


def cut_note(frame: pd.DataFrame) -> str:
    """Return the sentence that says which rows are drawn; empty where all are."""
    rows = int(frame["place"].max()) + 1
    return f" {MAX_ROWS} of {rows} rows shown; the CSV has all." if rows > MAX_ROWS else ""


def name_rows(axes: Axes, frame: pd.DataFrame, *, bold: str = "") -> None:
    """Put the rows' names at the left, first row on top. bold: a column that says whose names stand out."""
    first = frame.drop_duplicates("place").sort_values("place")
    axes.set_yticks(first["place"], _short(first["row"]), fontsize=FONT)
    if bold:  # inner panels have no visible labels
        for label, stands_out in zip(axes.get_yticklabels(), first[bold], strict=False):
            label.set_fontweight("bold" if stands_out else "normal")
    axes.set_ylim(float(frame["place"].max()) + 0.6, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=PALE, lw=0.4, ls=":")
    axes.spines["left"].set_visible(False)


def _short(names: Iterable[object]) -> list[str]:
    """Return names of at most `LONGEST` letters; those that are equal when shortened are numbered."""
    found: list[str] = []
    for name in names:
        text, number = shorten(str(name), LONGEST), 2
        while text in found:
            text, number = f"{shorten(str(name), LONGEST - 4)} #{number}", number + 1
        found.append(text)
    return found


def spans(axes: Axes, low: Any, high: Any, y: Any, **how: Any) -> None:
    """Draw intervals as level lines; those with an end that is no number are left out."""
    ends = np.stack([np.asarray(values, dtype=float) for values in (low, high)])
    there = np.isfinite(ends).all(axis=0)
    if there.any():
        axes.hlines(np.asarray(y, dtype=float)[there], ends[0, there], ends[1, there], **how)


def words_beside(axes: Axes, places: Any, texts: Sequence[str]) -> None:
    """Write a text at the right end of each row, at most `BESIDE_LETTERS` of it."""
    for place, text in zip(places, texts, strict=True):
        words, across = shorten(text, BESIDE_LETTERS), axes.get_yaxis_transform()
        axes.text(1.02, place, words, transform=across, fontsize=6.5, va="center", color=GREY, clip_on=False)


def limits(values: Any, *, least: float = 0.02) -> tuple[float, float]:
    """Return the ends of an axis that holds 0 and all finite values, with a margin; at least `least` wide."""
    found = np.asarray(values, dtype=float)
    found = np.append(found[np.isfinite(found)], 0.0)
    low, high = float(found.min()), float(found.max())
    margin = max(0.06 * (high - low), least / 2)
    return low - margin, high + margin


def points_axis(axes: Axes, ends: tuple[float, float]) -> None:
    """Show differences of fractions as percentage points on the x axis, with a line at zero."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(*ends)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value + 0.0:+.3g}".replace("+0", "0", 1)))
    axes.axvline(0, color=GREY, lw=0.8, zorder=1)


def share_axis(axes: Axes, ends: tuple[float, float]) -> None:
    """Show fractions as percentages on the x axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(*ends)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value + 0.0:.3g} %"))
    axes.grid(axis="x")
