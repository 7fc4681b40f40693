"""The effects on the test images of the surrogate's source and on those of the victim's source, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import BLUE, VERMILION, NothingToShowError, figure
from dumb_bench.report.figures.effect_rows import NEEDS, ends_of, shown_effects, tests_behind
from dumb_bench.report.figures.rows import cut, cut_note, name_rows, panel_size, points_axis, spans

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DESIGNS = (
    ("surrogate_images", "images of the surrogate's source", "o", BLUE, BLUE, -0.17),
    ("victim_images", "images of the victim's source", "s", VERMILION, "white", 0.17),
)
_VALUES = [f"{name}{end}" for name, *_ in _DESIGNS for end in ("", "_low", "_high")]
_COLUMNS = [
    "panel", "row", "label", "setting", "axis", "level", "effect", *_VALUES, "n_tests", "n_images", "primary",
    "bold", "place", "axis_from", "axis_to",
]  # fmt: skip


@figure(
    "image_designs",
    section="effects",
    order=20,
    table="effects",
    title="Effects by whose images are attacked",
    panel=None,
    needs=NEEDS | set(_VALUES) | {"n_images"},
)
class ImageDesigns:
    """Effect of every axis on the images of the surrogate's source and on those of the victim's source."""

    shared_rows = True
    title_letters = 22

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the reference population; one row a (attack at its shown strength, axis, level)."""
        rows = shown_effects(frame, _VALUES, "Effects by whose images are attacked are")
        if not rows[[name for name, *_ in _DESIGNS]].astype(float).notna().any().all():
            raise NothingToShowError(
                "Effects by whose images are attacked are not drawn: no axis has tests on images of both sources."
            )
        return rows[_COLUMNS]

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return panel_size(frame, plot=1.9 if frame["panel"].nunique() > 2 else 2.8, least=1.65)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Filled circles: the surrogate's source; hollow squares below: the victim's; lines: intervals."""
        rows = cut(frame)
        for name, text, marker, colour, fill, shift in _DESIGNS:
            values = rows[name].to_numpy(dtype=float)
            y = rows["place"].to_numpy(dtype=float) + shift
            spans(axes, rows[f"{name}_low"], rows[f"{name}_high"], y, color=colour, lw=1.3, zorder=2)
            if np.isfinite(values).any():
                axes.plot(values, y, marker, ms=3.8, color=colour, mfc=fill, label=text, zorder=3)
        points_axis(axes, ends_of(frame))
        name_rows(axes, rows, bold="bold")
        axes.set_xlabel("percentage points of success")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is compared and n."""
        known = frame[frame["n_tests"] > 0]
        bare = int(known[[name for name in _VALUES if name.endswith("_low")]].isna().all(axis=1).sum())
        descriptive = f" {bare} of {len(known)} rows have no interval: descriptive." if bare else ""
        return (
            "The same effects (success where surrogate and victim differ in the axis minus where they are the same) "
            "from the tests on images of the surrogate's source alone, and from those on images of the victim's "
            "source. Success: images misclassified by the victim / images it gets right when clean. "
            f"{tests_behind(frame)}, both designs together. Lines: 95 % intervals for new seeds on the same images, "
            f"not adjusted for their number.{descriptive}{cut_note(frame)}"
        )
