"""The contract of a figure: `prepare` turns a frame into plain data, `draw` puts one panel of it on axes.

`prepare(frame)` returns the data that is written as CSV; a column `panel` splits it into small multiples, in order of
first appearance. `draw(axes, frame)` draws one panel. `caption(frame)` says what is shown and the denominator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from dumb_bench.catalogue import PluginInfo, mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

INK, GREY, PALE = "#222222", "#767676", "#d9d9d9"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, BLACK = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#000000",
)  # fmt: skip
SERIES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Okabe and Ito's colours, told apart with any colour vision; markers tell series apart without colour."""
WIDEST = 6.7
"""Inches (17 cm, the text of a page) that a figure is wide at most: printed as it is, no letter is below 6.5 points."""


class NothingToShowError(Exception):
    """The results hold nothing for this figure; the message is the sentence that stands in for it."""


class Figure(Protocol):
    """What a figure's class offers; an attribute `projection` ("polar") makes its axes such ones."""

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


Table = Literal[
    "tests", "summary", "models", "posteriors", "equivalents", "attacks", "tunings", "effects", "classes",
    "definitions", "defences", "gates", "shares", "studies", "visibility",
]  # fmt: skip
"""The frames that a figure can be made of: see `frames.Frames`."""

Section = Literal[
    "effects", "cases", "matrix", "strength", "images", "posteriors", "defences", "tuned", "clean", "others"
]
"""Where on the page a figure stands."""


class FigureInfo(NamedTuple):
    """needs: columns that `prepare` uses. table: which of the frames it is given; a grid that lacks the frame has no
    such figure. panel: width and height of a panel, in inches (None: `size(frame)` says it). section, order: where on
    the page, and its place there.
    """

    needs: frozenset[str]
    table: Table
    title: str
    panel: tuple[float, float] | None
    section: Section = "others"
    order: int = 50


class Drawn(NamedTuple):
    """A figure as written: `svg` is None where `caption` is the sentence that stands in."""

    name: str
    title: str
    caption: str
    svg: str | None
    note: str = ""
    inches: float = 0.0
    section: str = "others"


_Class = TypeVar("_Class", bound=Callable[..., Any])


def figure(
    name: str,
    *,
    needs: set[str],
    title: str,
    table: Table = "tests",
    panel: tuple[float, float] | None = (3.1, 2.2),
    section: Section = "others",
    order: int = 50,
    version: int = 1,
) -> Callable[[_Class], _Class]:
    """Declare a class with `prepare`, `draw` and `caption` as a figure."""
    info = FigureInfo(frozenset(needs), table, title, panel, section, order)

    def decorate(call: _Class) -> _Class:
        return mark(call, PluginInfo("figures", name, version, info))

    return decorate


def percent_axis(axes: Axes, *, top: float = 1.0) -> None:
    """Show fractions as percentages on the y axis, 0 to `top`."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_ylim(-0.02 * top, top * 1.03)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10] if top < 0.15 else [1, 2, 2.5, 5, 10]))
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
