"""What the figures of posteriors share: which rows they show, which series those form, how a series looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.figures.base import GREY, INK, MARKERS, SERIES, shorten
from dumb_bench.report.posteriors import RELATIONS, is_ensemble, is_single

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

RELATION_ORDER = tuple(dict.fromkeys(RELATIONS.values()))
SINGLE = "single network"
LINES = {"mean_logits": "-", "cycle": "--"}
HOW_DRAWN = "Solid and filled: mean_logits; dashed and hollow: cycle; dotted and hollow: other aggregations. "


def amount(value: float) -> str:
    """Return a number in at most four digits, with k, M, G, T for powers of a thousand; a dash for none."""
    if value is None or not np.isfinite(value):
        return "–"
    if 0 < abs(value) < 1e-3:
        digits, power = f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    for unit in ("", " k", " M", " G"):
        if abs(value) < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.4g} T"


def first_place(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one attack at one strength: the primary contrast, else the first label's largest strength."""
    if frame.empty:
        return frame
    place = ["population", "label", "setting"]
    rank = frame[[*place, "reference", "primary", "largest"]].drop_duplicates()
    rank = rank.sort_values(["reference", "primary", "largest", *place], ascending=[False] * 3 + [True] * 3)
    return frame[(frame[place] == rank.iloc[0][place]).all(axis=1)]


def in_series(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `series` (posterior, with its recipe where it has several), `style` (its number), `panel` (relation) and
    `axis_top`, the end of all panels' y axes.
    """
    name = frame["posterior"].astype(str).where(~is_single(frame), SINGLE).where(~is_ensemble(frame), "deep_ensemble")
    several = frame.groupby(name)["recipe"].transform("nunique") > 1
    name = name.where(~several, name + ", " + frame["recipe"].astype(str).map(recipe_words(frame["recipe"])))
    names = sorted(name.unique(), key=lambda text: (not text.startswith(SINGLE), text))
    relation = {text: index for index, text in enumerate(RELATION_ORDER)}
    found = frame.assign(
        series=name, style=name.map({text: i for i, text in enumerate(names)}), panel=frame["relation"],
        axis_top=_top(frame), order=frame["relation"].map(relation),
    )  # fmt: skip
    return found.sort_values(["order", "style", "aggregation", "samples"], kind="stable").drop(columns="order")


def recipe_words(recipes: pd.Series) -> dict[str, str]:
    """Return what tells each recipe from the others: `epochs=60` for `small(epochs=60, lr=0.1)`, else its name."""
    names = sorted(recipes.astype(str).unique())
    heads = {name: name.partition("(")[0] for name in names}
    parts = {name: name.partition("(")[2].removesuffix(")").split(", ") for name in names}
    shared = set.intersection(*map(set, parts.values())) if names else set()
    words = {}
    for name in names:
        own = [part for part in parts[name] if part and part not in shared]
        head = [] if own and len(set(heads.values())) == 1 else [heads[name]]
        words[name] = " ".join([*head, ", ".join(own)]).strip()
    return words if len(set(words.values())) == len(names) else {name: name for name in names}


def configuration_names(frame: pd.DataFrame, *, aggregation: bool = True) -> pd.Series:
    """Return what a configuration is called in a row: posterior, samples, aggregation, and the recipe where several.

    The parameters of a posterior stand there only where two have one name.
    """
    posterior = frame["posterior"].astype(str)
    base = posterior.str.partition("(")[0]
    alone = posterior.groupby(base).transform("nunique") == 1
    name = (base.where(alone, posterior) + " " + frame["samples"].map("{:.0f}".format)).where(~is_single(frame), SINGLE)
    several = frame["recipe"].groupby(posterior).transform("nunique") > 1
    name = name.where(~several, name + ", " + frame["recipe"].astype(str).map(recipe_words(frame["recipe"])))
    if not aggregation:
        return name
    found: pd.Series = name.where(is_single(frame), name + ", " + frame["aggregation"].astype(str))
    return found


def configuration_places(frame: pd.DataFrame) -> pd.Series:
    """Return the number of each row's name (`row`): single networks first, `mean_logits` before other aggregations."""
    order = ["other", "posterior", "recipe", "way", "aggregation", "samples"]
    ranked = frame.assign(other=~is_single(frame), way=frame["aggregation"] != "mean_logits")
    names = ranked.sort_values(order, kind="stable")["row"].drop_duplicates()
    return frame["row"].map({name: index for index, name in enumerate(names)})


def _top(frame: pd.DataFrame) -> float:
    """Return the least tenth above every rate and interval, at least .1 and at most 1."""
    highest = float(np.nanmax(frame[["rate", "high"]].to_numpy(dtype=float), initial=0.0))
    return min(1.0, max(0.1, float(np.ceil(highest * 10)) / 10))


def look(style: int, aggregation: str) -> dict[str, Any]:
    """Return how a series is drawn: colour and marker tell series apart, line and filling the aggregation."""
    colour = SERIES[style % len(SERIES)]
    return {
        "color": colour, "marker": MARKERS[(style + style // len(SERIES)) % len(MARKERS)], "ms": 4.2, "lw": 1.2,
        "ls": LINES.get(aggregation, ":"), "mfc": colour if aggregation == "mean_logits" else "white",
    }  # fmt: skip


def draw_series(axes: Axes, frame: pd.DataFrame, x: str) -> None:
    """Draw rate against `x`: a line for every (series, aggregation), intervals as thin bars where there are any."""
    ranked = frame.assign(rank=frame["aggregation"].map(lambda name: (name != "mean_logits", name)))
    for _, part in ranked.groupby(["style", "rank"], sort=True):
        rows = part.sort_values(x)
        aggregation = rows["aggregation"].iloc[0]
        how = look(int(rows["style"].iloc[0]), str(aggregation))
        axes.plot(rows[x], rows["rate"], label=shorten(str(rows["series"].iloc[0])), **how)
        solid = rows[np.isfinite(rows["low"].to_numpy(dtype=float))]
        axes.vlines(solid[x], solid["low"], solid["high"], color=how["color"], lw=0.7, alpha=0.6)


def draw_level(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw the single networks as level lines, one a recipe."""
    for index, (_, part) in enumerate(frame.groupby("style", sort=True)):
        axes.axhline(
            float(part["rate"].iloc[0]), color=(INK, GREY)[index % 2], lw=1.1, ls=(0, (1, 1.5 + index)),
            label=shorten(str(part["series"].iloc[0])), zorder=1.5,
        )  # fmt: skip


def who(frame: pd.DataFrame) -> str:
    """Return attack and strength, the denominator and n, for a caption."""
    place = f"{frame['label'].iloc[0]} @ {frame['setting'].iloc[0]}".removesuffix(" @ ")
    n = frame.groupby("panel", sort=False)["n_tests"].agg(["min", "max"])
    tests = ", ".join(
        f"{panel} {low}" + (f" to {high}" if high != low else "")
        for panel, low, high in n.itertuples(index=True, name=None)
    )
    return (
        f"{place}. Mean over tests of: images misclassified by the victim / images it gets right when clean (median "
        f"{frame['n_images'].median():.0f} a test). White box and shared weights left out, the balance pooled, draws "
        f"of one seed averaged. Tests behind a point: {tests}. "
    )
