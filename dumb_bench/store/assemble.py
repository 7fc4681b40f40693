"""From a store and a plan to the public tables: exactly the plan's rows, those of surrogate-free attacks repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.relation import relate
from dumb_bench.spec import id_of_attack, id_of_test
from dumb_bench.store import schema
from dumb_bench.store.store import Store

Document = Mapping[str, Any]


class PlannedRow(NamedTuple):
    """One scored test of a plan. repeats: the rows of `tests` that it becomes."""

    test_id: str
    attack_id: str
    victim: str
    set: Mapping[str, Any]
    repeats: int


def planned_rows(plan: Document) -> Iterator[PlannedRow]:
    """Yield every scored test of a plan document."""
    groups = plan["groups"]
    for item in plan["sets"]:
        repeats = len(groups[item["surrogates"]])
        for strength in item["strengths"]:
            for delivery in plan["deliveries"]:
                attack_id = id_of_attack(item["id"], strength, delivery)
                for victim in groups[item["victims"]]:
                    yield PlannedRow(id_of_test(attack_id, victim), attack_id, victim, item, repeats)


def assemble(store: Store, plan: Document) -> dict[str, pa.Table]:
    """Return the public tables of a plan, as far as its units are done. Damage met on the way is in `store.damaged`."""
    rows = list(planned_rows(plan))
    found = store.read_many(
        {"tests": None, "predictions": None, "attacks": None, "models": None, "clean": None, "images": None}
    )
    wanted = pa.array([row.test_id for row in rows], pa.string())
    scored = _first(_among(found["tests"], "test_id", wanted), "test_id")
    predictions = _first(_among(found["predictions"], "test_id", wanted), "test_id")
    attack_ids = pa.array(sorted({row.attack_id for row in rows}), pa.string())
    models = _first(_among(found["models"], "model_id", pa.array(list(plan["models"]), pa.string())), "model_id")
    present = set(scored.column("test_id").to_pylist())
    missing = [row for row in rows if row.test_id not in present]
    trained = frozenset(models.column("model_id").to_pylist())
    return {
        "images": _among(found["images"], "unit_key", pa.array(plan["image_units"], pa.string())),
        "models": _with_clean(models, found["clean"], plan),
        "attacks": _first(_among(found["attacks"], "attack_id", attack_ids), "attack_id"),
        "tests": _repeated(scored, rows, plan),
        "predictions": predictions if plan["margins"] else _without(predictions, "margins"),
        "failures": schema.table("failures", standing_failures(store, plan, missing, trained)),
    }


def _among(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table.column(column), value_set=values))


def _without(table: pa.Table, column: str) -> pa.Table:
    """Return the table with a column of nulls: the store keeps what a grid does not ask for."""
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.nulls(table.num_rows, field.type))


def _first(table: pa.Table, column: str) -> pa.Table:
    """Keep one row for each value: the one of the lowest unit key where two units happened to make the same row."""
    values = table.column(column).to_numpy(zero_copy_only=False)
    distinct, index = np.unique(values.astype(str), return_index=True)
    if len(distinct) == table.num_rows:
        return table
    if "unit_key" in table.column_names:
        table = table.sort_by("unit_key")
        _, index = np.unique(table.column(column).to_numpy(zero_copy_only=False).astype(str), return_index=True)
    return table.take(pa.array(index))


def _with_clean(models: pa.Table, clean: pa.Table, plan: Document) -> pa.Table:
    """Fill the list columns of `models` from the rows of `clean` that the plan asks for."""
    by_model: dict[str, dict[str, dict[str, Any]]] = {}
    clean = _among(clean, "model_id", models.column("model_id"))
    for row in clean.to_pylist():
        by_model.setdefault(row["model_id"], {})[row["test_set"]] = row
    filled = []
    for model in models.to_pylist():
        rows = by_model.get(model["model_id"], {})
        chosen = [rows[key] for key in plan["models"][model["model_id"]]["clean"] if key in rows]
        filled.append(
            {
                **model,
                "test_source": [row["test_source"] for row in chosen],
                "test_delivery": [row["delivery"] for row in chosen],
                "clean_accuracy": [row["accuracy"] for row in chosen],
                "clean_f1": [row["f1"] for row in chosen],
                "clean_predictions": [row["predictions"] for row in chosen],
                "clean_logits": [row["logits"] for row in chosen],
            }
        )
    return schema.table("models", filled)


def _repeated(scored: pa.Table, rows: Iterable[PlannedRow], plan: Document) -> pa.Table:
    """Return the tests, a surrogate-free row once for each surrogate that it stands for."""
    free = pc.is_null(scored.column("surrogate_id"))
    pieces = [scored.filter(pc.invert(free))]
    shared = scored.filter(free)
    if shared.num_rows:
        holders = {row.attack_id: row.set["surrogates"] for row in rows if row.set["free"]}
        group = np.array([holders[value] for value in shared.column("attack_id").to_pylist()])
        for index in np.unique(group):
            part = shared.filter(pa.array(group == index))
            pieces += [_copies(part, surrogate, plan) for surrogate in plan["groups"][int(index)]]
    return pa.concat_tables(pieces)


def _copies(part: pa.Table, surrogate: str, plan: Document) -> pa.Table:
    """Return surrogate-free rows as the rows of one surrogate. What no surrogate took part in stays null."""
    about = plan["surrogates"][surrogate]
    members = [plan["models"][member] for member in about["members"]]
    victims = part.column("victim_id").to_pylist()
    relations = {victim: relate(members, plan["models"][victim]) for victim in set(victims)}
    names = [
        id_of_test(attack, victim, surrogate)
        for attack, victim in zip(part.column("attack_id").to_pylist(), victims, strict=True)
    ]
    columns: dict[str, list[Any]] = {"test_id": names, "copied": [True] * len(names)}
    for key, value in about["columns"].items():
        columns["surrogate_params" if key == "params" else f"surrogate_{key}"] = [value] * len(names)
    for field in next(iter(relations.values()))._fields:
        columns[field] = [getattr(relations[victim], field) for victim in victims]
    for name, values in columns.items():
        position = part.schema.get_field_index(name)
        part = part.set_column(
            position, part.schema.field(position), pa.array(values, part.schema.field(position).type)
        )
    return part


def standing_failures(
    store: Store, plan: Document, missing: Iterable[PlannedRow], trained: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the failures that still stand between the store and the plan, with the tests missing on their account."""
    lost_sets: dict[str, int] = {}
    lost_victims: dict[str, int] = {}
    for row in missing:
        base = row.set["base"]
        lost_sets[base] = lost_sets.get(base, 0) + row.repeats
        lost_victims[row.victim] = lost_victims.get(row.victim, 0) + row.repeats
    images = set(plan["image_units"])
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for failure in sorted(store.failure_rows(), key=lambda row: (row["finished_at"], row["unit_key"])):
        newest[failure["kind"], failure["subject"]] = failure
    kept = []
    for failure in newest.values():
        subject, kind = failure["subject"], failure["kind"]
        if kind == "attack" and subject in lost_sets:
            kept.append({**failure, "tests_missing": lost_sets[subject]})
        elif kind == "train" and subject in plan["models"] and subject not in trained:
            kept.append({**failure, "tests_missing": lost_victims.get(subject, 0)})
        elif (kind == "clean" and subject.removeprefix("clean-") in plan["models"]) or (
            kind == "images" and subject in images
        ):
            kept.append({**failure, "tests_missing": 0})
    return kept


def digest_of_tables(plan: Document, tables: Mapping[str, pa.Table]) -> str:
    """Return what a result folder's manifest names its tables by: the plan's digest where every row is there."""
    rows = sum(row.repeats for row in planned_rows(plan))
    whole = tables["tests"].num_rows == rows and tables["models"].num_rows == len(plan["models"])
    whole = whole and tables["failures"].num_rows == 0
    return str(plan["digest"]) if whole else partial(plan)


def partial(plan: Document) -> str:
    """Return the name of tables that lack rows of their plan."""
    return f"partial {plan['digest']}"
