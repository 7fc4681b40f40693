"""Tables in pieces against a reference that holds everything as plain rows, on small random plans and stores."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dumb_bench.spec import id_of_attack
from dumb_bench.store import assemble as assembling
from dumb_bench.store import parquet, stream
from dumb_bench.store.assemble import Assembly, assemble, partial
from dumb_bench.store.planned import INFEASIBLE, PENDING, TUNED, chosen_in, planned_rows
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.store import Store

MODELS, DELIVERIES = ("m0", "m1", "m2"), ("uint8", "jpeg75")


def model(name: str) -> dict[str, Any]:
    text = ("source", "subset", "architecture", "init", "balance", "balance_mode", "defence", "posterior", "recipe")
    columns = {**dict.fromkeys(text, "x"), "balance": "50/50", "samples": 1, "draw": 0, "seed": int(name[1])}
    return {"task": "t", **columns, "id": name, "params": "{}", "weights": {name: [0]}, "parts": [name], "clean": []}


def drawn_plan(draw: random.Random) -> dict[str, Any]:
    """A plan of 3 models in both roles; its sets are seen or free, of the grid's strengths or chosen, one is noise."""
    groups: list[list[str]] = [list(MODELS), ["m1"], []]
    sets, tunings = [], {}
    for number in range(draw.randrange(2, 6)):
        free = draw.random() < 0.5
        item: dict[str, Any] = {
            "id": f"set{number}", "base": f"set{number}", "task": "t", "control": False, "image_source": "s",
            "attack": draw.choice(("blur", "sign_noise") if free else ("pgd",)), "free": free,
            "strengths": draw.sample((0.1, 0.2, 0.3), draw.randrange(1, 3)), "victims": draw.randrange(2),
            "surrogates": 0 if free else 1,
        }  # fmt: skip
        sets.append(item)
        if draw.random() < 0.5:
            names = [f"{item['id']}-{holder}" for holder in groups[item["surrogates"]]]
            tunings |= dict.fromkeys(names, "sweep")
            groups.append(names)
            sets.append({**item, "tunings": len(groups) - 1, "about": {"attack": item["attack"]}})
        if draw.random() < 0.3:
            item["steps"] = [1]
    surrogates = {
        name: {"members": [name], "columns": {"id": name, "seed": int(name[1]), "modifier": "none"}} for name in MODELS
    }
    return {
        "deliveries": list(DELIVERIES), "margins": draw.random() < 0.7,
        "models": {name: model(name) for name in MODELS},
        "surrogates": surrogates, "groups": groups, "sets": sets, "image_units": [], "tunings": tunings, "digest": "d",
    }  # fmt: skip


def key_of(number: int) -> str:
    return f"{number:020x}"


def fill(store: Store, plan: dict[str, Any], draw: random.Random) -> dict[str, dict[str, Any]]:
    """Store most of what a plan asks for in units of random rows, some rows twice; return the tests that count."""
    unit = {"unit_key": key_of(1)}
    rows = [
        {**unit, "tuning_id": name, "strength": draw.choice((0.1, 0.2, None))}
        for name in plan["tunings"] if draw.random() < 0.9
    ]  # fmt: skip
    models = [{**unit, "model_id": name, "task": "t"} for name in MODELS[: draw.randrange(1, 4)]]
    tables = {"tunings": as_table("tunings", rows), "models": as_table("models", models)}
    store.put(key_of(1), tables)
    wanted = list(planned_rows(plan, chosen_in(tables["tunings"])))
    scored = sorted({(row.test_id, row.attack_id, row.victim) for row in wanted if row.test_id} - {("", "", "")})
    asked = [item for item in scored if draw.random() < draw.choice((0.5, 1.0))]
    asked += [(f"{draw.getrandbits(80):020x}", id_of_attack("other", 0.1, "uint8"), "m0") for _ in range(3)]
    held: dict[str, dict[str, Any]] = {}
    for number in range(2, 9):
        key = key_of(draw.getrandbits(40))
        mine = [item for item in asked if draw.random() < 0.3 or (number == 8 and item[0] not in held)]
        tests = [
            {"test_id": test, "scored_as": test, "attack_id": attack, "unit_key": key, "victim_id": victim,
             "strength_rule": "grid", "copied": False, "n_images": number}
            for test, attack, victim in mine
        ]  # fmt: skip
        attacks = [{"attack_id": name, "unit_key": key} for name in sorted({item[1] for item in mine})]
        lists = [{"test_id": row["test_id"], "predictions": [number, 1], "margins": [0.5, 1.0]} for row in tests]
        put = {"tests": as_table("tests", tests), "attacks": as_table("attacks", attacks)}
        store.put(key, {**put, "predictions": as_table("predictions", lists)})
        for row in tests:
            if row["test_id"] not in held or key < str(held[row["test_id"]]["unit_key"]):
                held[row["test_id"]] = row
        if draw.random() < 0.4:
            store.compact()
    return held


@pytest.mark.parametrize("seed", range(12))
def test_assembled_in_pieces_equals_plain_rows(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parquet, stream):
        monkeypatch.setattr(module, "ROW_GROUP", 5)
    monkeypatch.setattr(parquet, "STREAMED", 3)
    draw = random.Random(seed)
    plan = drawn_plan(draw)
    held = fill(Store.open(tmp_path / "store"), plan, draw)
    store = Store.open(tmp_path / "store")
    made = assemble(store, plan)
    expected: dict[str, tuple[Any, ...]] = {}
    count, scored, planned, lost = 0, set(), 0, 0
    for row in planned_rows(plan, chosen_in(made["tunings"])):
        planned += row.repeats
        if row.rule == INFEASIBLE:
            rows = [(holder, 0, None) for holder in row.holders]
        elif row.test_id in held:
            scored.add(row.test_id)
            rows = [(holder, held[row.test_id]["n_images"], row.test_id) for holder in row.holders]
        else:
            lost += row.repeats
            continue
        for name, (holder, images, source) in zip(row.row_ids(), rows, strict=True):
            copied = row.rule == INFEASIBLE or row.set["free"]
            rule = row.rule if row.rule in (TUNED, INFEASIBLE) else "grid"
            free = bool(row.set["free"])
            expected[name] = (rule, free, images, source, row.victim, holder if copied else None)
            count += 1
    columns = ("strength_rule", "copied", "n_images", "scored_as", "victim_id", "surrogate_id")
    found = {row["test_id"]: tuple(row[name] for name in columns) for row in made["tests"].to_pylist()}
    assert found == expected and made["tests"].num_rows == count == len(expected)
    lists = {row["test_id"]: (row["predictions"], row["margins"]) for row in made["predictions"].to_pylist()}
    margins = [0.5, 1.0] if plan["margins"] else None
    assert lists == {name: ([held[name]["n_images"], 1], margins) for name in scored}
    assert made["predictions"].num_rows == len(scored)
    attacks = made["attacks"].column("attack_id").to_pylist()
    assert {held[name]["attack_id"] for name in scored} <= set(attacks) and len(set(attacks)) == len(attacks)
    assembly = Assembly(store, plan)
    assert assembly.rows == {name: table.num_rows for name, table in made.items()}
    assert assembly.planned_rows == planned == count + lost
    whole = lost == 0 and made["models"].num_rows == 3 and made["tunings"].num_rows == len(plan["tunings"])
    assert assembly.digest == ("d" if whole else partial(plan))
    folder = ResultFolder.open(tmp_path / "out")
    folder.write_tables(assembly.tables(), plan_digest="x")
    for name, table in made.items():
        assert folder.read_table(name).num_rows == table.num_rows
    again = {row["test_id"]: tuple(row[name] for name in columns) for row in folder.read_table("tests").to_pylist()}
    assert again == expected


@pytest.mark.parametrize("seed", range(4))
def test_what_is_missing_is_counted_by_set(seed: int, tmp_path: Path) -> None:
    draw = random.Random(1000 + seed)
    plan = drawn_plan(draw)
    store = Store.open(tmp_path / "store")
    held = fill(store, plan, draw)
    failures = {item["base"]: f"{number:020x}" for number, item in enumerate(plan["sets"], 50)}
    for base, key in failures.items():
        about = {"unit": base, "kind": "attack", "subject": base, "finished_at": "2026-01-01"}
        store.put_failure({"unit_key": key, **about})
    made = assemble(store, plan)
    lost: dict[str, int] = {}
    for row in planned_rows(plan, chosen_in(made["tunings"])):
        if row.rule == PENDING or (row.rule != INFEASIBLE and row.test_id not in held):
            lost[row.set["base"]] = lost.get(row.set["base"], 0) + row.repeats
    found = {row["subject"]: row["tests_missing"] for row in made["failures"].to_pylist()}
    assert found == lost


def test_rows_that_vanish_while_they_are_written_are_noticed(tmp_path: Path) -> None:
    draw = random.Random(7)
    plan = drawn_plan(draw)
    store = Store.open(tmp_path / "store")
    fill(store, plan, draw)
    assembly = Assembly(store, plan)
    assert assembly.rows["tests"] > 0
    for path in store.place.names("parts") + store.place.names("segments"):
        store.place.delete(path)
    with pytest.raises(assembling.DamagedFileError, match="run again"):
        list(assembly.pieces("tests"))
