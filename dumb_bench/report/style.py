"""How figures look: one set of matplotlib settings, readable in print, and what a user changes of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dumb_bench.errors import InputError, shown
from dumb_bench.report.figures.base import GREY, INK, PALE
from dumb_bench.wording import printable

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5, "legend.fontsize": 7.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "grid.color": PALE,
    "grid.linewidth": 0.5, "axes.axisbelow": True, "legend.frameon": False, "figure.facecolor": "white",
    "savefig.facecolor": "white", "text.parse_math": False, "svg.hashsalt": "dumb_bench", "svg.fonttype": "path",
    "pdf.fonttype": 42, "axes.unicode_minus": False, "axes.titlelocation": "left",
}  # fmt: skip
"""The settings of every figure."""

PREFIX = "style."
DPI = "dpi"
_HELD = frozenset({"backend", "svg.hashsalt", "text.parse_math", "text.usetex", "interactive", "toolbar"})
"""What stays as it is: results' own text must never be run as a formula, and the same tables give the same bytes."""


class Style(NamedTuple):
    """matplotlib settings over `STYLE`, and the resolution of PNG files."""

    settings: Mapping[str, Any] = {}
    dpi: int = 200

    def all(self) -> Any:
        """Return every matplotlib setting: its own defaults, `STYLE`, what the user changed."""
        return {**_defaults(), **STYLE, "backend": "agg", **self.settings}


PLAIN = Style()


def _defaults() -> Any:
    import matplotlib as mpl

    return mpl.rcParamsDefault


def parse_style(texts: Sequence[str]) -> Style:
    """Return the style that `style.KEY=VALUE` texts ask for; KEY is `dpi` or a matplotlib setting (`font.size`).

    Raises:
        InputError: no such text, an unknown key, a value that matplotlib refuses.
    """
    import matplotlib as mpl

    checked: Any = mpl.RcParams
    settings: dict[str, Any] = {}
    dpi = 200
    for text in texts:
        key, equals, value = text.partition("=")
        if not key.startswith(PREFIX) or not equals:
            raise InputError(f"--set {printable(text, 200)}: expected style.KEY=VALUE, such as style.font.size=9")
        name, value = key.removeprefix(PREFIX).strip(), value.strip()
        if name == DPI:
            dpi = _dpi(value)
            continue
        if name not in _defaults() or name in _HELD:
            raise InputError(f"--set {printable(key, 100)}: {_unknown(name)}")
        try:
            settings[name] = checked({name: value})[name]
        except (ValueError, TypeError) as error:
            raise InputError(f"--set {printable(text, 200)}: {printable(str(error), 300)}") from None
    return Style(settings, dpi)


def _dpi(value: str) -> int:
    if not value.isdecimal() or not 50 <= int(value) <= 1200:
        raise InputError(f"--set style.dpi={printable(value, 50)}: expected a whole number from 50 to 1200")
    return int(value)


def _unknown(name: str) -> str:
    allowed = [DPI, *(str(entry) for entry in _defaults() if entry not in _HELD)]
    near = difflib.get_close_matches(name, allowed, n=5, cutoff=0.4)
    hint = f" Near it: {', '.join(near)}." if near else ""
    return f"unknown style {shown(name)}.{hint} Allowed: dpi, and matplotlib's settings such as font.size."
