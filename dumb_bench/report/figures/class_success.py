"""Success class by class: dots for few classes, a heat map for many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.case import CASES
from dumb_bench.report.figures.base import GREY, INK, NothingToShowError, figure, shorten
from dumb_bench.report.figures.case_axis import counts_by_case, draw_side_by_side, name_cases, top_of, width_of
from dumb_bench.report.figures.series import first_place

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DOTS = 12
MAX_NAMES = 40
CONSTANT = 0.1
"""One class fooled in less than this share and the other in more than the rest: what a constant answer gives."""
_COLUMNS = ["label", "setting", "case", "class", "name", "rate", "low", "high", "n_tests", "n_images", "constant"]


@figure(
    "class_success",
    section="cases",
    order=60,
    table="classes",
    title="Success by class",
    panel=None,
    needs={"reference", "primary", "largest", "label", "setting", "case", "class", "rate", "low", "high", "n_tests"},
)
class ClassSuccess:
    """Success of the primary contrast by true class and case; a class is a series of dots, or a row of a heat map."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the primary contrast of the reference population; one row a (case, class)."""
        rows = first_place(frame[frame["rate"].notna() & frame["case"].isin(CASES)])
        if rows.empty:
            raise NothingToShowError("Success by class is not drawn: no counts by class are stored.")
        number = rows["class"].astype(str)
        name = "class " + number
        if "class_name" in rows:
            given = rows["class_name"].astype(object).fillna("").astype(str)
            name = name.where(given == "", given)
        rows = rows.assign(name=name)
        rows = rows.assign(constant=_constant(rows), axis_top=top_of(rows))
        ordered = rows.sort_values(["class", "case"], kind="stable")
        return ordered[[*_COLUMNS, "axis_top"]].reset_index(drop=True)

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height in inches."""
        classes = frame["class"].nunique()
        return (width_of(frame), 2.9) if classes <= DOTS else (6.0, 0.9 + max(0.19 * min(classes, MAX_NAMES), 2.0))

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Dots with intervals side by side; or dark for high success."""
        if frame["class"].nunique() > DOTS:
            _heat_map(axes, frame)
            return
        top = float(frame["axis_top"].iloc[0])
        draw_side_by_side(axes, frame, "name")
        name_cases(axes, frame["case"], top)
        if frame["class"].nunique() == 2 and top > 0.5:
            axes.axhline(0.5, color=INK, lw=0.8, ls=(0, (4, 2)), label="mean of both under a constant answer", zorder=1)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominator, n and where an answer looks constant."""
        place = f"{frame['label'].iloc[0]} @ {frame['setting'].iloc[0]}".removesuffix(" @ ")
        binary = frame["class"].nunique() == 2
        flagged = list(dict.fromkeys(frame.loc[frame["constant"], "case"]))
        constant = (
            " In a task of two classes a victim that answers one class whatever it is shown is fooled by half of the "
            "images: all of one class and none of the other. "
            + (f"So it looks in {', '.join(flagged)}." if flagged else "No case looks so.")
        )
        return (
            f"{place}. Mean over tests of: images of the class misclassified by the victim / those it gets right when "
            f"clean (median {frame['n_images'].median():.0f} a test and class). Tests: {counts_by_case(frame)}. Bars, "
            "where given: 95 % intervals for new seeds on the same images; hollow, or a heat map: descriptive. White "
            f"box left out.{constant if binary else ''}"
        )


def _constant(rows: pd.DataFrame) -> pd.Series:
    """Return which rows stand in a case whose two classes look like a constant answer."""
    by_case = rows.groupby("case")["rate"]
    low, high = by_case.transform("min"), by_case.transform("max")
    found: pd.Series = (low < CONSTANT) & (high > 1 - CONSTANT) & (rows["class"].nunique() == 2)
    return found


def _heat_map(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw classes (rows) by cases (columns)."""
    from matplotlib.ticker import PercentFormatter

    cases = [case for case in CASES if case in set(frame["case"])]
    classes = frame.drop_duplicates("class")
    values = frame.pivot(index="class", columns="case", values="rate").reindex(columns=cases)
    image = axes.pcolormesh(
        np.ma.masked_invalid(values.to_numpy(dtype=float)), cmap="Blues", vmin=0, vmax=float(frame["axis_top"].iloc[0])
    )
    axes.set_facecolor("#f3e6dc")
    axes.invert_yaxis()
    axes.set_xticks(np.arange(len(cases)) + 0.5, cases)
    step = -(-len(classes) // MAX_NAMES)
    names = [shorten(str(name), 30) for name in classes["name"]][::step]
    axes.set_yticks(np.arange(len(classes))[::step] + 0.5, names, fontsize=6.5)
    axes.tick_params(length=0)
    if "C5" in cases and cases[0] != "C5":
        axes.axvline(cases.index("C5"), color=GREY, lw=1.2)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.7, aspect=22, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
