"""Who fools whom: a heat map of surrogates and victims."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import INK, NothingToShowError, balance_order, figure, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_KEYS = ("source", "architecture", "balance", "seed")
MAX_SIDE = 96


@figure(
    "surrogate_victim_matrix",
    section="matrix",
    order=10,
    title="Who fools whom",
    panel=None,
    needs={f"{role}_{key}" for role in ("surrogate", "victim") for key in (*_KEYS, "id")}
    | {"asr", "primary", "reference"},
)
class SurrogateVictimMatrix:
    """Success of every surrogate on every victim at the primary contrast."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Average a pair's tests over image sources and attack seeds; number rows and columns."""
        import pandas as pd

        rows = frame[frame["primary"].astype(bool) & frame["reference"].astype(bool)]
        if rows.empty:
            raise NothingToShowError("The matrix is not drawn: no attack was scored on a victim.")
        label = f"{rows['label'].iloc[0]} @ {rows['setting'].iloc[0]}".removesuffix(" @ ")
        keys = [f"{role}_{key}" for role in ("surrogate", "victim") for key in (*_KEYS, "id")]
        rows = rows.assign(weight=1.0)
        pairs = rows.groupby(keys, dropna=False, sort=True).agg(
            rate=("asr", "mean"),
            n_tests=("asr", "size"),
            white_box=("white_box", "max"),
            n_images=("n_victim_correct", "median"),
        )
        pairs = pairs.reset_index().assign(label=label)
        for role in ("surrogate", "victim"):
            models = pairs[[f"{role}_{key}" for key in (*_KEYS, "id")]].drop_duplicates()
            place = sorted(
                models.itertuples(index=False, name=None),
                key=lambda m: (str(m[0]), str(m[1]), balance_order(str(m[2])), m[3], m[4]),
            )
            numbers = pd.Series({model[4]: index for index, model in enumerate(place)})
            pairs[f"{role}_place"] = pairs[f"{role}_id"].map(numbers)
        return pairs.sort_values(["surrogate_place", "victim_place"]).reset_index(drop=True)

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height in inches."""
        wide, high = (min(int(frame[f"{role}_place"].max()) + 1, MAX_SIDE) for role in ("victim", "surrogate"))
        cell = 0.21 if max(wide, high) <= 32 else 0.075
        return max(3.6, 2.3 + cell * wide), max(2.6, 1.5 + cell * high)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Dark is high success; thick lines part sources, thin ones architectures; dots mark white-box pairs."""
        import matplotlib as mpl

        frame = frame[(frame["surrogate_place"] < MAX_SIDE) & (frame["victim_place"] < MAX_SIDE)]
        high, wide = (int(frame[f"{role}_place"].max()) + 1 for role in ("surrogate", "victim"))
        values = np.full((high, wide), np.nan)
        values[frame["surrogate_place"], frame["victim_place"]] = frame["rate"]
        top = max(0.1, float(np.ceil(10 * np.nanmax(values)) / 10))
        colours = mpl.colormaps["Blues"].with_extremes(bad="#f3e6dc")
        image = axes.imshow(
            np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=top, aspect="equal", interpolation="nearest"
        )
        own = frame[frame["white_box"].astype(bool)]
        axes.plot(
            own["victim_place"],
            own["surrogate_place"],
            "o",
            ms=2.6 if wide <= 32 else 1.0,
            color="#e69f00",
            mec="white",
            mew=0.4,
        )
        for role, axis, line, limit in (
            ("surrogate", axes.yaxis, axes.axhline, high),
            ("victim", axes.xaxis, axes.axvline, wide),
        ):
            models = frame.drop_duplicates(f"{role}_place").sort_values(f"{role}_place")
            self._label(axes, axis, role, models, line, limit)
        axes.tick_params(length=0)
        axes.set_xlabel("victim", labelpad=4)
        axes.set_ylabel("surrogate", labelpad=4)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.6, aspect=22, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0, symbol=" %"))

    @staticmethod
    def _label(axes: Axes, axis: object, role: str, models: pd.DataFrame, line: object, limit: int) -> None:
        names = [
            tuple(str(value) for value in row)
            for row in models[[f"{role}_{key}" for key in _KEYS]].itertuples(index=False)
        ]
        for place in range(1, limit):
            before, after = names[place - 1], names[place]
            if before[0] != after[0]:
                line(place - 0.5, color=INK, lw=1.4)  # type: ignore[operator]
            elif before[1] != after[1]:
                line(place - 0.5, color=INK, lw=0.5)  # type: ignore[operator]
        groups = [place for place in range(limit) if place == 0 or names[place][:2] != names[place - 1][:2]]
        ends = [*groups[1:], limit]
        middles = [(start + end - 1) / 2 for start, end in zip(groups, ends, strict=True)]
        texts = [shorten(f"{names[start][0]}  {names[start][1]}", 30) for start in groups]
        seeds = len({name[3] for name in names}) > 1
        if limit <= 32:
            middles = list(map(float, range(limit)))
            texts = [
                (shorten(f"{name[0]}  {name[1]}", 30) + "   " if place in groups else "")
                + name[2]
                + (f"  s{name[3]}" if seeds else "")
                for place, name in enumerate(names)
            ]
        axis.set_ticks(middles, texts, fontsize=6.5)  # type: ignore[attr-defined]
        if role == "victim":
            axes.xaxis.set_tick_params(rotation=90)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a cell is, its denominator and how much is shown."""
        high, wide = (int(frame[f"{role}_place"].max()) + 1 for role in ("surrogate", "victim"))
        missing = high * wide - len(frame)
        gaps = f" {missing} pairs were not tested (beige)." if missing else ""
        cut = f" Shown: the first {MAX_SIDE} of each; the CSV has all." if max(high, wide) > MAX_SIDE else ""
        return (
            f"{frame['label'].iloc[0]}, {high} surrogates (rows) and {wide} victims (columns). A cell: images "
            f"misclassified by the victim / "
            f"images it gets right when clean (median {frame['n_images'].median():.0f}), mean over "
            f"{frame['n_tests'].median():.0f} "
            f"tests (image sources, attack seeds). Lines part sources (thick) and architectures (thin). Dots: "
            f"white box.{gaps}{cut}"
        )
