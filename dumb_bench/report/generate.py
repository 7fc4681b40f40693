"""From a result folder to a report: one page, its figures, its tables. Neither torch nor ray is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dumb_bench.catalogue import Catalogue

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.figures.base import Drawn

ORDER = (
    "success_by_case", "surrogate_victim_matrix", "strength_curves", "success_by_training_cost", "success_by_samples",
    "success_by_iterations", "clean_accuracy",
)  # fmt: skip
"""The built-in figures in the order of the page; others follow by name."""


def generate(results_folder: Path, out_folder: Path, *, catalogue: Catalogue | None = None) -> Path:
    """Redraw everything from the tables of `results_folder` into `out_folder`; return the path of `index.html`.

    Written: `index.html` (self-contained), `figures/*.{png,pdf,csv}`, `tables/*.{csv,tex}`. The same tables give the
    same bytes. What is said of posteriors exists only where the grid has some.

    Raises:
        InputError: the folder holds no results, or a table cannot be read.
    """
    from dumb_bench.report.contrasts import summary
    from dumb_bench.report.defences import defence_rows, defended
    from dumb_bench.report.gallery import kept_images
    from dumb_bench.report.groups import prepared
    from dumb_bench.report.html import page
    from dumb_bench.report.load import load
    from dumb_bench.report.posterior_page import section
    from dumb_bench.report.study import study, write_study
    from dumb_bench.report.tables import write_csv, write_tables
    from dumb_bench.report.tunings import tuning_rows, tuning_summary

    results = load(Path(results_folder))
    studied = study(results)
    tests = prepared(results)
    by_case = summary(tests)
    out = Path(out_folder)
    out.mkdir(parents=True, exist_ok=True)
    frames = {"tests": tests, "summary": by_case, "models": results.models}
    if studied is not None:
        frames["posteriors"] = studied.configurations
        write_study(studied, out / "tables")
    drawn = draw_all(frames, out / "figures", catalogue or Catalogue())
    tuned = tuning_summary(results.tunings)
    files = write_tables(by_case, tuned, out / "tables")
    if defended(results):
        write_csv(defence_rows(results), out / "tables" / "defences.csv")
        files.append("defences.csv")
    target = out / "index.html"
    posteriors = None if studied is None else section(studied, out / "tables")
    kept = kept_images(results.tables.folder.place)
    text = page(results, tests, by_case, tuning_rows(tuned), drawn, files, posteriors, kept)
    target.write_text(text, encoding="utf-8")
    return target


def draw_all(frames: dict[str, pd.DataFrame], folder: Path, catalogue: Catalogue) -> list[Drawn]:
    """Draw every figure of the catalogue; one that raises is replaced by a sentence that says so."""
    from dumb_bench.report.figures.base import Drawn, render

    names = catalogue.names("figures")
    drawn = []
    for name in (*[name for name in ORDER if name in names], *[name for name in names if name not in ORDER]):
        entry = catalogue.get("figures", name)
        if entry.info.table == "posteriors" and "posteriors" not in frames:
            continue
        try:
            drawn.append(render(name, entry.call(), entry.info, frames[entry.info.table], folder))
        except Exception as error:
            if entry.origin == "built-in":
                raise
            drawn.append(Drawn(name, entry.info.title, f"Not drawn: {type(error).__name__}: {error}", None))
    return drawn
