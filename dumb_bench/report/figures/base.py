"""The contract of a figure: `prepare` turns a frame into plain data, `draw` puts one panel of it on axes.

`prepare(frame)` returns the data that is written as CSV; a column `panel` splits it into small multiples, in order of
first appearance. `draw(axes, frame)` draws one panel. `caption(frame)` says what is shown and the denominator.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from dumb_bench.catalogue import PluginInfo, mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

INK, GREY, PALE = "#222222", "#767676", "#d9d9d9"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, BLACK = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#000000",
)  # fmt: skip
SERIES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Okabe and Ito's colours, told apart with any colour vision; markers tell series apart without colour."""

MAX_PANELS = 12

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5, "legend.fontsize": 7.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "grid.color": PALE,
    "grid.linewidth": 0.5, "axes.axisbelow": True, "legend.frameon": False, "figure.facecolor": "white",
    "savefig.facecolor": "white", "text.parse_math": False, "svg.hashsalt": "dumb_bench", "svg.fonttype": "path",
    "pdf.fonttype": 42, "axes.unicode_minus": False, "axes.titlelocation": "left",
}  # fmt: skip


class NothingToShowError(Exception):
    """The results hold nothing for this figure; the message is the sentence that stands in for it."""


class Figure(Protocol):
    """What a figure's class offers."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the data drawn.

        Raises:
            NothingToShowError: there is none.
        """
        ...

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Draw one panel."""
        ...

    def caption(self, frame: pd.DataFrame) -> str:
        """Return what is shown, its denominator and its n."""
        ...


class FigureInfo(NamedTuple):
    """needs: columns that `prepare` uses. table: which frame it is given: `tests` (`groups.prepared`), `summary`
    (`contrasts.summary`), `models` or `posteriors` (`posteriors.configurations`; a grid without posteriors has none).
    panel: width and height of a panel, in inches (None: `size(frame)` says it).
    """

    needs: frozenset[str]
    table: Literal["tests", "summary", "models", "posteriors"]
    title: str
    panel: tuple[float, float] | None


class Drawn(NamedTuple):
    """A figure as written: `svg` is None where `caption` is the sentence that stands in."""

    name: str
    title: str
    caption: str
    svg: str | None
    note: str = ""
    inches: float = 0.0


_Class = TypeVar("_Class", bound=Callable[..., Any])


def figure(
    name: str,
    *,
    needs: set[str],
    title: str,
    table: Literal["tests", "summary", "models", "posteriors"] = "tests",
    panel: tuple[float, float] | None = (3.1, 2.2),
    version: int = 1,
) -> Callable[[_Class], _Class]:
    """Declare a class with `prepare`, `draw` and `caption` as a figure."""
    info = FigureInfo(frozenset(needs), table, title, panel)

    def decorate(call: _Class) -> _Class:
        return mark(call, PluginInfo("figures", name, version, info))

    return decorate


def percent_axis(axes: Axes, *, top: float = 1.0) -> None:
    """Show fractions as percentages on the y axis, 0 to `top`."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_ylim(-0.02 * top, top * 1.03)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.grid(axis="y")


def balance_order(balance: str) -> tuple[float, str]:
    """Return the sort key of a balance: the even one first, what is no pair of numbers last."""
    first, _, second = balance.partition("/")
    try:
        return (abs(float(first) - float(second)), balance)
    except ValueError:
        return (float("inf"), balance)


def shorten(text: str, length: int = 44) -> str:
    """Return the text, its middle left out where it is longer than `length`."""
    text = " ".join(text.split())
    keep = (length - 3) // 2
    return text if len(text) <= length else f"{text[:keep]}...{text[-keep:]}"


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


def _canvas(plot: Figure, info: FigureInfo, frame: pd.DataFrame) -> tuple[Canvas, str]:
    from matplotlib.figure import Figure as Canvas

    names = list(dict.fromkeys(frame["panel"])) if "panel" in frame else [None]
    shown = names[:MAX_PANELS]
    width, height = info.panel or plot.size(frame)  # type: ignore[attr-defined]
    columns = 1 if len(shown) == 1 else 2 if len(shown) in (2, 4) else 3
    lines = -(-len(shown) // columns)
    factor = 2.0 if len(shown) == 1 and info.panel else 1.0
    size = (min(columns * width * factor, 9.5), lines * height * (1.35 if factor > 1 else 1.0) + 0.3)
    canvas = Canvas(figsize=size, layout="constrained")
    grid = canvas.subplots(lines, columns, squeeze=False, sharey=info.panel is not None)
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.remove()
            continue
        part = frame if shown[place] is None else frame[frame["panel"] == shown[place]]
        plot.draw(axes, part)
        if shown[place] is not None:
            axes.set_title(shorten(str(shown[place])), fontweight="bold")
        if place % columns and info.panel is not None:
            axes.set_ylabel("")
    _legend(canvas, size[0])
    note = f"{len(shown)} of {len(names)} panels shown; the CSV has all." if len(shown) < len(names) else ""
    return canvas, note


def render(name: str, plot: Figure, info: FigureInfo, frame: pd.DataFrame, folder: Path) -> Drawn:
    """Write a figure as PNG (200 dpi), PDF and CSV into `folder` and return it as SVG too.

    The same frame gives the same bytes. Where there is nothing to show, nothing is written.
    """
    import matplotlib as mpl
    from matplotlib.backends import backend_agg, backend_pdf, backend_svg  # noqa: F401

    missing = sorted(info.needs - set(frame.columns))
    if missing:
        return Drawn(name, info.title, f"Not drawn: the tables lack {', '.join(missing)}.", None)
    try:
        data = plot.prepare(frame)
    except NothingToShowError as reason:
        return Drawn(name, info.title, str(reason), None)
    folder.mkdir(parents=True, exist_ok=True)
    from io import StringIO

    from dumb_bench.report.tables import write_csv

    write_csv(data, folder / f"{name}.csv")
    settings: Any = {**mpl.rcParamsDefault, **STYLE, "backend": "agg"}
    with mpl.rc_context(settings):
        canvas, note = _canvas(plot, info, data)
        canvas.savefig(folder / f"{name}.png", dpi=200, metadata={"Software": None})
        canvas.set_layout_engine("none")
        canvas.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        text = StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Drawn(name, info.title, plot.caption(data), text.getvalue(), note, float(canvas.get_figwidth()))
