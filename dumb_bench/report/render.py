"""From a figure's two functions to files: PNG, PDF, CSV and LaTeX, and the drawing that the page embeds."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from dumb_bench.report.figures.base import WIDEST, Drawn, Figure, FigureInfo, NothingToShowError, shorten
from dumb_bench.report.style import PLAIN, Style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas

MAX_PANELS = 12


def _legend_width(sizes: list[float], columns: int) -> float:
    """Return the width of a legend that is filled column by column, as matplotlib does it."""
    short, longer = divmod(len(sizes), columns)
    heights = [short + (index < longer) for index in range(columns)]
    starts = [sum(heights[:index]) for index in range(columns)]
    return sum(max(sizes[start : start + height]) for start, height in zip(starts, heights, strict=True) if height)


def _legend(canvas: Canvas, width: float) -> None:
    """Put one legend for all panels above them, in as many columns as the width (inches) holds."""
    handles: dict[str, Any] = {}
    for axes in canvas.axes:
        pairs = list(zip(*axes.get_legend_handles_labels(), strict=True))
        for handle, label in sorted(pairs, key=lambda pair: not hasattr(pair[0], "has_yerr")):
            handles.setdefault(str(label), handle)
    if handles:
        sizes = [0.48 + 0.06 * len(label) for label in handles]
        fits = (n for n in range(len(sizes), 0, -1) if _legend_width(sizes, n) < width)
        columns = next(fits, 1)
        canvas.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=columns, handlelength=1.8)


def _fitting(title: str, inches: float) -> str:
    """Return a panel's title: in two lines where one is wider than `inches`, its middle left out where that is too."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    bold = FontProperties(family=rcParams["font.family"], weight="bold")
    points = FontProperties(size=rcParams["axes.titlesize"]).get_size_in_points()

    def fits(text: str) -> bool:
        return bool(TextPath((0.0, 0.0), text, size=points, prop=bold).get_extents().width <= 72 * inches)

    whole = shorten(title, 44)
    lines = wrap(whole, len(whole) // 2 + 4)
    if not fits(whole) and len(lines) == 2 and all(map(fits, lines)):
        return "\n".join(lines)
    for length in range(44, 8, -4):
        if fits(shorten(title, length)):
            return shorten(title, length)
    return shorten(title, 8)


def _title(text: str, letters: int) -> str:
    """Return a panel's title in lines of so many letters: two where a figure asks for less than the usual 44."""
    lines = wrap(shorten(text, 44 if letters >= 44 else 2 * letters - 2), letters)
    return "\n".join(lines)


def _canvas(plot: Figure, info: FigureInfo, frame: pd.DataFrame) -> tuple[Canvas, str]:
    from matplotlib.figure import Figure as Canvas

    names = list(dict.fromkeys(frame["panel"])) if "panel" in frame else [None]
    shown = names[:MAX_PANELS]
    width, height = info.panel or plot.size(frame)  # type: ignore[attr-defined]
    columns = 1 if len(shown) == 1 else 2 if len(shown) in (2, 4) else 3
    columns = min(len(shown), getattr(plot, "most_columns", columns))
    while info.panel is None and columns > 1 and columns * width > WIDEST + 1e-6:
        columns -= 1
    lines = -(-len(shown) // columns)
    factor = 2.0 if len(shown) == 1 and info.panel else 1.0
    size = (min(columns * width * factor, WIDEST), lines * height * (1.35 if factor > 1 else 1.0) + 0.3)
    canvas = Canvas(figsize=size, layout="constrained")
    kind = {"projection": getattr(plot, "projection", None)}
    shared = getattr(plot, "shared_rows", info.panel is not None)
    grid = canvas.subplots(lines, columns, squeeze=False, sharey=shared, subplot_kw=kind)
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.remove()
            continue
        part = frame if shown[place] is None else frame[frame["panel"] == shown[place]]
        plot.draw(axes, part)
        if shown[place] is not None:
            letters = getattr(plot, "title_letters", 0)
            title = str(shown[place])
            fitted = _title(title, letters) if letters else _fitting(title, 0.9 * size[0] / columns)
            axes.set_title(fitted, fontweight="bold")
        if place % columns and info.panel is not None:
            axes.set_ylabel("")
    _legend(canvas, size[0])
    note = f"{len(shown)} of {len(names)} panels shown; the CSV has all." if len(shown) < len(names) else ""
    return canvas, note


def prepared_data(plot: Figure, info: FigureInfo, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the data that a figure draws.

    Raises:
        NothingToShowError: there is none, or the tables lack a column it needs.
    """
    missing = sorted(info.needs - set(frame.columns))
    if missing:
        raise NothingToShowError(f"Not drawn: the tables lack {', '.join(missing)}.")
    return plot.prepare(frame)


def canvas_of(plot: Figure, info: FigureInfo, data: pd.DataFrame, style: Style = PLAIN) -> Canvas:
    """Return a figure as matplotlib's, for a notebook. `data`: `prepared_data`."""
    import matplotlib as mpl

    with mpl.rc_context(style.all()):
        return _canvas(plot, info, data)[0]


def render(name: str, plot: Figure, info: FigureInfo, frame: pd.DataFrame, folder: Path, style: Style = PLAIN) -> Drawn:
    """Write a figure as PNG, PDF, CSV and LaTeX into `folder` and return it as SVG too.

    The same frame gives the same bytes. Where there is nothing to show, nothing is written.
    """
    import matplotlib as mpl
    from matplotlib.backends import backend_agg, backend_pdf, backend_svg  # noqa: F401

    from dumb_bench.report.tables import write_csv, write_figure_latex

    try:
        data = prepared_data(plot, info, frame)
    except NothingToShowError as reason:
        return Drawn(name, info.title, str(reason), None, section=info.section)
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(style.all()):
        canvas, note = _canvas(plot, info, data)
        canvas.savefig(folder / f"{name}.png", dpi=style.dpi, metadata={"Software": None})
        canvas.set_layout_engine("none")
        canvas.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        text = StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    caption = plot.caption(data)
    write_csv(data, folder / f"{name}.csv")
    write_figure_latex(name, info.title, caption, data, folder / f"{name}.tex")
    return Drawn(name, info.title, caption, text.getvalue(), note, float(canvas.get_figwidth()), info.section)
