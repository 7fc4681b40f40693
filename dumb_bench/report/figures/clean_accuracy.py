"""What the models do without an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import (
    MARKERS,
    PALE,
    SERIES,
    NothingToShowError,
    balance_order,
    figure,
    percent_axis,
    shorten,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@figure(
    "clean_accuracy",
    section="clean",
    order=10,
    table="models",
    title="Clean accuracy",
    panel=(4.2, 2.5),
    needs={"model_id", "source", "architecture", "balance", "seed", "test_source", "test_delivery", "clean_accuracy"},
)
class CleanAccuracy:
    """Accuracy of each model on each test source, by architecture and balance; colour: where it was trained."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (model, test source), the first delivery of each."""
        columns = [
            "model_id",
            "source",
            "architecture",
            "balance",
            "seed",
            "defence",
            "test_source",
            "test_delivery",
            "clean_accuracy",
        ]
        rows = frame[[name for name in columns if name in frame]]
        rows = rows[rows["clean_accuracy"].map(lambda value: value is not None and len(value) > 0).astype(bool)]
        if rows.empty:
            raise NothingToShowError("Clean accuracy is not drawn: no model's accuracy on clean images is stored.")
        rows = rows.explode(["test_source", "test_delivery", "clean_accuracy"], ignore_index=True)
        rows = rows.drop_duplicates(["model_id", "test_source"]).astype({"clean_accuracy": float})
        rows["panel"] = "tested on " + rows["test_source"].astype(str)
        rows["axis_from"] = max(0.0, np.floor(rows["clean_accuracy"].min() * 20 - 0.2) / 20)
        rows["order"] = rows["balance"].astype(str).map(lambda value: balance_order(value)[0])
        rows = rows.sort_values(
            ["panel", "architecture", "order", "balance", "source", "seed", "model_id"], kind="stable"
        )
        return rows.drop(columns="order").reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """One point a model; seeds side by side."""
        slots: dict[tuple[str, str], float] = {}
        at = 0.0
        last = None
        for key in frame[["architecture", "balance"]].astype(str).drop_duplicates().itertuples(index=False, name=None):
            at += 0.0 if last is None else 1.0 if key[0] == last else 1.6
            slots[key] = at
            last = key[0]
        sources = sorted(set(frame["source"].astype(str)))
        keys = list(zip(frame["architecture"].astype(str), frame["balance"].astype(str), strict=True))
        base = np.array([slots[key] for key in keys])
        for index, source in enumerate(sources):
            mine = (frame["source"].astype(str) == source).to_numpy()
            rank = frame[mine].groupby(["architecture", "balance"]).cumcount().to_numpy()
            count = rank.max(initial=0) + 1
            shift = (index - (len(sources) - 1) / 2) * 0.36 + (rank - (count - 1) / 2) * (0.26 / count)
            axes.plot(
                base[mine] + shift, frame.loc[mine, "clean_accuracy"], MARKERS[index % 8], ms=3.6,
                color=SERIES[index % 8],                alpha=0.9, mew=0, label=f"trained on {shorten(source, 24)}",
            )  # fmt: skip
        axes.set_xlim(-0.8, at + 0.8)
        many = len(slots) > 10
        axes.set_xticks(
            list(slots.values()), [shorten(key[1], 12) for key in slots], rotation=90 if many else 0, fontsize=6.5
        )
        names = list(dict.fromkeys(key[0] for key in slots))
        for name in names:
            places = [place for key, place in slots.items() if key[0] == name]
            axes.annotate(
                shorten(name, 16), (sum(places) / len(places), 0), (0, -38 if many else -19), va="top", fontsize=7.5,
                xycoords=axes.get_xaxis_transform(), textcoords="offset points", annotation_clip=False,
                rotation=20 if len(names) > 5 else 0, ha="right" if len(names) > 5 else "center",
            )  # fmt: skip
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("accuracy")
        percent_axis(axes)
        floor = float(frame["axis_from"].iloc[0])
        axes.set_ylim(floor, 1.0 + 0.03 * (1 - floor))
        axes.spines["bottom"].set_color(PALE)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominator and n."""
        return (
            f"{frame['model_id'].nunique()} models. A point is one model: clean test images classified rightly / "
            f"all clean test images of the "
            "source named above the panel. The axis may start above 0."
        )
