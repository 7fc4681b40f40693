"""The page's section on Bayesian surrogates: tables as text, and the sentences that their intervals allow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.figures.series import RELATION_ORDER, amount, first_place
from dumb_bench.report.gains import EQUAL_EPOCHS, SAME_RECIPE
from dumb_bench.report.html import MAX_ROWS
from dumb_bench.report.posteriors import CONFIGURATION, not_stored
from dumb_bench.report.study import FILES, Shown, Study, write_latex
from dumb_bench.report.wording import bounds, contrast_name, points

if TYPE_CHECKING:
    import pandas as pd

AGAINST = {EQUAL_EPOCHS: "the single network at equal epochs", SAME_RECIPE: "the single network of the same recipe"}
_MEAN = (
    "Success: images misclassified by the victim / images it gets right when clean; mean over tests, white box and "
    "shared weights left out, the balance pooled, draws of one seed averaged first."
)
_WHO = [("posterior", "recipe"), ("samples", "aggregation")]
_ORDER = ["posterior", "recipe", "aggregation", "samples"]

Row = dict[str, Any]
Cell = tuple[str, str]


def section(studied: Study, folder: Path) -> dict[str, Any]:
    """Return what the template shows, and write the tables as LaTeX into `folder`: name, empty, notes, claims, tables.
    Shown: the primary contrast, else one attack at its largest strength.
    """
    final = studied.configurations[studied.configurations["step"].isna()]
    found: dict[str, Any] = {"name": "", "empty": "", "notes": [], "claims": [], "tables": []}
    if final.empty:
        return {**found, "empty": "No test of an attack enters a comparison (none was scored, or all share weights)."}
    shown = first_place(final)
    gains = first_place(studied.gains)
    tables = [
        costs_table(shown),
        *(gains_table(gains, against) for against in AGAINST),
        cycle_table(first_place(studied.aggregations.assign(label=studied.aggregations["attack"]))),
        tdee_table(first_place(studied.equivalents)),
    ]
    for table in tables:
        write_latex(table, folder)
    missing = not_stored(final)
    note = f"Not stored with these results, and shown as a dash: {', '.join(missing)}." if missing else ""
    place = shown.iloc[0]
    return {
        **found,
        "name": contrast_name(str(place["label"]), str(place["setting"])),
        "notes": [text for text in (note,) if text],
        "claims": claims(gains),
        "tables": [_on_page(table) for table in tables],
    }


def _on_page(table: Shown) -> dict[str, Any]:
    csv = next(file for file in FILES.values() if table.name.startswith(file))
    files = [f"{csv}.csv", f"{table.name}.tex"]
    return {**table._asdict(), "rows": table.rows[:MAX_ROWS], "total": len(table.rows), "files": files}


def _relations(frame: pd.DataFrame) -> list[str]:
    return [name for name in RELATION_ORDER if name in set(frame["relation"])]


def _heads(relations: list[str]) -> list[Cell]:
    return [(f"{first} arch.", f"{second} source") for first, second in (_words(name) for name in relations)]


def _words(relation: str) -> tuple[str, str]:
    first, second = relation.split(", ")
    return first.removesuffix(" architecture"), second.removesuffix(" source")


def _grouped(frame: pd.DataFrame, keys: list[str]) -> list[tuple[Row, dict[str, Row]]]:
    """Return for each value of `keys`, in order, its first row and its rows by relation."""
    if frame.empty:
        return []
    order = [*_ORDER, *(key for key in keys if key not in _ORDER)]
    order = [key for key in order if key in keys]
    found = []
    for _, part in frame.groupby(order, sort=True, dropna=False):
        rows: list[Row] = [{str(key): value for key, value in row.items()} for row in part.to_dict("records")]
        found.append((rows[0], {str(row["relation"]): row for row in rows}))
    return sorted(found, key=lambda entry: str(entry[0]["posterior"]) != "point")


def _who(row: Row) -> list[Cell]:
    how = str(row.get("aggregation", ""))
    return [(str(row["posterior"]), str(row["recipe"])), (f"{row['samples']:.0f}", how)]


def costs_table(frame: pd.DataFrame) -> Shown:
    """Return success by relation and the four costs, one row a configuration."""
    relations = _relations(frame)
    rows = []
    for first, by in _grouped(frame, CONFIGURATION):
        cells = [
            (points(by[name]["rate"]), f"{bounds(by[name]['low'], by[name]['high'])} n {by[name]['n_tests']}".strip())
            if name in by else ("–", "")
            for name in relations
        ]  # fmt: skip
        trained = (amount(first["epochs"]), f"{amount(first['gradients'])}, {amount(first['seconds'])} s")
        held = (amount(first["memory_bytes"]), amount(first["weights_bytes"]))
        rows.append([*_who(first), *cells, trained, (amount(first["backwards"]), ""), held])
    head = [
        *_WHO, *_heads(relations), ("training", "epochs; gradients, time"), ("crafting", "gradients an image"),
        ("memory", "bytes; of weights"),
    ]  # fmt: skip
    note = (
        f"{_MEAN} Percent, 95 % intervals for new seeds on the same images, n: tests. Costs: means over surrogates; "
        "training from scratch of exactly the samples used, crafting at this strength (where several strengths share "
        "their gradients, what the first costs); a dash: not known (surrogates of several models, older results)."
    )
    return Shown("posterior_costs", "Success and its four costs", head, 2, rows, note, "")


def gains_table(frame: pd.DataFrame, against: str) -> Shown:
    """Return the gains over one kind of single network, one row a configuration; a star marks what is resolved."""
    own = frame[frame["against"] == against]
    relations = _relations(own)
    rows = []
    for first, by in _grouped(own, CONFIGURATION):
        ratio = f"{first['epochs_ratio']:.2f} × its epochs" if np.isfinite(first["epochs_ratio"]) else ""
        single = first["single_recipe"]
        beside = (str(single), ratio) if isinstance(single, str) else ("none", _nearest(first))
        rows.append([*_who(first), (amount(first["epochs"]), ""), beside, *(_gain(by.get(name)) for name in relations)])
    note = (
        f"Percentage points, success minus that of {AGAINST[against]} on the same cells, victims and images; 95 % "
        "intervals for new seeds on the same images, without one: descriptive. *: the interval excludes zero and "
        f"Holm’s p over the {_family(own)} gains of this attack and strength, of both comparisons, is below .05."
    )
    title = f"Gain over {AGAINST[against]}"
    name = "posterior_gains" + ("_same_recipe" if against == SAME_RECIPE else "")
    head = [*_WHO, ("epochs", ""), ("single network", "recipe, epochs"), *_heads(relations)]
    return Shown(name, title, head, 2, rows, note, "No surrogate to compare with a single network.")


def _nearest(row: Row) -> str:
    ratio = row["epochs_ratio"]
    return f"nearest: {ratio:.2f} × its epochs" if np.isfinite(ratio) else str(row["reason"])


def _family(frame: pd.DataFrame) -> int:
    return int(frame["family"].max()) if len(frame) else 0


def _gain(row: Row | None, *, name: str = "gain") -> Cell:
    if row is None or not np.isfinite(row[name]):
        return ("–", "")
    star = "*" if row["resolved"] else ""
    return (points(row[name], sign=True) + star, bounds(row["low"], row["high"], sign=True))


def cycle_table(frame: pd.DataFrame) -> Shown:
    """Return `cycle` minus `mean_logits`, one row a posterior, number of samples and way to compare."""
    relations = _relations(frame)
    rows = []
    keys = ["posterior", "recipe", "samples", "compared", "mean_attack", "cycle_attack", "mean_steps", "cycle_steps"]
    for first, by in _grouped(frame, keys):
        steps = " / ".join(amount(first[name]) for name in ("cycle_steps", "mean_steps"))
        ratio = f"{first['backwards_ratio']:.3g}" if np.isfinite(first["backwards_ratio"]) else "–"
        entries = list(dict.fromkeys([first["cycle_attack"], first["mean_attack"]]))
        compared = (str(first["compared"]), " / ".join(map(str, entries)))
        gains = [_gain(by.get(name)) for name in relations]
        rows.append([*_who(first), compared, (steps, f"gradients × {ratio}"), *gains])
    head = [_WHO[0], ("samples", ""), ("compared", ""), ("steps", "cycle / mean; ratio"), *_heads(relations)]
    note = (
        "Percentage points, success of cycle minus that of mean_logits, same surrogates, victims and images. * as "
        f"above, Holm over the {_family(frame)} differences of this attack and strength. Recorded steps: an "
        "intermediate image has not used its whole budget where the step is a share of it, so a difference there, "
        "starred or not, is no effect of the aggregation; an attack entry with fewer steps compares fairly."
    )
    title = "cycle against mean_logits"
    return Shown("cycle_against_mean", title, head, 3, rows, note, "No posterior was attacked with both.")


def tdee_table(frame: pd.DataFrame) -> Shown:
    """Return T-DEE with its interval, one row a configuration and deep-ensemble recipe."""
    relations = _relations(frame)
    rows = []
    for first, by in _grouped(frame, [*CONFIGURATION, "ensemble_recipe", "members"]):
        cells = [_equivalent(by.get(name)) for name in relations]
        rows.append([*_who(first), (str(first["ensemble_recipe"]), f"of {first['members']}"), *cells])
    note = (
        "The number of networks trained apart whose ensemble succeeds as often on the same victims (smallest crossing "
        "of the curve, linear between the sizes measured). Below 1, above the largest ensemble: no number. In brackets "
        "the sizes whose difference has a 95 % interval that holds zero; without, descriptive."
    )
    head = [*_WHO, ("deep ensembles", "recipe, sizes"), *_heads(relations)]
    empty = "No T-DEE: the grid has no deep ensembles of two sizes (one network of their recipe counts as a size)."
    return Shown("tdee", "Deep-ensemble equivalent (T-DEE)", head, 2, rows, note, empty)


def _equivalent(row: Row | None) -> Cell:
    if row is None:
        return ("–", "")
    low, high = row["low_text"], row["high_text"]
    return (str(row["tdee_text"]), f"[{low}, {high}]" if isinstance(low, str) else "")


def claims(gains: pd.DataFrame) -> list[str]:
    """Return which gains are resolved and which are not: only a resolved one is claimed."""
    texts: list[str] = []
    recipes = gains["recipe"].nunique() if len(gains) else 0
    for against, name in AGAINST.items() if len(gains) else ():
        own = gains[(gains["against"] == against) & gains["gain"].notna()]
        if own.empty:
            texts.append(f"Against {name}: nothing to compare.")
        relations = own["relation"].nunique()
        level = ~own["resolved"] & (own["reason"] == "")
        for word, rows in (
            ("more success, resolved", own[own["resolved"] & (own["gain"] > 0)]),
            ("less success, resolved", own[own["resolved"] & (own["gain"] < 0)]),
            ("not resolved, which is not equal", own[level]),
        ):
            if len(rows):
                texts.append(f"Against {name}, {word}: {_listed(rows, relations, recipes)}.")
        bare = own[own["reason"] != ""]
        if len(bare):
            reasons = ", ".join(sorted(set(bare["reason"].astype(str).str.removeprefix("descriptive: "))))
            texts.append(f"Against {name}, descriptive only, nothing is claimed: {len(bare)} gains ({reasons}).")
    return texts


def _listed(rows: pd.DataFrame, relations: int, recipes: int) -> str:
    """Return configurations in short, those of the same relations together, with the range of what is resolved."""
    where: pd.Series = rows.groupby(CONFIGURATION)["relation"].agg(lambda part: tuple(_relations(part.to_frame())))
    kept = rows.merge(where.rename("where").reset_index(), on=CONFIGURATION)
    texts = []
    combinations: list[tuple[str, ...]] = sorted(set(where), key=len, reverse=True)
    for found in combinations:
        part = kept[kept["where"] == found]
        place = "in every relation" if len(found) == relations else "; ".join(found)
        named = [_counted(key, group, recipes > 1) for key, group in part.groupby(["posterior", "recipe"], sort=True)]
        gain = dict.fromkeys(points(value, sign=True) for value in (part["gain"].min(), part["gain"].max()))
        resolved = f" ({' to '.join(gain)} points)" if part["resolved"].all() else ""
        texts.append(f"{place}: {'; '.join(named)}{resolved}")
    return ". ".join(text[:1].upper() + text[1:] if index else text for index, text in enumerate(texts))


def _counted(key: Any, part: pd.DataFrame, with_recipe: bool) -> str:
    """Return a posterior with its numbers of samples; aggregations of the same numbers together."""
    numbers: dict[str, list[str]] = {}
    for aggregation, group in part.groupby("aggregation", sort=True):
        counts = [f"{value:.0f}" for value in sorted(group["samples"].unique())]
        numbers.setdefault(_joined(counts), []).append(str(aggregation))
    texts = [f"{count} sample{'' if count == '1' else 's'} ({_joined(how)})" for count, how in numbers.items()]
    return f"{key[0]}{f' / {key[1]}' if with_recipe else ''}, {', '.join(texts)}"


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
