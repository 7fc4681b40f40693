"""Which architecture fools which: surrogates' architectures against victims'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import INK, NothingToShowError, figure, shorten
from dumb_bench.report.figures.shown import denominator, one_primary, place_name, spread, tenth_above, told_apart
from dumb_bench.report.rates import success_by

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SAME, OTHER = "same source", "other source"
_ROLES = ("surrogate", "victim")
MAX_SIDE = 16
N_IN_CELLS = 5
"""Up to so many architectures a cell says its n too."""


@figure(
    "architecture_matrix",
    section="matrix",
    order=20,
    title="Which architecture fools which",
    panel=None,
    needs={
        "surrogate_architecture", "victim_architecture", "surrogate_source", "victim_source", "asr", "counted", "role",
        "primary", "reference", "label", "setting", "surrogate_id", "victim_id", "image_source",
    },
)  # fmt: skip
class ArchitectureMatrix:
    """Mean success at the primary contrast by both architectures, printed in the cells; a panel for the source."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, surrogate architecture, victim architecture); architectures by name, numbered."""
        import pandas as pd

        rows = one_primary(frame[frame["reference"].astype(bool) & frame["counted"].astype(bool)])
        if rows.empty:
            raise NothingToShowError("The architectures are not compared: no test of the primary contrast has a case.")
        first = rows[["label", "setting"]].iloc[0]
        found = {role: sorted(rows[f"{role}_architecture"].astype(str).unique()) for role in _ROLES}
        if len(found["surrogate"]) == len(found["victim"]) == 1:
            names = sorted({*found["surrogate"], *found["victim"]})
            raise NothingToShowError(
                f"The architectures are not compared: all models have {shorten(' or '.join(names))}."
            )
        same = rows["surrogate_source"] == rows["victim_source"]
        keys = ["panel", "surrogate_architecture", "victim_architecture"]
        data = success_by(rows.assign(panel=np.where(same, SAME, OTHER)), keys)
        data = data.sort_values("panel", ascending=False, kind="stable")
        panels = list(dict.fromkeys(data["panel"]))
        cells = pd.MultiIndex.from_product([panels, found["surrogate"], found["victim"]], names=keys)
        data = data.set_index(keys).reindex(cells).reset_index()
        short = told_apart([*found["surrogate"], *found["victim"]])
        for role in _ROLES:
            data[f"{role}_place"] = data[f"{role}_architecture"].map({name: at for at, name in enumerate(found[role])})
            data[f"{role}_name"] = [shorten(short[name], 24) for name in data[f"{role}_architecture"]]
        attack = place_name(first["label"], first["setting"], 60)
        return data.assign(attack=attack, axis_top=tenth_above(data, ["rate"]))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches, cells about square."""
        wide, high = (min(int(frame[f"{role}_place"].max()) + 1, MAX_SIDE) for role in ("victim", "surrogate"))
        cell = 0.56 if max(wide, high) <= N_IN_CELLS else 0.36
        longest = {role: 0.065 * int(frame[f"{role}_name"].map(len).max()) for role in _ROLES}
        left = longest["surrogate"] / frame["panel"].nunique()
        return max(2.2, 0.5 + left + cell * wide), 0.6 + longest["victim"] + cell * high

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Dark is high; the number is success in per cent; a frame marks the same architecture."""
        from matplotlib import colormaps
        from matplotlib.patches import Rectangle

        frame = frame[(frame["surrogate_place"] < MAX_SIDE) & (frame["victim_place"] < MAX_SIDE)]
        values = frame.pivot(index="surrogate_place", columns="victim_place", values="rate").to_numpy(dtype=float)
        top = float(frame["axis_top"].iloc[0])
        colours = colormaps["Blues"].with_extremes(bad="#f3e6dc")
        axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=top, aspect="auto")
        counts = max(values.shape) <= N_IN_CELLS
        for row in frame.to_dict("records"):
            x, y, rate = row["victim_place"], row["surrogate_place"], row["rate"]
            if row["surrogate_architecture"] == row["victim_architecture"]:
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec=INK, lw=1.1, clip_on=False))
            if not np.isfinite(rate):
                continue
            text = f"{100 * rate:.0f}" + (f"\nn {row['n_tests']:.0f}" if counts else "")
            colour = "white" if rate > 0.6 * top else INK
            axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=colour, linespacing=1.1)
        self._names(axes, frame)
        for spine in axes.spines.values():
            spine.set_visible(False)

    @staticmethod
    def _names(axes: Axes, frame: pd.DataFrame) -> None:
        """Name columns, and rows in the first panel of a line."""
        place = axes.get_subplotspec()
        first = place is None or place.is_first_col()
        for role, axis in (("surrogate", axes.yaxis), ("victim", axes.xaxis)):
            names = frame.drop_duplicates(f"{role}_place").sort_values(f"{role}_place")
            texts = list(names[f"{role}_name"]) if role == "victim" or first else [""] * len(names)
            axis.set_ticks(names[f"{role}_place"].to_numpy(dtype=float), texts, fontsize=7)
        axes.xaxis.set_tick_params(rotation=90)
        axes.tick_params(length=0)
        axes.set_xlabel("victim")
        axes.set_ylabel("surrogate" if first else "")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a cell is, its denominator and n."""
        sides = max(int(frame[f"{role}_place"].max()) + 1 for role in _ROLES)
        cut = f" Shown: the first {MAX_SIDE} a side; the CSV has all." if sides > MAX_SIDE else ""
        return (
            f"{frame['attack'].iloc[0]}. A cell: per cent, mean over tests of "
            f"{denominator(frame['n_images'].dropna())}. Tests (n) in a cell: {spread(frame['n_tests'])}. Balances "
            "pooled, white box and shared weights left out: in a framed cell other networks of the same architecture "
            f"are attacked. Beige: not tested. No intervals: a description.{cut}"
        )
