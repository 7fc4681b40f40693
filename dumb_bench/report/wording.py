"""Fractions as people read them: percent and percentage points."""

from __future__ import annotations

import numpy as np


def points(value: float, *, sign: bool = False) -> str:
    """Return a fraction as percent or percentage points with one decimal; a dash for none."""
    if value is None or not np.isfinite(value):
        return "–"
    rounded = round(100 * value, 1) + 0.0
    return (f"{rounded:+.1f}" if sign else f"{rounded:.1f}").replace("-", "−")


def bounds(low: float, high: float, *, sign: bool = False) -> str:
    """Return an interval in percent; empty where there is none."""
    return f"[{points(low, sign=sign)}, {points(high, sign=sign)}]" if np.isfinite(low) else ""


def contrast_name(label: str, setting: str) -> str:
    """Return an attack with its strength: `pgd at 8/255`, `pgd (strengths tuned)`, `grey_scale`."""
    if setting == "tuned":
        return f"{label} (strengths tuned)"
    return f"{label} at {setting}" if setting else label
