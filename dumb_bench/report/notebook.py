"""Results in a notebook: every stored column, the frames of the report, its figures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dumb_bench.report import load as stored
from dumb_bench.report.frames import Frames
from dumb_bench.report.where import Condition, parse_where, restricted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from dumb_bench.catalogue import Catalogue


class Results(stored.Results):
    """The tables of a result folder with all columns, and what the report makes of them."""

    conditions: tuple[Condition, ...] = ()

    @cached_property
    def _frames(self) -> Frames:
        return Frames(restricted(stored.load(self.folder), self.conditions))

    def where(self, *conditions: str) -> Results:
        """Return the results of the tests that conditions hold for, such as `attack=pgd,bim`, and of their controls.

        Raises:
            InputError: it is no condition, or it holds for no test.
        """
        asked = parse_where(conditions)
        found = restricted(self, asked)
        object.__setattr__(found, "conditions", (*self.conditions, *asked))
        return found

    def frame(self, name: str) -> pd.DataFrame | None:
        """Return a frame of the report (`frames.NAMES`): rates are fractions; None where the grid has none.

        Raises:
            InputError: there is no such frame.
        """
        return self._frames.get(name)

    def figure(
        self, name: str, *, style: Mapping[str, Any] | None = None, catalogue: Catalogue | None = None
    ) -> Figure:
        """Return a figure of the report as matplotlib's. style: matplotlib settings over the report's own.

        Raises:
            InputError: there is no such figure, or nothing to show in it.
        """
        from dumb_bench.catalogue import Catalogue
        from dumb_bench.errors import InputError
        from dumb_bench.report.figures.base import NothingToShowError
        from dumb_bench.report.render import canvas_of, prepared_data
        from dumb_bench.report.style import Style

        entry = (catalogue or Catalogue()).get("figures", name)
        frame, plot = self.frame(entry.info.table), entry.call()
        if frame is None:
            raise InputError(f"{name}: the grid has nothing of the kind")
        try:
            data = prepared_data(plot, entry.info, frame)
        except NothingToShowError as reason:
            raise InputError(f"{name}: {reason}") from None
        return canvas_of(plot, entry.info, data, Style(style or {}))


def load(folder: str | Path) -> Results:
    """Return the results of a folder. Raises as `report.load.load`."""
    found = stored.load(folder, everything=True)
    return Results(**{name: getattr(found, name) for name in found.__dataclass_fields__})
