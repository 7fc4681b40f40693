"""From a store and a plan to the public tables: exactly the plan's rows, those of surrogate-free attacks repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.errors import DamagedFileError
from dumb_bench.relation import relate
from dumb_bench.store import schema
from dumb_bench.store.allocators import give_back
from dumb_bench.store.ids import Flags, Ids, as_bytes
from dumb_bench.store.planned import INFEASIBLE, PENDING, Chosen, Document, PlannedRow, chosen_in
from dumb_bench.store.rows import as_table
from dumb_bench.store.scored import AskedTests, Doubled, among, doubled
from dumb_bench.store.store import Store


class Assembly:
    """The public tables of a plan, as far as its units are done; large ones are read from the store when asked for.

    All tables are of the units that were done when it was made. Damage met on the way is in `store.damaged`.
    """

    def __init__(self, store: Store, plan: Document) -> None:
        self._store = store
        self._plan = plan
        self._keys = store.keys()
        found = store.read_many(dict.fromkeys(("tunings", "models", "clean", "images")), keys=self._keys)
        asked = pa.array(list(plan.get("tunings", ())), pa.string())
        tunings = _first(_among(found["tunings"], "tuning_id", asked), "tuning_id")
        chosen = chosen_in(tunings)
        models = _first(_among(found["models"], "model_id", pa.array(list(plan["models"]), pa.string())), "model_id")
        self._tests = AskedTests(plan, chosen)
        self._twice = {"tests": self._look("tests", "test_id", self._tests.note)}
        attacks = Ids(group.attack_id for group in self._tests.groups if group.scored)
        held: list[Any] = []
        self._attacks = attacks
        self._twice["attacks"] = self._look("attacks", "attack_id", attacks.holds_bytes, held)
        self._twice["predictions"] = self._twice["tests"]
        trained = frozenset(models.column("model_id").to_pylist())
        self._small = {
            "images": _among(found["images"], "unit_key", pa.array(plan["image_units"], pa.string())),
            "models": _with_clean(models, found["clean"], plan),
            "tunings": tunings,
            "failures": as_table("failures", standing_failures(store, plan, self._tests.missing(), trained, chosen)),
        }
        self.rows = {
            **{name: table.num_rows for name, table in self._small.items()},
            "attacks": len(np.unique(np.concatenate(held))) if held else 0,
            "tests": self._tests.rows,
            "predictions": self._tests.scored_rows,
        }
        self.planned_rows = self._tests.planned_rows
        del found, held
        give_back()

    def _look(self, name: str, column: str, asked: Callable[[Any], Flags], held: list[Any] | None = None) -> Doubled:
        """See which ids of a table there are; return what occurs more than once."""
        found = [] if held is None else held
        for piece in self._store.pieces(name, [column], keys=self._keys):
            ids = as_bytes(piece.rows.column(column))
            found.append(ids[asked(ids)])
        return doubled(self._store, name, column, found, self._keys)

    @property
    def digest(self) -> str:
        """What a result folder's manifest names these tables by: the plan's digest where every row is there."""
        whole = self.rows["tests"] == self.planned_rows and self.rows["models"] == len(self._plan["models"])
        whole = whole and self.rows["tunings"] == len(self._plan.get("tunings", ())) and not self.rows["failures"]
        return str(self._plan["digest"]) if whole else partial(self._plan)

    def pieces(self, name: str) -> Iterator[pa.Table]:
        """Yield the rows of a table in no order, some thousands at a time.

        Raises:
            DamagedFileError: the store no longer holds all of them.
        """
        rows = 0
        for table in self._pieces(name):
            rows += table.num_rows
            yield table
        if rows != self.rows[name]:
            raise DamagedFileError(name, f"{rows} rows in the store, {self.rows[name]} a moment ago: run again")

    def _pieces(self, name: str) -> Iterator[pa.Table]:
        if name in self._small:
            yield self._small[name]
            return
        column = "attack_id" if name == "attacks" else "test_id"
        for piece in self._store.pieces(name, keys=self._keys):
            ids = as_bytes(piece.rows.column(column))
            flags = self._twice[name].kept(piece, ids)
            if name == "tests":
                yield from _repeated(among(piece.rows, flags), self._tests, self._plan)
                continue
            asked = self._attacks.holds_bytes(ids) if name == "attacks" else self._tests.holds(ids)
            table = among(piece.rows, flags & asked)
            yield _without(table, "margins") if name == "predictions" and not self._plan["margins"] else table
        if name == "tests":
            yield from _infeasible_rows(self._tests, self._plan)

    def table(self, name: str) -> pa.Table:
        """Return a whole table. Raises as `pieces`."""
        return pa.concat_tables([schema.TABLES[name].empty_table(), *self.pieces(name)])

    def tables(self) -> dict[str, Iterator[pa.Table]]:
        """Return every table in pieces, each to be read once."""
        return {name: self.pieces(name) for name in schema.TABLES}


def assemble(store: Store, plan: Document) -> dict[str, pa.Table]:
    """Return the public tables of a plan, as far as its units are done, all of them in memory."""
    assembly = Assembly(store, plan)
    return {name: assembly.table(name) for name in schema.TABLES}


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
    return as_table("models", filled)


def _repeated(scored: pa.Table, tests: AskedTests, plan: Document) -> Iterator[pa.Table]:
    """Yield the tests: a surrogate-free row once for each surrogate that it stands for, a chosen one under its id."""
    rows, group, victim = tests.match(as_bytes(scored.column("test_id")))
    plain = tests.plain[group]
    if plain.all() and len(rows) == scored.num_rows and (rows == np.arange(len(rows))).all():
        yield scored
        return
    yield scored.take(pa.array(rows[plain]))
    copies: dict[tuple[str, str, bool], tuple[list[int], list[str]]] = {}
    others = np.flatnonzero(~plain)
    for place, number, who in zip(rows[others].tolist(), group[others].tolist(), victim[others].tolist(), strict=True):
        found = tests.groups[number]
        row = found.row(found.victims[who], "")
        for holder, name in zip(row.holders, row.row_ids(), strict=True):
            taken, names = copies.setdefault((holder, row.rule, row.set["free"]), ([], []))
            taken.append(place)
            names.append(name)
    for (holder, rule, free), (taken, names) in copies.items():
        part = scored.take(pa.array(taken, pa.int64()))
        columns: dict[str, list[Any]] = {"test_id": names, "strength_rule": [rule] * len(names)}
        yield _with(part, columns | (_as_of(part, holder, plan) if free else {}))


def _infeasible_rows(tests: AskedTests, plan: Document) -> Iterator[pa.Table]:
    rows = tests.infeasible()
    while some := list(islice(rows, 1_000)):
        yield as_table("tests", [made for row in some for made in _infeasible(row, plan)])


def _as_of(part: pa.Table, surrogate: str, plan: Document) -> dict[str, list[Any]]:
    """Return the columns that make surrogate-free rows one surrogate's. What no surrogate took part in stays null."""
    victims = part.column("victim_id").to_pylist()
    members = [plan["models"][member] for member in plan["surrogates"][surrogate]["members"]]
    relations = {victim: relate(members, plan["models"][victim]) for victim in set(victims)}
    columns: dict[str, list[Any]] = {"copied": [True] * len(victims)}
    for key, value in _surrogate_columns(surrogate, plan).items():
        columns[key] = [value] * len(victims)
    for field in next(iter(relations.values()))._fields:
        columns[field] = [getattr(relations[victim], field) for victim in victims]
    return columns


def _surrogate_columns(surrogate: str, plan: Document) -> dict[str, Any]:
    return {f"surrogate_{key}": value for key, value in plan["surrogates"][surrogate]["columns"].items()}


def _with(part: pa.Table, columns: Mapping[str, list[Any]]) -> pa.Table:
    for name, values in columns.items():
        position = part.schema.get_field_index(name)
        field = part.schema.field(position)
        part = part.set_column(position, field, pa.array(values, field.type))
    return part


_NO_COLUMNS = ("task", "clean", "weights", "parts")
"""What a plan says of a victim that is no column `victim_*`."""


def _infeasible(row: PlannedRow, plan: Document) -> list[dict[str, Any]]:
    """Return the rows of tests that no strength was feasible for: no image was scored, every count is 0."""
    victim = plan["models"][row.victim]
    found = []
    for holder, name in zip(row.holders, row.row_ids(), strict=True):
        members = [plan["models"][member] for member in plan["surrogates"][holder]["members"]]
        found.append(
            {
                **row.set["about"],
                "test_id": name,
                "task": victim["task"],
                "image_source": row.set["image_source"],
                "delivery": row.delivery.partition("#")[0],
                "strength_rule": INFEASIBLE,
                "control": row.set["control"],
                "copied": row.set["free"],
                **_surrogate_columns(holder, plan),
                **{f"victim_{key}": value for key, value in victim.items() if key not in _NO_COLUMNS},
                **relate(members, victim)._asdict(),
                **dict.fromkeys(("n_images", "n_victim_correct", "n_victim_correct_raw", "n_success"), 0),
            }
        )
    return found


def standing_failures(
    store: Store, plan: Document, missing: Iterable[PlannedRow], trained: frozenset[str], chosen: Chosen
) -> list[dict[str, Any]]:
    """Return the failures that still stand between the store and the plan, with the tests missing on their account."""
    lost_sets: dict[str, int] = {}
    lost_victims: dict[str, int] = {}
    lost_tunings: dict[str, int] = {}
    for row in missing:
        base = row.set["base"]
        lost_sets[base] = lost_sets.get(base, 0) + row.repeats
        lost_victims[row.victim] = lost_victims.get(row.victim, 0) + row.repeats
        if row.rule == PENDING:
            for sweep in [plan["tunings"][tuning] for tuning in row.tunings]:
                lost_tunings[sweep] = lost_tunings.get(sweep, 0) + 1
    untrained: dict[str, list[str]] = {}
    for name, model in plan["models"].items():
        for part in model.get("parts", [name]) if name not in trained else ():
            untrained.setdefault(part, []).append(name)
    images = set(plan["image_units"])
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for failure in sorted(store.failure_rows(), key=lambda row: (row["finished_at"] or "", row["unit_key"])):
        newest[failure["kind"], failure["subject"]] = failure
    kept = []
    for failure in newest.values():
        subject, kind = failure["subject"] or "", failure["kind"]
        if kind == "attack" and subject in lost_sets:
            kept.append({**failure, "tests_missing": lost_sets[subject]})
        elif kind == "train" and (lost := untrained.get(subject)):
            kept.append({**failure, "tests_missing": sum(lost_victims.get(model, 0) for model in lost)})
        elif kind == "model" and subject in plan["models"] and subject not in trained:
            kept.append({**failure, "tests_missing": 0})
        elif kind == "tune" and subject in lost_tunings:
            kept.append({**failure, "tests_missing": lost_tunings[subject]})
        elif (kind == "clean" and subject.removeprefix("clean-") in plan["models"]) or (
            kind == "images" and subject in images
        ):
            kept.append({**failure, "tests_missing": 0})
    return kept


def partial(plan: Document) -> str:
    """Return the name of tables that lack rows of their plan."""
    return f"partial {plan['digest']}"
