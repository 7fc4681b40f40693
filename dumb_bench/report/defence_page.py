"""The page's section on defences: a table with one row a defence, as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dumb_bench.report.defence_summary import MEASURES, attack_text, defence_summary
from dumb_bench.report.html import MAX_ROWS
from dumb_bench.report.study import Shown, write_latex
from dumb_bench.report.wording import bounds, points

if TYPE_CHECKING:
    import pandas as pd

NAME = "defence_table"
HEADS = {
    "clean": ("clean", "no attack"), "transfer": ("transfer", "undefended surrogates, other seeds"),
    "weights known": ("weights known", "without the input defence"), "white box": ("white box", "defence included"),
}  # fmt: skip

Cell = tuple[str, str]


def section(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Return what the template shows, and write the table as LaTeX into `folder`: tables. `frame`: `defence_rows`."""
    table = defence_table(frame)
    write_latex(table, folder)
    shown = {**table._asdict(), "rows": table.rows[:MAX_ROWS], "total": len(table.rows)}
    return {"tables": [{**shown, "files": ["defences.csv", f"{NAME}.tex"]}]}


def defence_table(frame: pd.DataFrame) -> Shown:
    """Return accuracy and its difference to the undefended models, a row a defence, two columns a measure."""
    found = defence_summary(frame)
    measures = [name for name in MEASURES if name in set(found["measure"])]
    rows = []
    for defence, part in found.groupby("defence", sort=True):
        by = {row["measure"]: row for row in part.to_dict("records")}
        cells = [cell for name in measures for cell in _cells(by.get(name))]
        pairs = part["n_pairs"]
        count = f"{pairs.min()}" + (f" to {pairs.max()}" if pairs.min() < pairs.max() else "")
        rows.append([(str(defence), ""), *cells, (count, "")])
    head = [("defence", "")]
    for name in measures:
        head += [HEADS[name], ("difference", "points")]
    note = (
        "Accuracy in percent: images right when clean and right when attacked / all images of the set. Beneath it the "
        "strongest attack there on that defence; difference: to the undefended models of the same seeds under the same "
        "attack, with a 95 % interval over pairs of models for new seeds on the same images; without one (one pair, or "
        "a mean over several sources, architectures, ...): descriptive."
    )
    empty = "No defended victim has an undefended one of the same seed beside it."
    return Shown(NAME, "What each defence does", [*head, ("pairs", "of models")], 1, rows, note, empty)


def _cells(row: Mapping[Any, Any] | None) -> list[Cell]:
    if row is None:
        return [("–", ""), ("–", "")]
    ends = bounds(row["low"], row["high"], sign=True) if row["high"] > row["low"] else ""
    if row["high"] == row["low"]:
        ends = "same for every seed"
    return [(points(row["accuracy"]), attack_text(row)), (points(row["difference"], sign=True), ends)]
