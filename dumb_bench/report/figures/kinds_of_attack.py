"""Attacks that use the surrogate against those that look at no model: which wins how many pairs of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import BLUE, INK, VERMILION, NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.shown import (
    MATHEMATICAL_NAME,
    OTHER_NAME,
    at_shown_strength,
    denominator,
    mathematical,
    spread,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHARE, MEAN = "pairs won", "mean of the best"
_PAIR = ["case", "surrogate_id", "victim_id"]


@figure(
    "kinds_of_attack",
    section="cases",
    order=50,
    title="Mathematical against non-mathematical attacks",
    panel=(4.4, 2.4),
    needs={
        "label", "setting", "attack", "role", "case", "counted", "asr", "primary", "largest", "reference", "copied",
        "surrogate_id", "victim_id", "n_victim_correct",
    },
)  # fmt: skip
class KindsOfAttack:
    """In how many (surrogate, victim) pairs of a case the best attack of each kind wins, and the mean of both."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, case). A pair's rate is a mean over its tests; pairs that lack a kind are left out."""
        import pandas as pd

        rows = at_shown_strength(frame[(frame["role"] == "attack") & frame["counted"].astype(bool)])
        kind = mathematical(rows)
        if rows.empty or kind.all() or not kind.any():
            raise NothingToShowError("The kinds of attack are not compared: the tests do not hold both kinds.")
        rows = rows.assign(kind=np.where(kind, "mathematical", "other"))
        attacks = rows.groupby("kind")["label"].nunique()
        rates = rows.groupby(["kind", "label", *_PAIR], sort=False)["asr"].mean()
        best = rates.groupby(level=["kind", *_PAIR], sort=True).max().unstack("kind").dropna()
        if best.empty:
            raise NothingToShowError("The kinds of attack are not compared: no pair of networks was scored with both.")
        difference = (best["mathematical"] - best["other"]).to_numpy(dtype=float)
        tie = np.abs(difference) < 1e-12
        best = best.assign(wins=~tie & (difference > 0), ties=tie, losses=~tie & (difference < 0), n_pairs=1)
        groups = best.groupby(level="case", sort=True)
        found = groups[["wins", "ties", "losses", "n_pairs"]].sum().join(groups[["mathematical", "other"]].mean())
        found["n_images"] = rows.groupby("case")["n_victim_correct"].median()
        found = found.reset_index().assign(
            n_mathematical=int(attacks["mathematical"]), n_other=int(attacks["other"]),
        )  # fmt: skip
        return pd.concat([found.assign(panel=SHARE), found.assign(panel=MEAN)], ignore_index=True)[
            ["panel", *found.columns]
        ]

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Stacked bars with the numbers of pairs in them, or the mean of the best of both kinds."""
        cases = [case for case in CASES if case in set(frame["case"])]
        rows = frame.set_index("case").loc[cases]
        x = np.arange(len(cases), dtype=float)
        if frame["panel"].iloc[0] == SHARE:
            self._bars(axes, x, rows)
        else:
            axes.plot(x, rows["mathematical"], "o", ms=5, color=BLUE)
            axes.plot(x, rows["other"], "s", ms=5, color=VERMILION, mfc="white")
            axes.vlines(x, rows["mathematical"], rows["other"], color=INK, lw=0.6, zorder=1.5)
        axes.set_xlim(-0.6, len(cases) - 0.4)
        axes.set_xticks(x, cases)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("share of pairs, success")
        percent_axis(axes)

    @staticmethod
    def _bars(axes: Axes, x: np.ndarray, rows: pd.DataFrame) -> None:
        parts = (
            ("wins", BLUE, "", MATHEMATICAL_NAME), ("ties", "white", "....", "as good"),
            ("losses", VERMILION, "////", OTHER_NAME),
        )  # fmt: skip
        total = rows["n_pairs"].to_numpy(dtype=float)
        bottom = np.zeros(len(x))
        for name, colour, hatch, label in parts:
            share = rows[name].to_numpy(dtype=float) / total
            axes.bar(x, share, 0.7, bottom, color=colour, hatch=hatch, edgecolor=INK, lw=0.5, label=label)
            for at, middle, part, count in zip(x, bottom + share / 2, share, rows[name], strict=True):
                if part >= 0.09:
                    box = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"}
                    axes.text(at, middle, f"{int(count)}", ha="center", va="center", fontsize=6.5, bbox=box, zorder=4)
            bottom += share

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what wins, the denominator and n."""
        rows = frame[frame["panel"] == SHARE]
        first = rows.iloc[0]
        total = rows[["wins", "ties", "losses", "n_pairs"]].sum()
        return (
            f"Left: the better of two in each (surrogate, victim) pair: the best of {first['n_mathematical']} "
            f"mathematical attacks (they use the surrogate) and the best of {first['n_other']} others (they look at no "
            f"model), each at one strength; numbers of pairs in the bars. In all {total['wins']:.0f} pairs go to the "
            f"mathematical, {total['losses']:.0f} to the others, {total['ties']:.0f} of {total['n_pairs']:.0f} are "
            "equal. Right: the mean of the best over the pairs (circle: mathematical, hollow square: others). Success: "
            f"{denominator(rows['n_images'])}, mean over a pair's tests. Pairs in a case: "
            f"{spread(rows['n_pairs'])}. White box left out. The best is picked on the images that are scored, and the "
            "more attacks of a kind, the higher it is: a description."
        )
