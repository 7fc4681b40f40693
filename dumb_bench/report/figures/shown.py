"""What figures over several attacks share: which strength is shown, short names, rows of attacks, looks of series."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.figures.base import MARKERS, PALE, SERIES, WIDEST, shorten
from dumb_bench.report.figures.rows import columns_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NON_MATHEMATICAL = frozenset(
    {"box_blur", "gaussian_noise", "random_black_box", "salt_pepper", "grey_scale", "invert_color", "split_merge_rgb"}
)
"""The attacks that Alecci et al. (RAID 2023) call non-mathematical: they look at no model."""
MATHEMATICAL_NAME, OTHER_NAME = "mathematical attacks", "non-mathematical attacks"
NOISE_NAME = "noise of the same size"

MAX_SERIES = 24
"""Lines that are drawn at most, told apart by colour, marker and line."""
MAX_ATTACKS = 32
"""Rows of attacks that are drawn at most; the CSV has all."""


def is_control(frame: pd.DataFrame) -> pd.Series:
    """Return which rows of `summary` are of a control."""
    found: pd.Series = frame["label"].astype(str).str.startswith(("sign_noise", "delta_swap of "))
    return found


def at_shown_strength(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the reference population's rows of every label at one strength: the primary one, else the largest."""
    primary = frame["primary"].astype(bool)
    declared = frame["label"].isin(frame.loc[primary, "label"].unique())
    return frame[frame["reference"].astype(bool) & np.where(declared, primary, frame["largest"].astype(bool))]


def mathematical(tests: pd.DataFrame) -> pd.Series:
    """Return which tests are of an attack that uses the surrogate."""
    found: pd.Series = ~(tests["copied"].astype(bool) | tests["attack"].isin(NON_MATHEMATICAL))
    return found


def place_name(label: object, setting: object, length: int = 30) -> str:
    """Return an attack and its strength in at most `length` letters, the strength in full where there is room."""
    strength = f" @ {shorten(str(setting), 14)}" if setting not in (None, "") and setting == setting else ""
    return shorten(str(label), max(10, length - len(strength))) + strength


def short_names(places: Iterable[tuple[object, object]], length: int = 30) -> dict[tuple[object, object], str]:
    """Return a name for every (label, setting); those that are equal when shortened are numbered."""
    names: dict[tuple[object, object], str] = {}
    taken: set[str] = set()
    for place in places:
        if place in names:
            continue
        name, number = place_name(*place, length), 2
        while name in taken:
            name, number = f"{place_name(*place, length - 4)} #{number}", number + 1
        taken.add(name)
        names[place] = name
    return names


def told_apart(names: Iterable[object]) -> dict[str, str]:
    """Return each name without what all of them share at both ends: `folder(origin="bing")` beside another origin is
    `bing`. Words are never cut; a single name stays whole.
    """
    found = sorted({str(name) for name in names})
    start = len(re.sub(r"\w+$", "", _shared_start(found))) if len(found) > 1 else 0
    rest = [name[start:] for name in found]
    shared = _shared_start([name[::-1] for name in rest])[::-1] if len(found) > 1 else ""
    end = len(re.sub(r"^\w+", "", shared))
    parts = [name[: len(name) - end] for name in rest]
    return dict(zip(found, parts if all(parts) else found, strict=True))


def _shared_start(names: list[str]) -> str:
    first, last = min(names), max(names)
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:length]


def one_primary(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the tests of the primary contrast; of several variants of its attack the first by label and setting."""
    rows = tests[tests["primary"].astype(bool)]
    if rows.empty:
        return rows
    label = rows["label"].min()
    rows = rows[rows["label"] == label]
    found: pd.DataFrame = rows[rows["setting"] == rows["setting"].min()]
    return found


def in_rows(frame: pd.DataFrame, rate: str) -> pd.DataFrame:
    """Add `attack` (short name), `row` (0 has the highest mean of `rate`), and a row without numbers for each attack
    that a panel lacks; sorted by panel and row. frame: label, setting, panel, in the panels' order.
    """
    import pandas as pd

    mean = frame.groupby(["label", "setting"], sort=True)[rate].mean().sort_values(ascending=False, kind="stable")
    names = short_names(mean.index)
    attacks = pd.DataFrame(list(mean.index), columns=["label", "setting"]).assign(
        attack=[names[place] for place in mean.index], row=range(len(mean))
    )
    panels = pd.DataFrame({"panel": list(dict.fromkeys(frame["panel"]))})
    panels["panel_order"] = range(len(panels))
    full = attacks.merge(panels, how="cross").merge(frame, on=["label", "setting", "panel"], how="left")
    full = full.sort_values(["panel_order", "row"], kind="stable").drop(columns="panel_order")
    return full[["panel", *(name for name in full if name != "panel")]].reset_index(drop=True)


def rows_size(frame: pd.DataFrame, each: float = 0.19) -> tuple[float, float]:
    """Return width and height in inches of a panel with a row for each attack."""
    rows = min(frame["row"].nunique(), MAX_ATTACKS)
    return WIDEST / columns_of(frame["panel"].nunique()), 0.75 + each * max(rows, 2)


def attack_axis(axes: Axes, frame: pd.DataFrame) -> None:
    """Name the rows on the y axis, in the first column of panels only; a light band behind every other row."""
    rows = frame.drop_duplicates("row")
    place = axes.get_subplotspec()
    first = place is None or place.is_first_col()
    names = [str(name) for name in rows["attack"]] if first else [""] * len(rows)
    axes.set_yticks(rows["row"].to_numpy(dtype=float), names, fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for row in range(1, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f5f5f5", lw=0, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(PALE)


def percent_x(axes: Axes, top: float) -> None:
    """Show fractions as percentages on the x axis, 0 to `top`."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_xlim(-0.02 * top, top * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10] if top < 0.15 else [1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.grid(axis="x")


def tenth_above(frame: pd.DataFrame, columns: Iterable[str]) -> float:
    """Return the least tenth at or above every number in some columns, at least .1 and at most 1."""
    values = frame[list(columns)].to_numpy(dtype=float)
    most = float(np.nanmax(values, initial=0.0)) if np.isfinite(values).any() else 0.0
    return min(1.0, max(0.1, float(np.ceil(most * 10 - 1e-9)) / 10))


def look(index: int) -> dict[str, Any]:
    """Return colour, marker and line of a series: all three told apart for 24 series, in grey print too."""
    turn = index // len(SERIES)
    return {
        "color": SERIES[index % len(SERIES)], "marker": MARKERS[(index + 3 * turn) % len(MARKERS)],
        "ls": ("-", (0, (4, 1.5)), (0, (1, 1.2)))[turn % 3], "mec": SERIES[index % len(SERIES)],
        "mfc": "white" if turn % 2 else SERIES[index % len(SERIES)],
    }  # fmt: skip


def spread(values: pd.Series) -> str:
    """Return `5` or `5 to 9` for whole numbers, without nulls."""
    found = values[np.isfinite(values.to_numpy(dtype=float))]
    if found.empty:
        return "0"
    low, high = int(found.min()), int(found.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def cut_note(frame: pd.DataFrame) -> str:
    """Return the sentence that says how many attacks are left out of a drawing, if any."""
    rows = frame["row"].nunique()
    return f" Shown: the first {MAX_ATTACKS} of {rows} attacks; the CSV has all." if rows > MAX_ATTACKS else ""


def denominator(images: pd.Series) -> str:
    """Return what a test's rate is of; images: the tests' denominators."""
    return f"images misclassified by the victim / images it gets right when clean (median {images.median():.0f} a test)"


def ranked_series(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `style` (number of a label's series, the highest `rate` first; -1 for noise) and `line`, its short name: the
    label, with its strength where it has only one.
    """
    attack = rows["role"] == "attack"
    best = rows[attack].groupby("label", sort=True)["rate"].max().sort_values(ascending=False, kind="stable")
    only = rows[attack].groupby("label")["setting"].agg(["nunique", "first"])
    setting = {label: str(row["first"]) if row["nunique"] == 1 else "" for label, row in only.iterrows()}
    names = short_names((label, setting[label]) for label in best.index)
    style = {label: number for number, label in enumerate(best.index)}
    line = {label: names[label, setting[label]] for label in best.index}
    return rows.assign(
        style=rows["label"].map(style).where(attack, -1).fillna(-1).astype(int),
        line=rows["label"].map(line).where(attack, rows["label"]),
    )
