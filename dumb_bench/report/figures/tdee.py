"""T-DEE: how many networks trained apart each surrogate is worth, under the curve of deep ensembles that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import BLUE, GREEN, GREY, MARKERS, PURPLE, VERMILION, NothingToShowError, figure
from dumb_bench.report.figures.rows import completed, cut, cut_note, name_rows, panel_size, spans
from dumb_bench.report.figures.series import RELATION_ORDER, configuration_names, configuration_places, first_place

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BAND = 4.4
"""Rows' heights that the curves take above the rows."""
_COLUMNS = [
    "panel", "row", "place", "mark", "label", "setting", "relation", "ensemble_recipe", "members", "curve", "posterior",
    "recipe", "samples", "aggregation", "rate", "tdee", "tdee_text", "low", "low_text", "high", "high_text", "reason",
    "n_tests", "n_ensemble_tests", "n_surrogates", "n_victims",
]  # fmt: skip


@figure(
    "tdee",
    section="posteriors",
    order=40,
    table="equivalents",
    title="Deep-ensemble equivalents (T-DEE)",
    panel=None,
    needs={"relation", "ensemble_recipe", "members", "curve", "posterior", "recipe", "samples", "aggregation", "rate"}
    | {"tdee", "tdee_text", "low", "low_text", "high", "high_text", "n_tests"},
)
class Tdee:
    """The deep ensembles' curve on top, T-DEE of every configuration beneath; a panel a relation and recipe."""

    shared_rows = True
    title_letters = 14
    most_columns = 4

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the primary attack and the recipe of deep ensembles with the most sizes.

        One row a (relation, configuration). Added: row (posterior and samples), mark (number of the aggregation).
        """
        rows = first_place(frame)
        if rows.empty:
            raise NothingToShowError("T-DEE is not drawn: the grid has no deep ensembles of two sizes.")
        rows = rows.assign(row=configuration_names(rows, aggregation=False))
        recipes = rows.assign(sizes=frame["members"].str.count(",")).sort_values(
            ["sizes", "ensemble_recipe"], ascending=[False, True]
        )
        rows = rows[rows["ensemble_recipe"] == recipes["ensemble_recipe"].iloc[0]]
        rank = rows["relation"].map({name: index for index, name in enumerate(RELATION_ORDER)})
        ways = sorted(rows["aggregation"].astype(str).unique(), key=lambda name: (name != "mean_logits", name))
        rows = rows.assign(
            panel=rows["relation"].str.replace("architecture", "arch."),
            rank=rank,
            mark=rows["aggregation"].map(ways.index),
        )
        rows = rows.assign(place=configuration_places(rows.assign(aggregation="")))
        rows = rows.sort_values(["rank", "place", "mark"], kind="stable")
        return completed(rows[_COLUMNS]).assign(marks=len(ways))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return panel_size(frame, plot=1.75, least=1.0, extra=1.0 + 0.19 * BAND, most=self.most_columns)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Filled: with an interval; hollow: descriptive; a line to the side is open; an arrow lies off the curve."""
        rows = cut(frame[frame["members"].notna()])
        sizes = sorted({int(size) for text in rows["members"] for size in str(text).split(", ")})
        least, most = sizes[0], sizes[-1]
        left, right = least - 0.12 * (most - least), most + 0.12 * (most - least)
        _curves(axes, rows)
        step = 0.62 / int(frame["marks"].max())
        for mark in sorted(set(rows["mark"].astype(int))):
            part = rows[rows["mark"] == mark]
            y = part["place"] + (mark - (int(frame["marks"].max()) - 1) / 2) * step
            colour, marker = _look(mark)
            low, high = (_end(part, name, left, right) for name in ("low", "high"))
            spans(axes, low, high, y, color=colour, lw=1.2, alpha=0.7, zorder=2)
            value, solid = part["tdee"].to_numpy(dtype=float), part["low_text"].notna().to_numpy()
            text = f"{part['aggregation'].iloc[0]}: T-DEE, 95 % interval"
            axes.plot([], [], marker, ms=3.4, color=colour, mfc=colour if solid.any() else "white", label=text)
            for here, fill in ((solid, colour), (~solid, "white")):
                axes.plot(value[here], y[here], marker, ms=3.4, color=colour, mfc=fill, mew=0.8, zorder=3)
            off = part["tdee_text"].astype(str)
            for word, side, arrow in (("below", left, 4), ("above", right, 5)):
                beyond = y[off.str.startswith(word)]
                if len(beyond):  # an unclipped line without points would upset the layout
                    axes.plot([side] * len(beyond), beyond, marker=arrow, ls="", ms=3.6, color=colour, clip_on=False)
        name_rows(axes, cut(frame))
        axes.set_ylim(axes.get_ylim()[0], -BAND - 0.7)
        axes.set_xlim(left, right)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.axhline(-0.55, color=GREY, lw=0.6)
        axes.set_xlabel("networks")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the attack, the denominators, n and what lies off the curve."""
        known = frame[frame["members"].notna()]
        place = f"{known['label'].iloc[0]} @ {known['setting'].iloc[0]}".removesuffix(" @ ")
        n = known["n_tests"]
        counts = f"{n.min():.0f}" + (f" to {n.max():.0f}" if n.max() > n.min() else "")
        text = known["tdee_text"].astype(str)
        off = [f"{word}: {', '.join(_named(known[text == word]))}" for word in sorted(set(text)) if word[0] in "ab"]
        return (
            f"{place}. Top of a panel: mean success of deep ensembles of {known['ensemble_recipe'].iloc[0]} (0 at the "
            "line, ends labelled) against their number of networks; beneath, the smallest number at which that curve "
            "reaches a surrogate's success, with the sizes whose difference has a 95 % interval that holds zero; "
            "hollow: descriptive; a line to the side: open. Success: images misclassified by the victim / images it "
            f"gets right when clean, the same victims and images for both; {counts} tests behind a surrogate. Arrows: "
            f"off the curve, which is no number, in some panel ({'; '.join(off) if off else 'none'}).{cut_note(frame)}"
        )


def _named(rows: pd.DataFrame) -> list[str]:
    """Return the names of rows, each once."""
    return [str(name) for name in dict.fromkeys(rows["row"])]


def _look(mark: int) -> tuple[str, str]:
    """Return colour and marker of an aggregation."""
    return (BLUE, VERMILION, GREEN, PURPLE)[mark % 4], MARKERS[mark % len(MARKERS)]


def _end(rows: pd.DataFrame, name: str, left: float, right: float) -> pd.Series:
    """Return where an interval ends: at a side where it is open, NaN where there is none."""
    word = rows[f"{name}_text"].astype(object).fillna("").astype(str).str[:5]
    return rows[name].astype(float).mask(word == "below", left).mask(word == "above", right)


def _curves(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw each aggregation's curve in the band above the rows, from 0 at its foot to the highest success."""
    top = max(float(value) for text in rows["curve"] for value in str(text).split(", "))
    for index, (_, part) in enumerate(rows.sort_values("n_tests", ascending=False).groupby("mark", sort=True)):
        first = part.iloc[0]
        x = np.array(str(first["members"]).split(", "), dtype=float)
        rate = np.array(str(first["curve"]).split(", "), dtype=float)
        y = -1.7 - (BAND - 1.5) * rate / max(top, 1e-9)
        colour, _ = _look(int(first["mark"]))
        axes.plot(x, y, ".", ls=("-", "--", ":")[index % 3], ms=3.5, lw=1.1, color=colour)
        if index == 0:
            for end, shift in ((0, -9), (-1, 4)):
                text, place = f"{100 * rate[end]:.3g} %", (x[end], y[end])
                axes.annotate(text, place, (0, shift), textcoords="offset points", ha="center", fontsize=6.5)
