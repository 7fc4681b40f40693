"""One self-contained page: nothing is fetched, only its own script runs, every text from the results is escaped."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from dumb_bench.case import CASE_MEANING, CASES
from dumb_bench.report.axes_page import axes_table, share_rows
from dumb_bench.report.contrasts import WHITE_BOX
from dumb_bench.report.effects import holm
from dumb_bench.report.findings import findings
from dumb_bench.report.groups import parse_primary
from dumb_bench.report.limits import cannot_tell, cells, provenance, size
from dumb_bench.report.wording import bounds, contrast_name, points

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

    from dumb_bench.report.figures.base import Drawn
    from dumb_bench.report.frames import Frames

QUESTION = "How well do adversarial examples made on a surrogate fool a victim that was trained under other conditions?"
MAX_ROWS = 40
OPEN_ROWS = 12
"""Of a longer table the primary contrast and the largest strengths stand open, the rest is folded."""
MAX_FAILURES = 40


def case_table(summary: pd.DataFrame) -> dict[str, Any]:
    """Return the table of success by case: at most `MAX_ROWS` attacks and strengths, the declared and largest first.

    rows: what stands open; folded: the rest, where there are more than `OPEN_ROWS`; cases: those that occur.
    """
    attacks = summary[~summary["label"].astype(str).str.startswith(("sign_noise", "delta_swap of "))]
    groups = []
    for (population, label, setting), group in attacks.groupby(["population", "label", "setting"], sort=True):
        first = group.iloc[0]
        rank = (not first["reference"], not first["primary"], not first["largest"], str(population), str(label))
        order = (not first["reference"], str(population), str(label), _finite(first["strength"]), str(setting))
        groups.append((rank, order, group))
    kept = sorted(groups, key=lambda entry: entry[0])[:MAX_ROWS]
    cases = [case for case in (*CASES, WHITE_BOX) if any((group["case"] == case).any() for _, _, group in kept)]
    opened = {entry[1] for entry in kept if not entry[0][0] and not (entry[0][1] and entry[0][2])}
    if len(kept) <= OPEN_ROWS:
        opened = {entry[1] for entry in kept}
    kept.sort(key=lambda entry: entry[1])
    return {
        "rows": _case_rows([entry for entry in kept if entry[1] in opened], cases),
        "folded": _case_rows([entry for entry in kept if entry[1] not in opened], cases),
        "total": len(groups),
        "cases": [(case, CASE_MEANING.get(case, "white box")) for case in cases],
        "without": [case for case in CASES if case not in cases],
    }


def _case_rows(entries: list[tuple[Any, Any, pd.DataFrame]], cases: list[str]) -> list[dict[str, Any]]:
    rows, last = [], None
    for _, (_, population, label, _, setting), group in entries:
        found: dict[str, Any] = {row["case"]: row for row in group.to_dict("records")}
        shown = [found.get(case) for case in cases]
        rows.append(
            {
                "population": population if population != last else None,
                "label": label,
                "setting": setting,
                "primary": bool(group["primary"].iloc[0]),
                "cells": [_cell(row) for row in shown],
                "controls": [
                    (title, [_control(row, name) for row in shown])
                    for name, title in (("noise", "noise"), ("swap", "delta_swap"))
                    if group[name].notna().any()
                ],
            }
        )
        last = population
    return rows


def _finite(value: float) -> float:
    return value if value == value else float("inf")


def _cell(row: dict[str, Any] | None) -> dict[str, str] | None:
    if row is None:
        return None
    return {"rate": points(row["rate"]), "interval": bounds(row["low"], row["high"]), "n": f"{row['n_tests']:,}"}


def _control(row: dict[str, Any] | None, name: str) -> str:
    """Return a control's rate, with its own n where that is not the attack's."""
    if row is None:
        return "–"
    own = row[f"{name}_n"]
    return points(row[name]) + (f" (n {own:,})" if own and own != row["n_tests"] else "")


def effects_table(summary: pd.DataFrame) -> dict[str, Any]:
    """Return the primary contrast case by case, and the sentences that its intervals allow."""
    primary = summary[summary["primary"].astype(bool) & summary["reference"].astype(bool) & summary["case"].isin(CASES)]
    rows = [
        {
            "case": row["case"],
            "meaning": CASE_MEANING[row["case"]],
            "rate": points(row["rate"]),
            "interval": bounds(row["low"], row["high"]),
            "reason": row["reason"] or "",
            "noise": points(row["noise"]),
            "excess": points(row["excess"], sign=True),
            "excess_interval": bounds(row["excess_low"], row["excess_high"], sign=True),
            "minus": points(row["minus_c1"], sign=True),
            "minus_interval": bounds(row["minus_c1_low"], row["minus_c1_high"], sign=True),
            "own": points(row["own_source_images"]),
            "other": points(row["other_source_images"]),
            "n": f"{row['n_tests']:,}",
            "models": f"{row['n_surrogates']} / {row['n_victims']}",
            "images": f"{row['n_images']:.0f}",
        }
        for row in primary.to_dict("records")
    ]
    name = contrast_name(str(primary["label"].iloc[0]), str(primary["setting"].iloc[0])) if rows else ""
    return {"rows": rows, "name": name, "claims": claims(primary)}


def declared_missing(declared: str | None, tests: pd.DataFrame) -> bool:
    """Return whether a contrast was declared before the run and none of its tests was scored."""
    shown = tests.loc[tests["primary"].astype(bool), "attack"]
    return declared is not None and not (shown == parse_primary(declared)[0]).any()


def claims(primary: pd.DataFrame) -> list[str]:
    """Return what may be said in words: an effect only where its interval excludes zero, Holm's p is below .05 and
    seeds suffice (`few`).
    """
    if primary.empty:
        return []
    if not (primary["reason"] == "").any():
        reason = next((text for text in primary["reason"] if text), "no interval")
        return [
            f"Descriptive only: no mean has an interval ({str(reason).removeprefix('descriptive: ')}). No effect "
            f"is claimed."
        ]
    texts = []
    few = primary[(primary["few"] != "") & (primary["reason"] == "")]
    if len(few):
        why = " and ".join(sorted(set(few["few"].astype(str))))
        texts.append(f"Not resolved, whatever the interval, since seeds are too few ({why}): {', '.join(few['case'])}.")
    primary = primary[primary["few"] == ""]
    primary = primary.assign(excess_holm=holm(list(primary["excess_p"])))
    clear = (primary["excess_low"] > 0) & (primary["excess_holm"] < 0.05)
    level = primary[(primary["excess_reason"] == "") & ~clear]
    if clear.any():
        cases = ", ".join(primary.loc[clear, "case"])
        texts.append(f"More success than noise of the same size, interval above zero and Holm’s p below .05: {cases}.")
    if len(level):
        texts.append(f"Not told apart from noise of the same size, or below it: {', '.join(level['case'])}.")
    compared = primary[primary["minus_c1"].notna()]
    clear = (compared["minus_c1_holm"] < 0.05) & ((compared["minus_c1_low"] > 0) | (compared["minus_c1_high"] < 0))
    for row in compared[clear].to_dict("records"):
        word = "less" if row["minus_c1"] < 0 else "more"
        texts.append(
            f"{row['case']} ({CASE_MEANING[row['case']]}) succeeds {word} often than C1, by "
            f"{points(abs(row['minus_c1']))} points "
            f"{bounds(*sorted((abs(row['minus_c1_low']), abs(row['minus_c1_high']))))}."
        )
    open_cases = compared[~clear & (compared["minus_c1_reason"] == "")]
    if len(open_cases):
        texts.append(
            f"No difference from C1 is resolved for {', '.join(open_cases['case'])}; that is no evidence of equality."
        )
    return texts


def failure_rows(failed: pd.DataFrame) -> dict[str, Any]:
    """Return failed units, equal ones counted together, the most frequent first."""
    if failed.empty:
        return {"rows": [], "total": 0}
    keys = ["kind", "attack", "error_type", "message"]
    filled = failed.assign(
        **{key: failed[key].fillna("–").astype(str) for key in keys}, missing=failed["tests_missing"].fillna(0)
    )
    grouped = filled.groupby(keys, sort=True).agg(
        units=("unit_key", "size"), missing=("missing", "sum"), example=("unit", "first")
    )
    grouped = grouped.reset_index().sort_values(["units", *keys], ascending=[False, True, True, True, True])
    rows = [
        {
            **row,
            "missing": f"{int(row['missing']):,}",
            "example": row["example"] or "",
            "message": str(row["message"])[:2000],
        }
        for row in grouped.head(MAX_FAILURES).to_dict("records")
    ]
    return {"rows": rows, "total": len(grouped)}


def page(
    frames: Frames,
    tuned: list[dict[str, str]],
    drawn: list[Drawn],
    files: list[str],
    table: dict[str, Any],
    posteriors: dict[str, Any] | None = None,
    kept: dict[str, Any] | None = None,
    defences: dict[str, Any] | None = None,
) -> str:
    """Return the page as HTML. `tuned`: rows on chosen strengths; `drawn`: the figures in order; `files`: names under
    `tables/`; `table`: `test_table.embedded`; `posteriors`: `posterior_page.section`, None in a grid without them;
    `kept`: `gallery.kept_images`; `defences`: `defence_page.section`.
    """
    results, tests, summary = frames.results, frames.tests, frames.summary
    found = frames.checks
    templates = environment()
    script = templates.get_template("tests.js").render()
    return templates.get_template("report.html.j2").render(
        title=results.meta.title or results.meta.name,
        question=QUESTION,
        description=results.meta.description or "",
        gates=found,
        failed_gates=[gate for gate in found if gate.status == "fail"],
        words={"pass": "pass", "warn": "look", "fail": "failed", "not applicable": "n/a"},
        size=size(results, tests),
        pooled=cells(tests),
        cases=case_table(summary),
        findings=findings(frames.effects, results.meta.declared, results.meta.part),
        axes=axes_table(frames.effects),
        shares=share_rows(frames.shares),
        effects=effects_table(summary),
        part=results.meta.part,
        declared=results.meta.declared,
        declared_missing=declared_missing(results.meta.declared, tests),
        tuned=tuned,
        figures=placed(drawn),
        failures=failure_rows(results.failures),
        limits=cannot_tell(results, tests, summary),
        provenance=[*provenance(results), ("report made by", f"dumb_bench {own_version()}")],
        grid_text=results.meta.grid_text,
        files=files,
        posteriors=posteriors,
        defences=defences,
        kept=kept,
        tests={**table, "script": script},
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        published=results.published,
    )


def environment() -> Environment:
    """Return where templates come from: every text is escaped, an unknown name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("dumb_bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def placed(drawn: list[Drawn]) -> dict[str, dict[str, Any]]:
    """Return what the template shows of each figure, by name."""
    return {
        plot.name: {
            "name": plot.name,
            "title": plot.title,
            "caption": plot.caption,
            "note": plot.note,
            "width": round(125 * plot.inches),
            "section": plot.section,
            "data": "" if plot.svg is None else base64.b64encode(plot.svg.encode()).decode(),
        }
        for plot in drawn
    }


def own_version() -> str:
    """Return the version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dumb-bench")
    except PackageNotFoundError:
        return "not installed"
