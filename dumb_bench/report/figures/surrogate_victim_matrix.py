"""Who fools whom: a heat map of surrogates and victims."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import GREY, INK, WIDEST, NothingToShowError, balance_order, figure, shorten
from dumb_bench.report.figures.shown import one_primary, told_apart
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_GROUP = ("source", "architecture")
_MORE = ("init", "subset", "defence", "posterior", "recipe")
"""What else tells models apart, where it varies."""
_KEYS = (*_GROUP, "balance", *_MORE, "seed", "id")
_PLAIN = frozenset({"random", "all", "none", "point"})
_HELD = ("task", "delivery", "surrogate_samples", "surrogate_aggregation", "surrogate_modifier")
"""Columns in which the pairs shown agree with the reference population, so that a pair is one condition."""
_ROLES = ("surrogate", "victim")
MAX_SIDE = 96
LEAST_NAMED = 0.105
"""Inches of a cell that a name of 6.5 points needs."""
MAX_NAMED = 40
"""Up to so many models a side each has its name, beyond only groups of a source and an architecture."""


def _pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the tests of the primary contrast that are shown: all models, or of too many the reference population."""
    rows = one_primary(frame)
    reference = rows[rows["reference"].astype(bool)]
    if reference.empty:
        return reference
    for name in _HELD:
        if name in rows:
            value = reference[name].iloc[0]
            rows = rows[rows[name].isna() if value != value or value is None else rows[name] == value]
    fits = all(rows[f"{role}_id"].nunique() <= MAX_NAMED for role in _ROLES)
    return rows if fits else reference


def _names(pairs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return for each role its models in order: id, group (source and architecture), name (what else differs)."""
    import pandas as pd

    models = {
        role: pairs[[f"{role}_{key}" for key in _KEYS if f"{role}_{key}" in pairs]]
        .drop_duplicates(f"{role}_id")
        .rename(columns=lambda name: name.split("_", 1)[1])
        for role in _ROLES
    }
    both = pd.concat(models.values(), ignore_index=True)
    short = {key: told_apart(both[key]) for key in both}
    more = [key for key in _MORE if key in both and both[key].nunique(dropna=False) > 1]
    parts = [key for key in ("balance", *more, "seed") if key in more or both[key].nunique(dropna=False) > 1]
    found = {}
    for role, rows in models.items():
        texts = {key: [shorten(short[key][str(value)], 20) for value in rows[key]] for key in (*_GROUP, *parts)}
        if "seed" in texts:
            texts["seed"] = [f"s{text}" for text in texts["seed"]]
        named = [texts[key] for key in parts]
        rows = rows.assign(
            group=["  ".join(pair) for pair in zip(*(texts[key] for key in _GROUP), strict=True)],
            name=["  ".join(filter(None, row)) for row in zip(*named, strict=True)] if named else "",
        )
        rows["rank"] = rows["balance"].map(lambda value: balance_order(str(value)))
        order = [*_GROUP, "rank", *more, "seed", "id"]
        place = sorted(range(len(rows)), key=lambda at: tuple(_sortable(rows[key].iloc[at]) for key in order))
        found[role] = rows.iloc[place].reset_index(drop=True)
    return found


def _measures(frame: pd.DataFrame) -> tuple[dict[str, float], float]:
    """Return the inches of each role's names, and of a cell: no figure is wider than `WIDEST`."""
    sides = {role: min(int(frame[f"{role}_place"].max()) + 1, MAX_SIDE) for role in _ROLES}
    letters = {role: int((frame[f"{role}_group"] + frame[f"{role}_name"]).map(len).max()) + 4 for role in _ROLES}
    names = {role: 0.4 + 0.055 * count for role, count in letters.items()}
    room = (WIDEST - names["surrogate"] - 0.9) / sides["victim"]
    return names, min(0.21 if max(sides.values()) <= MAX_NAMED else 0.075, room)


def _each_named(frame: pd.DataFrame) -> bool:
    """Return whether every model has its name: few enough, and cells high enough for letters."""
    most = max(int(frame[f"{role}_place"].max()) + 1 for role in _ROLES)
    return most <= MAX_NAMED and _measures(frame)[1] >= LEAST_NAMED


def _sortable(value: object) -> tuple[int, object]:
    """Return a key: numbers before text, the plain value of an axis before the others."""
    if isinstance(value, int | float | np.number | tuple):
        return (0, value)
    return (1, "") if value in _PLAIN else (2, str(value))


@figure(
    "surrogate_victim_matrix",
    section="matrix",
    order=10,
    title="Who fools whom",
    panel=None,
    needs={f"{role}_{key}" for role in _ROLES for key in (*_GROUP, "balance", "seed", "id")}
    | {"asr", "primary", "reference"},
)
class SurrogateVictimMatrix:
    """Success of every surrogate on every victim at the primary contrast."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Average a pair's tests over image sources and attack seeds; number and name rows and columns."""
        rows = _pairs(frame)
        if rows.empty:
            raise NothingToShowError("The matrix is not drawn: no attack was scored on a victim.")
        label = f"{rows['label'].iloc[0]} @ {rows['setting'].iloc[0]}".removesuffix(" @ ")
        keys = [f"{role}_{key}" for role in _ROLES for key in _KEYS if f"{role}_{key}" in rows]
        pairs = rows.groupby(keys, dropna=False, sort=True).agg(
            rate=("asr", "mean"),
            n_tests=("asr", "size"),
            white_box=("white_box", "max"),
            n_images=("n_victim_correct", "median"),
        )
        pairs = pairs.reset_index().assign(label=label)
        for role, models in _names(pairs).items():
            place = models.reset_index().set_index("id")
            for column, name in (("index", "place"), ("group", "group"), ("name", "name")):
                pairs[f"{role}_{name}"] = pairs[f"{role}_id"].map(place[column])
        return pairs.sort_values(["surrogate_place", "victim_place"]).reset_index(drop=True)

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height in inches: cells about square beside the names."""
        wide, high = (min(int(frame[f"{role}_place"].max()) + 1, MAX_SIDE) for role in ("victim", "surrogate"))
        names, cell = _measures(frame)
        return max(3.6, names["surrogate"] + 0.9 + cell * wide), max(2.2, names["victim"] + 0.2 + cell * high)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Dark is high success; thick lines part sources, thin ones architectures; dots mark white-box pairs."""
        import matplotlib as mpl

        frame = frame[(frame["surrogate_place"] < MAX_SIDE) & (frame["victim_place"] < MAX_SIDE)]
        high, wide = (int(frame[f"{role}_place"].max()) + 1 for role in _ROLES)
        named = _each_named(frame)
        values = np.full((high, wide), np.nan)
        values[frame["surrogate_place"], frame["victim_place"]] = frame["rate"]
        top = max(0.1, float(np.ceil(10 * np.nanmax(values)) / 10))
        colours = mpl.colormaps["Blues"].with_extremes(bad="#f3e6dc")
        image = axes.imshow(
            np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=top, aspect="auto", interpolation="nearest"
        )
        own = frame[frame["white_box"].astype(bool)]
        axes.plot(
            own["victim_place"],
            own["surrogate_place"],
            "o",
            ms=2.6 if named else 1.0,
            color="#e69f00",
            mec="white",
            mew=0.4,
        )
        for role, axis, line in (("surrogate", axes.yaxis, axes.axhline), ("victim", axes.xaxis, axes.axvline)):
            models = frame.drop_duplicates(f"{role}_place").sort_values(f"{role}_place")
            self._label(axis, role, models, line, named)
        axes.xaxis.set_tick_params(rotation=90)
        axes.tick_params(length=0)
        axes.set_xlabel("victim", labelpad=4)
        axes.set_ylabel("surrogate", labelpad=4)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.6, aspect=22, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0, symbol=" %"))

    @staticmethod
    def _label(axis: Axis, role: str, models: pd.DataFrame, line: object, named: bool) -> None:
        """Part groups by lines; name each model, with its group at the group's first; of many only the kinds."""
        keys = list(models[[f"{role}_{key}" for key in _GROUP]].astype(str).itertuples(index=False, name=None))
        groups, names = list(models[f"{role}_group"]), list(models[f"{role}_name"])
        starts = [place for place in range(len(keys)) if place == 0 or keys[place] != keys[place - 1]]
        for place in starts[1:]:
            other_source = keys[place][0] != keys[place - 1][0]
            line(place - 0.5, color=INK, lw=1.4 if other_source else 0.5)  # type: ignore[operator]
        more = [f"{role}_{key}" for key in _MORE if f"{role}_{key}" in models]
        kinds = list(models[more].astype(str).itertuples(index=False, name=None))
        for place in range(1, len(kinds)):
            if kinds[place] != kinds[place - 1] and place not in starts:
                line(place - 0.5, color=GREY, lw=0.35)  # type: ignore[operator]
        if named:
            texts = [(groups[at] + "   " if at in starts else "") + name for at, name in enumerate(names)]
            texts = [text.rstrip() for text in texts]
            axis.set_ticks(range(len(names)), texts, fontsize=6.5)
            return
        vary = [key for key in more if models[key].nunique() > 1]
        texts = ["  ".join(shorten(str(value), 20) for value in row) for row in models[vary].to_numpy()]
        runs = [at for at in range(len(keys)) if at in starts or texts[at] != texts[at - 1]]
        runs = runs if len(runs) <= MAX_NAMED else starts
        ends = [*runs[1:], len(keys)]
        middles = [(start + end - 1) / 2 for start, end in zip(runs, ends, strict=True)]
        named_runs = [("   ".join([groups[at]] * (at in starts) + [texts[at]] * bool(texts[at]))) for at in runs]
        axis.set_ticks(middles, named_runs if runs is not starts else [groups[at] for at in starts], fontsize=6.5)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a cell is, its denominator and how much is shown."""
        high, wide = (int(frame[f"{role}_place"].max()) + 1 for role in _ROLES)
        missing = high * wide - len(frame)
        gaps = f" {missing} pairs were not tested (beige)." if missing else ""
        cut = f" Shown: the first {MAX_SIDE} of each; the CSV has all." if max(high, wide) > MAX_SIDE else ""
        return (
            f"{frame['label'].iloc[0]}, {count_text(high, 'surrogate')} (rows) and "
            f"{count_text(wide, 'victim')} (columns). A cell: images "
            "misclassified by the victim / "
            f"images it gets right when clean (median {frame['n_images'].median():.0f}), mean over "
            f"{frame['n_tests'].median():.0f} "
            "tests (image sources, attack seeds). Lines part sources (thick), architectures (thin) and other kinds of "
            f"training (grey). Names leave out what all models share. Dots: white box.{gaps}{cut}"
        )
