"""Which effects the figures of effects show, in which rows and panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import NothingToShowError
from dumb_bench.report.figures.rows import completed, limits

if TYPE_CHECKING:
    import pandas as pd

AXES = ("source", "architecture", "balance", "defence", "posterior")
PLAIN_LEVEL = "differs"
"""The level of an axis that has no other: source, architecture, balance."""
NEEDS = {"reference", "primary", "largest", "label", "setting", "axis", "level", "effect", "n_tests"}


def shown_effects(frame: pd.DataFrame, values: list[str], what: str) -> pd.DataFrame:
    """Return the effects of the reference population, attacks at the primary strength or else at their largest.

    A row is an attack and a panel an axis (or a level of one); where attacks are fewer than axes, the other way. Added:
    panel, row, place (number of the row), axis_from and axis_to, which hold all `values` (columns). Every panel has all
    rows, with n_tests 0 where there is no effect.

    Raises:
        NothingToShowError: there is no effect; `what` begins its sentence.
    """
    frame = frame[frame["reference"].astype(bool)]
    primary = frame["primary"].astype(bool)
    own = frame["label"].isin(frame.loc[primary, "label"])
    chosen = np.where(own, primary, frame["largest"].astype(bool))
    known = frame[values].astype(float).notna().any(axis=1)
    rows = frame[chosen & known]
    if rows.empty:
        raise NothingToShowError(f"{what} not drawn: no axis has tests where it differs and where it is the same.")
    level = rows["level"].fillna("").astype(str).replace(PLAIN_LEVEL, "")
    attack = (rows["label"].astype(str) + " @ " + rows["setting"].astype(str)).str.removesuffix(" @ ")
    axis = rows["axis"].astype(str) + (": " + level).where(level != "", "")
    rank = rows["axis"].map({name: index for index, name in enumerate(AXES)}).fillna(len(AXES))
    rows = rows.assign(attack=attack, name=axis, a=~rows["primary"].astype(bool), b=rank, level=level)
    attacks = _numbered(rows.sort_values(["a", "attack"], kind="stable")["attack"])
    axes = _numbered(rows.sort_values(["b", "level", "axis"], kind="stable")["name"])
    few = len(attacks) < len(axes)
    row, panel, order = ("name", "attack", axes) if few else ("attack", "name", attacks)
    ends = limits(rows[values])
    rows = rows.assign(
        panel=rows[panel], row=rows[row], place=rows[row].map(order), outer=rows[panel].map(attacks if few else axes)
    )
    rows = rows.sort_values(["outer", "place"], kind="stable").drop(columns=["attack", "name", "a", "b", "outer"])
    stands_out = rows.groupby("place")["primary"].transform("all") & (not rows["primary"].all())
    return completed(rows.assign(bold=stands_out), ["bold"]).assign(axis_from=ends[0], axis_to=ends[1])


def _numbered(names: pd.Series) -> dict[str, int]:
    return {str(name): index for index, name in enumerate(dict.fromkeys(names))}


def ends_of(frame: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the x axis."""
    return float(frame["axis_from"].iloc[0]), float(frame["axis_to"].iloc[0])


def tests_behind(frame: pd.DataFrame) -> str:
    """Return the range of n and the median denominator, for a caption."""
    counts = frame.loc[frame["n_tests"] > 0, "n_tests"]
    low, high = int(counts.min()), int(counts.max())
    images = f", median {frame['n_images'].median():.0f} images a test" if "n_images" in frame else ""
    return f"Tests behind an effect: {low:,}" + (f" to {high:,}" if high > low else "") + images
