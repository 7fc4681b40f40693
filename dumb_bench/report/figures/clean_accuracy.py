"""What the models do without an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import MARKERS, SERIES, NothingToShowError, balance_order, figure, shorten
from dumb_bench.report.figures.rows import completed, cut, cut_note, name_rows, panel_size, share_axis
from dumb_bench.report.figures.series import configuration_names, recipe_words
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_VARYING = ("balance", "defence", "posterior", "samples", "init", "subset", "recipe")
"""What a row's name says beside the architecture, where it varies."""


@figure(
    "clean_accuracy",
    section="clean",
    order=10,
    table="models",
    title="Clean accuracy",
    panel=None,
    needs={"model_id", "source", "architecture", "balance", "seed", "test_source", "test_delivery", "clean_accuracy"},
)
class CleanAccuracy:
    """Accuracy of each model on each test source, a row a kind of model; colour and marker: where it was trained."""

    shared_rows = True
    title_letters = 24

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (model, test source), the first delivery of each."""
        columns = [
            "model_id", "source", "architecture", *_VARYING, "seed", "degenerate", "test_source", "test_delivery",
            "clean_accuracy",
        ]  # fmt: skip
        rows = frame[[name for name in columns if name in frame]]
        rows = rows[rows["clean_accuracy"].map(lambda value: value is not None and len(value) > 0).astype(bool)]
        if rows.empty:
            raise NothingToShowError("Clean accuracy is not drawn: no model's accuracy on clean images is stored.")
        rows = rows.assign(**_kinds(rows))
        rows = rows.explode(["test_source", "test_delivery", "clean_accuracy"], ignore_index=True)
        rows = rows.drop_duplicates(["model_id", "test_source"]).astype({"clean_accuracy": float})
        rows["panel"] = "tested on " + rows["test_source"].astype(str)
        lowest = rows["clean_accuracy"].min()
        sources = sorted(set(rows["source"].astype(str)))
        rows = rows.assign(mark=rows["source"].astype(str).map(sources.index))
        rows = rows.assign(n_tests=1).sort_values(["panel", "place", "source", "seed", "model_id"], kind="stable")
        rows = completed(rows).drop(columns="n_tests")
        return rows.assign(sources=len(sources), axis_from=max(0.0, np.floor(lowest * 20 - 0.2) / 20))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return panel_size(frame, plot=2.3, least=1.5)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """One point a model, sources of training beneath each other; hollow: degenerate."""
        rows = cut(frame)
        sources = int(frame["sources"].max())
        weak = rows["degenerate"].notna() if "degenerate" in rows else rows["source"].isna()
        for index, source in sorted(set(zip(rows["mark"].dropna(), rows["source"].dropna(), strict=True))):
            mine = rows["mark"] == index
            shift = (index - (sources - 1) / 2) * 0.6 / sources
            colour, marker = SERIES[int(index) % 8], MARKERS[int(index) % 8]
            for here, fill in ((mine & ~weak, colour), (mine & weak, "white")):
                part = rows[here]
                axes.plot(
                    part["clean_accuracy"], part["place"] + shift, marker, ms=3.2, color=colour, mfc=fill, mew=0.8
                )
            axes.plot([], [], marker, ms=3.2, color=colour, label=f"trained on {shorten(str(source), 24)}")
        floor = float(frame["axis_from"].iloc[0])
        share_axis(axes, (floor, 1.0 + 0.03 * (1 - floor)))
        name_rows(axes, rows)
        axes.set_xlabel("accuracy")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominator and n."""
        weak = frame.loc[frame["degenerate"].notna(), "model_id"].nunique() if "degenerate" in frame else 0
        hollow = f" Hollow: degenerate ({count_text(weak, 'model')})." if weak else ""
        return (
            f"{count_text(frame['model_id'].nunique(), 'model')}. A point is one model: clean test "
            "images classified rightly / all "
            f"clean test images of the source named above the panel. The axis may start above "
            f"0.{hollow}{cut_note(frame)}"
        )


def _kinds(models: pd.DataFrame) -> dict[str, pd.Series]:
    """Return `row` and `place` of models: architecture, and what else varies among them."""
    names = ["architecture", *(name for name in _VARYING if name in models and models[name].nunique(dropna=False) > 1)]
    parts = {name: models[name].astype(str) for name in names}
    keys: dict[str, pd.Series] = dict(parts)
    if "posterior" in parts and {"samples", "recipe"} <= set(models):
        parts["posterior"] = configuration_names(models, aggregation=False)
        keys["samples"] = models["samples"].astype(float)
        parts = {name: part for name, part in parts.items() if name not in ("samples", "recipe")}
    elif "recipe" in parts:
        parts["recipe"] = parts["recipe"].map(recipe_words(parts["recipe"]))
    if "balance" in keys:
        keys["balance"] = keys["balance"].map(balance_order)
    row, *others = parts.values()
    for part in others:
        row = row + ", " + part
    order = sorted(set(zip(*keys.values(), row, strict=True)))
    return {"row": row, "place": row.map({entry[-1]: index for index, entry in reversed(list(enumerate(order)))})}
