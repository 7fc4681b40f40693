"""Strengths chosen per surrogate: what was chosen, and what a bisection over SSIM would have chosen instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "attack", "rule", "search", "cells", "infeasible", "strength_median", "strength_low", "strength_high", "success",
    "sets", "compared", "agree", "lost_mean", "lost_most", "bisection_sets", "images",
)  # fmt: skip


def tuning_summary(tunings: pd.DataFrame) -> pd.DataFrame:
    """Return one row an attack, rule and search: columns `COLUMNS`.

    cells: (surrogate, attack) pairs; infeasible: those in which no strength keeps the SSIM above the threshold.
    success: the mean over feasible cells of fooled / right when clean, both on the surrogate itself, at the strength
    chosen on the tuning images. sets: adversarial sets made a cell, the mean. compared, agree: cells with a full sweep,
    and those in which bisection over SSIM ends at the same strength; lost: the success chosen minus bisection's.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    keyed = tunings.assign(
        rule=np.where(tunings["reference"].fillna(False).astype(bool), "published", "smallest near best"),
    )
    for (attack, rule, search), group in keyed.groupby(["attack", "rule", "search"], sort=True):
        feasible = group[group["feasible"].fillna(False).astype(bool)]
        strengths = feasible["strength"].astype(float)
        full = feasible if search == "full" else feasible.iloc[:0]
        lost = (full["success"] - full["bisection_success"]).astype(float)
        rows.append(
            {
                "attack": attack, "rule": rule, "search": search, "cells": len(group),
                "infeasible": len(group) - len(feasible),
                "strength_median": strengths.median(), "strength_low": strengths.min(),
                "strength_high": strengths.max(), "success": feasible["success"].astype(float).mean(),
                "sets": group["sets_crafted"].mean(), "compared": len(full),
                "agree": int((full["strength"] == full["bisection_strength"]).sum()),
                "lost_mean": lost.mean(), "lost_most": lost.max(), "bisection_sets": group["bisection_sets"].mean(),
                "images": float(group["n_images"].median()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def tuning_rows(summary: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of the page's table, as text; percentages for success."""

    def percent(value: float) -> str:
        return "–" if value != value else f"{100 * value:.1f}"

    rows = []
    for row in summary.to_dict("records"):
        spread = f"{row['strength_low']:.4g} to {row['strength_high']:.4g}" if row["cells"] > row["infeasible"] else "–"
        rows.append(
            {
                "attack": str(row["attack"]),
                "rule": f"{row['rule']}, {row['search']}",
                "cells": f"{row['cells']:,}",
                "infeasible": f"{row['infeasible']:,}",
                "strength": f"{row['strength_median']:.4g}"
                if row["strength_median"] == row["strength_median"]
                else "–",
                "spread": spread,
                "success": percent(row["success"]),
                "sets": f"{row['sets']:.1f}",
                "agree": f"{row['agree']} of {row['compared']}" if row["compared"] else "–",
                "lost": percent(row["lost_mean"]),
                "lost_most": percent(row["lost_most"]),
                "bisection_sets": f"{row['bisection_sets']:.1f}",
                "images": f"{row['images']:.0f}",
            }
        )
    return rows
