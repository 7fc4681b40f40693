"""The page's tables of axis effects and of shares of the spread, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dumb_bench.report.wording import bounds, contrast_name, points

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 24


def axes_table(effects: pd.DataFrame) -> dict[str, Any]:
    """Return rows of effects (points) of the shown contrast, then of the other attacks at their largest strength."""
    rows = effects[
        effects["reference"].astype(bool) & (effects["primary"].astype(bool) | effects["largest"].astype(bool))
    ]
    rows = rows.assign(order=~rows["primary"].astype(bool)).sort_values(["order", "label"], kind="stable")
    return {"rows": [_row(row) for row in rows.head(MAX_ROWS).to_dict("records")], "total": len(effects)}


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    views = {
        name: (points(row[name], sign=True), bounds(row[f"{name}_low"], row[f"{name}_high"], sign=True))
        for name in ("excess", "surrogate_images", "victim_images")
    }
    verdict = "resolved" if row["resolved"] else "descriptive" if row["low"] != row["low"] else "not resolved"
    return {
        "label": contrast_name(str(row["label"]), str(row["setting"])), "axis": row["axis"], "level": row["level"],
        "primary": bool(row["primary"]), "effect": points(row["effect"], sign=True),
        "interval": bounds(row["low"], row["high"], sign=True),
        "images": bounds(row["images_low"], row["images_high"], sign=True), "verdict": verdict,
        "reason": str(row["reason"]).removeprefix("descriptive: "),
        "p": "–" if row["p_holm"] != row["p_holm"] else "< .001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}",
        "smallest": points(row["smallest"]) if not row["reason"] else "–", "n": f"{row['n_tests']:,}",
        "models": f"{row['n_surrogates']} / {row['n_victims']}",
        "seeds": f"{row['seeds_surrogate']} / {row['seeds_victim']}",
        **views,
    }  # fmt: skip


def share_rows(shares: pd.DataFrame) -> list[dict[str, str]]:
    """Return the reference population's shares of the spread, the largest first, in percent."""
    rows = shares[shares["reference"].astype(bool)].sort_values(["share", "axis"], ascending=[False, True])
    return [
        {"axis": str(row["axis"]), "share": points(row["share"]), "alone": points(row["alone"]),
         "levels": f"{row['levels']}", "n": f"{row['n_tests']:,}", "total": points(row["total"])}
        for row in rows.to_dict("records")
    ]  # fmt: skip
