"""What each defence does to accuracy: clean, against transferred attacks, and with the victim's weights known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.defence_summary import MEASURES, attack_text, defence_summary
from dumb_bench.report.figures.base import BLUE, GREY, NothingToShowError, figure
from dumb_bench.report.figures.rows import (
    completed,
    cut,
    cut_note,
    limits,
    name_rows,
    panel_size,
    share_axis,
    spans,
    words_beside,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@figure(
    "defences",
    section="defences",
    order=10,
    table="defences",
    title="What each defence does",
    panel=None,
    needs={"victim_defence", "measure", "attack", "attack_params", "norm", "strength", "n_pairs", "accuracy"}
    | {"undefended", "difference", "low", "high"},
)
class Defences:
    """Accuracy of defended and undefended models of the same seeds, a row a defence, a panel a measure."""

    shared_rows = True
    title_letters = 30

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (measure, defence): the strongest attack on it."""
        rows = defence_summary(frame)
        if rows.empty:
            raise NothingToShowError("Defences are not drawn: no test has an undefended model of the same seed beside.")
        order = {name: index for index, name in enumerate(sorted(rows["defence"].unique()))}
        low, high = (rows["undefended"] + rows[end] for end in ("low", "high"))
        rows = rows.assign(
            panel=rows["measure"], row=rows["defence"], place=rows["defence"].map(order), n_tests=rows["n_pairs"],
            accuracy_low=low.clip(0, 1), accuracy_high=high.clip(0, 1),
        )  # fmt: skip
        top = rows[["accuracy", "undefended", "accuracy_high"]]
        return completed(rows).drop(columns=["n_tests", "measure"]).assign(axis_to=min(1.04, limits(top)[1]))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return panel_size(frame, plot=2.0, least=0.9, beside=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Filled: with the defence, its interval; hollow: the undefended models, a line between."""
        rows = cut(frame)
        place = rows["place"].to_numpy(dtype=float)
        spans(axes, rows["accuracy"], rows["undefended"], place, color=GREY, lw=0.7, ls=":", zorder=1)
        spans(axes, rows["accuracy_low"], rows["accuracy_high"], place, color=BLUE, lw=2.0, alpha=0.6, zorder=2)
        axes.plot(
            rows["undefended"], place, "D", ms=4, color=GREY, mfc="white", label="undefended, same seeds", zorder=3
        )
        axes.plot(rows["accuracy"], place, "o", ms=4.2, color=BLUE, label="with the defence", zorder=4)
        share_axis(axes, (-0.03, float(frame["axis_to"].iloc[0])))
        name_rows(axes, rows)
        axes.set_xlabel("accuracy")
        if (rows["panel"] != "clean").any():
            words_beside(axes, place, [attack_text(row) for row in rows.to_dict("records")])

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the measures, denominators and n."""
        there = [name for name in MEASURES if name in set(frame["panel"])]
        pairs = frame["n_pairs"].dropna()
        count = " to ".join(dict.fromkeys(f"{n:.0f}" for n in (pairs.min(), pairs.max())))
        several = int((frame["conditions"] > 1).sum())
        mean = (
            f" {several} points are means over several conditions (source, architecture, ...), without an interval."
            if several
            else ""
        )
        return (
            "Accuracy: images right when clean and right when attacked / all images of the set. "
            f"{' '.join(MEANING[name] for name in there)} At the right: the strongest attack there on that defence, "
            "which meets the undefended models too. Bars: 95 % intervals of the difference to the undefended models of "
            f"the same seeds ({count} pairs), set at their accuracy, for new seeds on the same "
            f"images.{mean}{cut_note(frame)}"
        )


MEANING = {
    "clean": "Clean: no attack.",
    "transfer": "Transfer: made on undefended models of other seeds.",
    "weights known": "Weights known: made on the victim's weights without its input defence.",
    "white box": "White box: made on the victim, its input defence included.",
}
"""Measure -> what is attacked, as a sentence."""
