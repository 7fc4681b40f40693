"""Success against what the surrogate cost to train: epochs, and gradient evaluations."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.series import HOW_DRAWN, amount, draw_series, first_place, in_series, who

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = [
    "axis_top",
    "panel", "label", "setting", "series", "style", "posterior", "recipe", "samples", "aggregation", "measure", "cost",
    "rate", "low", "high", "reason", "n_tests", "n_images", "n_surrogates", "n_victims",
]  # fmt: skip
MAX_TICKS = 5
_MEASURES = {"epochs": "training epochs", "gradients": "training gradients"}


@figure(
    "success_by_training_cost",
    section="posteriors",
    order=10,
    table="posteriors",
    title="Success against training cost",
    needs={"posterior", "recipe", "samples", "aggregation", "relation", "step", "epochs", "gradients", "rate", "low"},
)
class SuccessByTrainingCost:
    """Mean success of every configuration by its mean training cost, a panel for each relation and cost."""

    most_columns = 2

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep final images of the primary attack; one row a (relation, configuration, kind of cost known)."""
        import pandas as pd

        rows = in_series(first_place(frame[frame["step"].isna()]))
        parts = [
            known.assign(measure=text, cost=known[name], panel=_short(known["panel"]) + f": {name}")
            for name, text in _MEASURES.items()
            if len(known := rows[rows[name].notna()])
        ]
        if not parts:
            raise NothingToShowError("Success against training cost is not drawn: no training cost is stored.")
        return pd.concat(parts, ignore_index=True)[_COLUMNS]

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """A marker for each configuration; lines join numbers of samples."""
        draw_series(axes, frame, "cost")
        axes.set_xscale("log")
        shown = _spaced(sorted(value for value in set(frame["cost"]) if value > 0))
        axes.set_xticks(shown, [amount(value) for value in shown])
        axes.minorticks_off()
        axes.set_xlabel(f"{frame['measure'].iloc[0]} (log)")
        axes.set_ylabel("success")
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators and n."""
        return (
            f"{who(frame)}Cost: training from scratch of exactly the samples used, mean over surrogates. {HOW_DRAWN}"
            "Lines join the numbers of samples of one posterior and recipe. Bars: 95 % intervals for new seeds on the "
            "same images."
        )


def _spaced(costs: list[float]) -> list[float]:
    """Return costs that stand apart on a logarithmic axis, the lowest first: at most `MAX_TICKS` and one."""
    shown = costs[:1]
    for value in costs[1:]:
        if log(value / shown[-1]) > log(costs[-1] / costs[0]) / MAX_TICKS:
            shown.append(value)
    return shown


def _short(relations: pd.Series) -> pd.Series:
    return relations.str.replace("architecture", "arch.")
