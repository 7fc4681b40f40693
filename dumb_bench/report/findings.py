"""The findings in sentences: an effect is put into words only where it is resolved, with interval and n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.wording import bounds, contrast_name, points
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd

PRIMARY = "primary"
WORDS = {
    "source": "a surrogate trained on another source", "architecture": "a surrogate of another architecture",
    "balance": "a surrogate trained with another balance", "defence": "a victim defended by {level}",
    "posterior": "a surrogate of {level} in place of the single network",
}  # fmt: skip
"""Axis -> what is compared with the same without it."""


def findings(effects: pd.DataFrame | None, declared: str | None, part: str = "") -> list[str]:
    """Return the findings of `axis_effects.axis_effects`: the shown contrast first, then how the other attacks agree.

    Resolved: interval without 0, Holm's p below .05, and seeds enough. What is not resolved is said to be so, with the
    smallest effect that the grid could have shown; it is never called absent. part: `Meta.part`.
    """
    if effects is None or effects.empty:
        return []
    rows: pd.DataFrame = effects[effects["reference"].astype(bool)]
    primary = rows[rows["primary"].astype(bool)]
    texts = _of_contrast(primary, declared, part)
    return texts + _of_others(rows[~rows["primary"].astype(bool) & rows["largest"].astype(bool)])


def _of_contrast(primary: pd.DataFrame, declared: str | None, part: str) -> list[str]:
    if primary.empty:
        return []
    first = primary.iloc[0]
    what = contrast_name(str(first["label"]), str(first["setting"]))
    why = "tests chosen after the run" if part else "no contrast was declared"
    kind = "the declared contrast" if declared else f"exploratory: {why}"
    bare = primary[primary["low"].isna()]
    if len(bare) == len(primary):
        reasons = [str(text).removeprefix("descriptive: ") for text in primary["reason"] if text]
        reason = reasons[0] if reasons else "no interval"
        return [f"{what} ({kind}): descriptive only ({reason}). No effect of an axis is claimed."]
    rows: list[dict[str, Any]] = [{str(key): value for key, value in row.items()} for row in primary.to_dict("records")]
    texts = [_sentence(row, what, kind) for row in rows if row["resolved"]]
    open_rows = [row for row in rows if not row["resolved"] and row["low"] == row["low"]]
    few = [row for row in open_rows if row["reason"]]
    spanning = [row for row in open_rows if not row["reason"]]
    if few:
        why = " and ".join(sorted({str(row["reason"]).removeprefix("descriptive: ") for row in few}))
        parts = "; ".join(_estimate(row) for row in few)
        texts.append(f"{what}: not resolved, whatever the interval, since seeds are too few ({why}): {parts}.")
    if spanning:
        parts = "; ".join(_open(row) for row in spanning)
        texts.append(f"{what}: not resolved, which is no evidence of equality: {parts}.")
    if texts and not any(row["resolved"] for row in rows):
        texts[-1] += " No effect of an axis is claimed."
    return texts


def _name(row: dict[str, Any]) -> str:
    return WORDS.get(str(row["axis"]), str(row["axis"])).format(level=row["level"] or "another")


def _sentence(row: dict[str, Any], what: str, kind: str) -> str:
    """Return the sentence of a resolved effect."""
    change = "lowers" if row["effect"] < 0 else "raises"
    size = points(abs(row["effect"]))
    span = bounds(*sorted((abs(row["low"]), abs(row["high"]))))
    text = (
        f"{what} ({kind}): {_name(row)} {change} success by {size} points {span} (Holm’s p {_p(row['p_holm'])}; "
        f"{row['n_tests']:,} tests of {count_text(row['n_surrogates'], 'surrogate')} and "
        f"{count_text(row['n_victims'], 'victim')})"
    )
    if row["excess"] == row["excess"]:
        text += f"; less what noise of the same size does: {points(row['excess'], sign=True)}"
        text += f" {bounds(row['excess_low'], row['excess_high'], sign=True)}".rstrip()
    if row["images_low"] == row["images_low"]:
        clear = row["images_low"] > 0 or row["images_high"] < 0
        wide = bounds(row["images_low"], row["images_high"], sign=True)
        text += f"; for new images too {wide}" if clear else f"; on new images it is not resolved {wide}"
    return text + "."


def _estimate(row: dict[str, Any]) -> str:
    return f"{_name(row)} {points(row['effect'], sign=True)} points {bounds(row['low'], row['high'], sign=True)}"


def _open(row: dict[str, Any]) -> str:
    text, least = _estimate(row), row["smallest"]
    return text + (f" (effects from about {points(least)} points on can be)" if np.isfinite(least) else "")


def _p(value: float) -> str:
    return "below .001" if value < 0.001 else f"{value:.3f}".lstrip("0")


def _of_others(others: pd.DataFrame) -> list[str]:
    """Return one sentence an axis on the other attacks at their largest strength: in how many it is resolved."""
    texts = []
    for (axis, level), part in others.groupby(["axis", "level"], sort=False):
        known = part[part["low"].notna()]
        if known.empty:
            continue
        clear = known[known["resolved"].astype(bool)]
        name = WORDS.get(str(axis), str(axis)).format(level=level or "another")
        text = f"Other attacks (exploratory): {name} changes success in {len(clear)} of {len(known)}"
        text += " resolvably" + (" (seeds too few)" if (known["reason"].astype(str) != "").all() else "")
        if len(clear):
            lowest, highest = clear["effect"].min(), clear["effect"].max()
            text += f", by {points(lowest, sign=True)}" + (
                f" to {points(highest, sign=True)} points" if lowest != highest else " points"
            )
        texts.append(text + ".")
    return texts
