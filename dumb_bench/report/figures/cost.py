"""Success against what an adversarial image costs to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import NothingToShowError, figure, percent_axis, shorten
from dumb_bench.report.figures.series import amount
from dumb_bench.report.figures.shown import MAX_SERIES, denominator, look, ranked_series, spread, tenth_above
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PANELS = {"backwards": "gradients", "forwards": "passes", "seconds": "time"}
_AXES = {
    "gradients": "gradients an image", "passes": "passes of the surrogate, an image", "time": "seconds an image",
}  # fmt: skip


@figure(
    "cost",
    section="strength",
    order=30,
    table="visibility",
    title="Success against the cost of crafting",
    panel=(3.1, 2.8),
    needs={"label", "setting", "role", "rate", "primary", "largest", "n_tests", "n_images", "hardware", *PANELS},
)
class Cost:
    """One point an attack at its shown strength; panels: gradients, passes through the surrogate, time."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, label); what an attack does not use at all is left out of that panel."""
        import pandas as pd

        rows = frame[frame["role"] == "attack"]
        primary = rows["primary"].astype(bool)
        declared = rows["label"].isin(rows.loc[primary, "label"].unique())
        rows = rows[np.where(declared, primary, rows["largest"].astype(bool))]
        data = ranked_series(rows)
        parts = []
        for name, panel in PANELS.items():
            part = data[data[name].astype(float) > 0]
            if len(part):
                parts.append(part.assign(panel=panel, x=part[name].astype(float)))
        if not parts:
            raise NothingToShowError("Success against cost is not drawn: no cost of an attack is stored.")
        columns = ["panel", "line", "style", "label", "setting", "x", "rate", "n_tests", "n_images", "hardware"]
        found = pd.concat(parts, ignore_index=True)[columns]
        return found.assign(axis_top=tenth_above(found, ["rate"]))

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Costs on a logarithmic axis."""
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        for row in frame[frame["style"] < MAX_SERIES].sort_values("style").to_dict("records"):
            how = look(row["style"]) | {"ls": "none", "ms": 5}
            axes.plot([row["x"]], [row["rate"]], label=row["line"], **how)
        low, high = float(frame["x"].min()), float(frame["x"].max())
        axes.set_xscale("log")
        axes.set_xlim(10 ** (np.floor(np.log10(low) - 0.08)), 10 ** (np.ceil(np.log10(high) + 0.08)))
        axes.xaxis.set_major_locator(LogLocator(10, numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
        axes.set_xlabel(_AXES[str(frame["panel"].iloc[0])])
        axes.set_ylabel("success")
        axes.grid(axis="x")
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is counted, where time was taken, the denominator and n."""
        lines = frame["style"].nunique()
        cut = f" Drawn: the {MAX_SERIES} with the highest success; the CSV has all." if lines > MAX_SERIES else ""
        machines = sorted({name for text in frame["hardware"].dropna() for name in str(text).split(", ") if name})
        where = f" Times were taken on {shorten(' and '.join(machines), 90)}." if machines else ""
        return (
            f"{count_text(lines, 'attack')} at one strength each, tuning not counted. An attack stands "
            "only in the panels of what it "
            "uses; every network of an ensemble counts; what several strengths share counts in full. Success: mean "
            f"over tests of {denominator(frame['n_images'])}, all cases pooled, white box left out. Tests behind a "
            f"point: {spread(frame['n_tests'])}.{where} No intervals: a description.{cut}"
        )
