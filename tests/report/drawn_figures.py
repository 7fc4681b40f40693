"""Draws a figure from a frame made by hand, and looks whether its texts keep apart and stay on the canvas."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dumb_bench.catalogue import Catalogue
from dumb_bench.report.figures.base import NothingToShowError
from dumb_bench.report.render import canvas_of, prepared_data

HOSTILE = ("$x_1$", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "100 % \\alpha_{^}", "x" * 200)
LONG = tuple(f'torchvision.vgg11_bn(side=0, origin="{number}")' for number in range(24))


def prepared(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    entry = Catalogue().get("figures", name)
    return prepared_data(entry.call(), entry.info, frame)


def said(name: str, frame: pd.DataFrame) -> str:
    """Return the caption, or the sentence that stands instead of the figure."""
    entry = Catalogue().get("figures", name)
    try:
        return str(entry.call().caption(prepared_data(entry.call(), entry.info, frame)))
    except NothingToShowError as reason:
        return str(reason)


def boxes(axis: Any, renderer: Any) -> list[tuple[str, Any]]:
    """Return the tick labels of an axis that are drawn, with their boxes in pixels."""
    ticks = [tick for tick in axis._update_ticks() if tick.label1.get_visible() and tick.label1.get_text()]
    return [(tick.label1.get_text(), tick.label1.get_window_extent(renderer)) for tick in ticks]


def faults(name: str, frame: pd.DataFrame) -> list[str]:
    """Draw a figure and return what is wrong with its texts."""
    entry = Catalogue().get("figures", name)
    canvas = canvas_of(entry.call(), entry.info, prepared_data(entry.call(), entry.info, frame))
    agg = FigureCanvasAgg(canvas)
    agg.draw()
    renderer, wide, high = agg.get_renderer(), *canvas.bbox.size
    groups = [boxes(axis, renderer) for axes in canvas.axes for axis in (axes.xaxis, axes.yaxis)]
    titles = [axes._left_title for axes in canvas.axes if axes.get_title(loc="left")]
    groups.append([(title.get_text(), title.get_window_extent(renderer)) for title in titles])
    for legend in canvas.legends:
        groups.append([(text.get_text(), text.get_window_extent(renderer)) for text in legend.get_texts()])
    found = []
    for group in groups:
        for (one, first), (other, second) in itertools.combinations(group, 2):
            across = min(first.x1, second.x1) - max(first.x0, second.x0)
            along = min(first.y1, second.y1) - max(first.y0, second.y0)
            if across > 1 and along > 1:
                found.append(f"{one!r} lies on {other!r}")
        for text, box in group:
            if box.x0 < -1 or box.y0 < -1 or box.x1 > wide + 1 or box.y1 > high + 1:
                found.append(f"{text!r} leaves the canvas")
    words = [text for axes in canvas.axes for text in axes.texts if text.get_visible()]
    small = [text.get_text() for text in words if text.get_fontsize() < 6.5]
    return found + [f"{text!r} is too small" for text in small]
