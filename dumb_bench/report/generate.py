"""From a result folder to a report: one page, its figures, its tables. Neither torch nor ray is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError, unknown
from dumb_bench.report.style import PLAIN, Style

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.figures.base import Drawn
    from dumb_bench.report.frames import Frames


class Source(Protocol):
    """Where figures take their frames from."""

    def get(self, name: str) -> pd.DataFrame | None:
        """Return a frame by name; None where there is nothing of the kind."""
        ...


SECTIONS = ("effects", "cases", "matrix", "strength", "images", "posteriors", "defences", "tuned", "clean", "others")
"""The order of figures on the page; within a section by `order`, then by name."""


def generate(
    results_folder: Path,
    out_folder: Path,
    *,
    catalogue: Catalogue | None = None,
    only: Sequence[str] = (),
    where: Sequence[str] = (),
    style: Style = PLAIN,
) -> Path:
    """Redraw everything from the tables of `results_folder` into `out_folder`; return the path of `index.html`.

    Written: `index.html` (self-contained), `figures/*.{png,pdf,csv,tex}`, `tables/*.{csv,tex}`. The same tables give
    the same bytes. What is said of posteriors exists only where the grid has some. only: names of figures; where some
    are given, they alone are written, and the folder of figures is returned. where: conditions on tests
    (`where.parse_where`), all others are left out.

    Raises:
        InputError: the folder holds no results, a table cannot be read, a figure has no such name, or a condition holds
            for nothing.
    """
    from dumb_bench.report.frames import Frames
    from dumb_bench.report.load import load
    from dumb_bench.report.where import parse_where, restricted

    catalogue = catalogue or Catalogue()
    chosen(catalogue, only)
    conditions = parse_where(where)
    results = restricted(load(Path(results_folder)), conditions)
    return write_report(Frames(results), Path(out_folder), catalogue, only, style)


def write_report(frames: Frames, out: Path, catalogue: Catalogue, only: Sequence[str], style: Style) -> Path:
    """Write the report of one folder's frames. Returns and raises as `generate`."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = draw_all(frames, out / "figures", catalogue, chosen(catalogue, only), style)
    if not only:
        return _page(frames, out, drawn)
    bare = [f"{plot.name}: {plot.caption}" for plot in drawn if plot.svg is None]
    bare += [f"{name}: the grid has nothing of the kind" for name in only if name not in {plot.name for plot in drawn}]
    if len(bare) == len(set(only)):
        raise InputError("; ".join(bare))
    return out / "figures"


def _page(frames: Frames, out: Path, drawn: list[Drawn]) -> Path:
    """Write the tables and the page."""
    from dumb_bench.report.defence_page import section as defence_section
    from dumb_bench.report.gallery import kept_images
    from dumb_bench.report.html import page
    from dumb_bench.report.posterior_page import section
    from dumb_bench.report.study import write_study
    from dumb_bench.report.tables import write_csv, write_tables
    from dumb_bench.report.test_table import columns, embedded, write_tests
    from dumb_bench.report.tunings import tuning_rows, tuning_summary

    results, tables = frames.results, out / "tables"
    tuned = tuning_summary(results.tunings)
    files = write_tables(frames.summary, tuned, tables)
    write_csv(frames.effects, tables / "effects.csv")
    write_csv(frames.definitions, tables / "definitions.csv")
    write_csv(frames.classes, tables / "classes.csv")
    write_csv(frames.shares, tables / "variance_shares.csv")
    if frames.study is not None:
        write_study(frames.study, tables)
    defences = None
    if frames.defences is not None:
        write_csv(frames.defences, tables / "defences.csv")
        defences = defence_section(frames.defences, tables)
    posteriors = None if frames.study is None else section(frames.study, tables)
    kept = kept_images(results.tables.folder.place)
    shown = columns(frames.tests)
    write_tests(shown, tables / "tests.csv")
    table = embedded(frames.tests, shown)
    text = page(frames, tuning_rows(tuned), drawn, files, table, posteriors, kept, defences)
    target = out / "index.html"
    target.write_text(text, encoding="utf-8")
    return target


def chosen(catalogue: Catalogue, only: Sequence[str] = ()) -> list[str]:
    """Return the names of figures in the order of the page: all, or those asked for.

    Raises:
        InputError: one is unknown.
    """
    names = catalogue.names("figures")
    for name in only:
        if name not in names:
            raise InputError(unknown("figure", name, names))
    infos = {name: catalogue.get("figures", name).info for name in (only or names)}
    return sorted(infos, key=lambda name: (SECTIONS.index(infos[name].section), infos[name].order, name))


def draw_all(frames: Source, folder: Path, catalogue: Catalogue, names: Sequence[str], style: Style) -> list[Drawn]:
    """Draw figures in order; a user's one that raises is replaced by a sentence that says so."""
    from dumb_bench.report.figures.base import Drawn
    from dumb_bench.report.render import render

    drawn = []
    for name in names:
        entry = catalogue.get("figures", name)
        frame = frames.get(entry.info.table)
        if frame is None:
            continue
        try:
            drawn.append(render(name, entry.call(), entry.info, frame, folder, style))
        except Exception as error:
            if entry.origin == "built-in":
                raise
            text = f"Not drawn: {type(error).__name__}: {error}"
            drawn.append(Drawn(name, entry.info.title, text, None, section=entry.info.section))
    return drawn
