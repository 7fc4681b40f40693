"""Several results side by side: what differs in how they were made, then success by case, study beside study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.report.frames import Frames
from dumb_bench.report.style import PLAIN, Style

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.figures.base import Drawn

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
MOST = 8
"""Studies that one page holds."""

PROTOCOL = {
    "task": "task", "image_source": "images of", "n_images": "images a test", "delivery": "delivery",
    "strength_rule": "strengths", "surrogate_recipe": "recipe of surrogates", "victim_recipe": "recipe of victims",
    "surrogate_balance_mode": "balance made by", "surrogate_init": "initial weights", "numerics": "numerics",
    "attack_library": "attacks from",
}  # fmt: skip
"""Column of `tests` -> what it says of how a study was made."""


class Side(NamedTuple):
    """One study: its name on the page and in the folder, and its frames."""

    name: str
    frames: Frames


class Together(NamedTuple):
    """place: the page, or the folder of figures; mixed: what differs in how the studies were made, as sentences."""

    place: Path
    mixed: list[str]


class Beside:
    """Frames of several studies for figures: `studies` only."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self._sides = sides

    def get(self, name: str) -> pd.DataFrame | None:
        """Return the frame `studies`; None for those of a single study."""
        return studies(self._sides) if name == "studies" else None


def studies(sides: Sequence[Side]) -> pd.DataFrame:
    """Return `contrasts.summary` of every study beneath each other, reference populations only, and `study`.

    Success of the same attack at another strength, or on other tasks and images, is not the same quantity: `protocol`
    says what differs.
    """
    import pandas as pd

    parts = []
    for number, side in enumerate(sides):
        summary = side.frames.summary
        control = summary["label"].astype(str).str.startswith(("sign_noise", "delta_swap of "))
        kept = summary[summary["reference"].astype(bool) & ~control]
        parts.append(kept.assign(study=side.name, number=number))
    return pd.concat(parts, ignore_index=True)


def protocol(sides: Sequence[Side]) -> pd.DataFrame:
    """Return one row an item of `PROTOCOL`: item, one column a study, and whether they differ."""
    import pandas as pd

    rows = []
    for column, item in PROTOCOL.items():
        values = {side.name: _values(side.frames.tests, column) for side in sides}
        rows.append({"item": item, **values, "differs": len(set(values.values())) > 1})
    return pd.DataFrame(rows)


def _values(tests: pd.DataFrame, column: str) -> str:
    attacks = tests[tests["role"] == "attack"]
    if column not in attacks:
        return "not stored"
    found = sorted({_text(value) for value in attacks[column].unique()})
    return ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "") if found else "none"


def _text(value: object) -> str:
    if value is None or value != value:
        return "not stored"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def named(folders: Sequence[Path], where: Sequence[str] = ()) -> list[Side]:
    """Return the studies of result folders; a number tells apart those of one name. where: as in `generate`.

    Raises:
        InputError: too many, the same folder twice, no results there, a condition that holds for nothing, or tasks of
            which none is shared.
    """
    from dumb_bench.report.load import load
    from dumb_bench.report.where import parse_where, restricted

    conditions = parse_where(where)

    if len(folders) > MOST:
        raise InputError(f"report: at most {MOST} result folders side by side, got {len(folders)}")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("report: the same result folder is given twice")
    found = [restricted(load(folder), conditions) for folder in folders]
    names = [results.meta.name for results in found]
    sides = []
    for number, (results, name) in enumerate(zip(found, names, strict=True)):
        sound = _FOLDER.fullmatch(name) and name not in ("figures", "tables")
        plain = f"study-{number + 1}" if not sound else name if names.count(name) == 1 else f"{name}-{number + 1}"
        sides.append(Side(plain, Frames(results)))
    tasks = [set(side.frames.tests["task"].dropna()) for side in sides]
    if not set.intersection(*tasks):
        pairs = zip(sides, tasks, strict=True)
        shown = "; ".join(f"{side.name}: {', '.join(sorted(map(str, task))) or 'none'}" for side, task in pairs)
        raise InputError(f"report: the results share no task ({shown}); success on different tasks is not compared")
    return sides


def generate_all(
    folders: Sequence[Path],
    out: Path,
    *,
    catalogue: Catalogue | None = None,
    only: Sequence[str] = (),
    where: Sequence[str] = (),
    style: Style = PLAIN,
) -> Together:
    """Write the page of several studies into `out`, and each study's own report into `out/NAME`.

    Written: `index.html`, `figures/`, `tables/studies.csv`, `tables/protocol.csv`. only, where: as in `generate`.

    Raises:
        InputError: as `named`, or as `generate`.
    """
    from dumb_bench.report.generate import chosen, draw_all, write_report
    from dumb_bench.report.tables import write_csv

    catalogue = catalogue or Catalogue()
    names = chosen(catalogue, only)
    sides = named(folders, where)
    found = protocol(sides)
    mixed = [
        f"{row['item']}: " + "; ".join(f"{side.name} has {row[side.name]}" for side in sides)
        for row in found[found["differs"]].to_dict("records")
    ]
    out.mkdir(parents=True, exist_ok=True)
    drawn = draw_all(Beside(sides), out / "figures", catalogue, names, style)
    for side in sides:
        write_report(side.frames, out / side.name, catalogue, only, style)
    if only:
        return Together(out, mixed)
    tables = out / "tables"
    tables.mkdir(exist_ok=True)
    write_csv(studies(sides), tables / "studies.csv")
    write_csv(found, tables / "protocol.csv")
    target = out / "index.html"
    target.write_text(_page(sides, found, drawn), encoding="utf-8")
    return Together(target, mixed)


def _page(sides: Sequence[Side], found: pd.DataFrame, drawn: list[Drawn]) -> str:
    from dumb_bench.case import CASE_MEANING, CASES
    from dumb_bench.report.html import environment, own_version, placed

    return (
        environment()
        .get_template("side_by_side.html.j2")
        .render(
            title=" beside ".join(side.name for side in sides),
            sides=[_described(side) for side in sides],
            protocol=found.to_dict("records"),
            names=[side.name for side in sides],
            cases=[(case, CASE_MEANING[case]) for case in CASES],
            rows=table(studies(sides), [side.name for side in sides]),
            figures=placed(drawn),
            version=own_version(),
        )
    )


def _described(side: Side) -> dict[str, Any]:
    results, tests = side.frames.results, side.frames.tests
    failed = [row["name"] for row in side.frames.gates.to_dict("records") if row["status"] == "fail"]
    return {
        "name": side.name, "title": results.meta.title or side.name,
        "description": " ".join(filter(None, (results.meta.description, results.meta.part))),
        "tests": f"{len(tests):,}", "models": f"{len(results.models):,}", "failed": failed,
        "notes": list(results.meta.notes),
    }  # fmt: skip


def table(frame: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Return one row an (attack, study), the attacks that several studies have first; cells C1 to C8 as text."""
    from dumb_bench.case import CASES
    from dumb_bench.report.wording import bounds, points

    kept = frame[frame["primary"].astype(bool) | frame["largest"].astype(bool)]
    shared = kept.groupby("label")["study"].nunique()
    rows: list[dict[str, Any]] = []
    for label in sorted(shared.index, key=lambda name: (-shared[name], str(name))):
        last = None
        of_label = kept[kept["label"] == label]
        for name in names:
            for setting, part in of_label[of_label["study"] == name].groupby("setting", sort=True):
                by = {row["case"]: row for row in part.to_dict("records")}
                cells = [
                    (points(by[case]["rate"]), bounds(by[case]["low"], by[case]["high"]), by[case]["n_tests"])
                    if case in by else None
                    for case in CASES
                ]  # fmt: skip
                rows.append(
                    {
                        "label": str(label) if last is None else "",
                        "study": name,
                        "setting": str(setting),
                        "cells": cells,
                    }
                )
                last = name
    return rows
