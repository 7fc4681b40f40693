"""Intermediate steps from grid to tables: rows of their own beside rows that stay as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from minigrid import Ended, Quiet, mini_grid
from test_runner_ray import run as run_with_ray
from test_runner_serial import assert_same_tables, frame

import dumb_bench
from dumb_bench.catalogue import Catalogue
from dumb_bench.grid_file import parse_grid
from dumb_bench.report.gates import gates
from dumb_bench.report.generate import generate
from dumb_bench.report.groups import prepared
from dumb_bench.report.load import load
from dumb_bench.runner import attack_unit
from dumb_bench.runner.outstanding import outstanding, read_index
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.run import RunOptions, Summary, run_grid
from dumb_bench.runner.units import Wanted
from dumb_bench.spec import id_of_attack
from dumb_bench.store.store import Store

BIM = '[[attacks]]\nname = "bim"\nstrength = [0.1, 0.2]\nparams = {{ steps = 6 }}\n{record}'
PGD = '[[attacks]]\nname = "pgd"\nstrength = 0.2\nparams = {{ steps = 4 }}\n{record}'


def grid_text(bim: str = "", pgd: str = "", seeds: str = "[0, 1]", victims: str = "[0, 1]") -> str:
    attacks = BIM.format(record=bim) + PGD.format(record=pgd)
    return mini_grid(sources='["optdigits"]', seeds=seeds, victim_seeds=victims, attacks=attacks)


RECORDED = grid_text(bim="record_steps = [3, 1]\n", pgd="record_steps = 2\n")


def go(folder: Path, text: str) -> tuple[Summary, list[str]]:
    (folder / "grid.toml").write_text(text)
    said: list[str] = []
    options = RunOptions(results=str(folder / "out"), store=str(folder / ".store"), address="serial")
    return run_grid(folder / "grid.toml", Catalogue(), options, Quiet(), said.append), said


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Summary, list[str]]:
    """The folder of a grid to which steps were added, a copy from before, how the second run ended, what it said."""
    folder = tmp_path_factory.mktemp("steps")
    assert go(folder, grid_text())[0].exit_code == 0
    shutil.copytree(folder, folder / "before")
    summary, said = go(folder, RECORDED)
    assert summary.exit_code == 0
    return folder, folder / "before", summary, said


def test_only_the_attack_is_made_again_and_no_stored_row_changes(
    grown: tuple[Path, Path, Summary, list[str]],
) -> None:
    folder, before, summary, said = grown
    assert summary.done == {"attack": 4}  # 2 surrogates x 2 attacks
    assert "+ 20 of intermediate steps" in said[1] and "; 6 stored sets are crafted again for new rows" in said[1]
    for name, key in (("attacks", "attack_id"), ("tests", "test_id")):
        now, then = frame(folder / "out", name), frame(before / "out", name)
        kept = now[now["step"].isna()].sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(kept, then.sort_values(key, ignore_index=True))
        assert now[key].is_unique
    assert set(frame(before / "out", "predictions")["test_id"]) < set(frame(folder / "out", "predictions")["test_id"])


def test_the_new_rows_say_which_step_they_are(grown: tuple[Path, Path, Summary, list[str]]) -> None:
    tests, attacks = dumb_bench.load(grown[0] / "out").tests, dumb_bench.load(grown[0] / "out").attacks
    new, sets = tests[tests["step"].notna()], attacks[attacks["step"].notna()]
    assert new.groupby(["attack", "strength", "step"]).size().to_dict() == {
        ("bim", 0.1, 1): 4, ("bim", 0.1, 3): 4, ("bim", 0.2, 1): 4, ("bim", 0.2, 3): 4, ("pgd", 0.2, 2): 4,
    }  # fmt: skip
    assert len(sets) == 2 * 5 and set(new["attack_id"]) == set(sets["attack_id"])
    assert (
        set(attacks["set_id"])
        >= set(sets["set_id"])
        == set(attacks.loc[attacks["step"].isna() & attacks["attack"].isin(["bim", "pgd"]), "set_id"])
    )
    assert not new["control"].any() and set(new["strength_rule"]) == {"grid"}
    assert sets["budget_reached"].isna().all() and (sets["budget_violation"] < 1e-6).all()
    assert str(frame(grown[0] / "out", "attacks").dtypes["step"]) in ("float64", "Int32", "int32")
    bim = sets[sets["attack"] == "bim"]
    assert bim["mean_linf"].to_numpy() == pytest.approx((bim["strength"] * bim["step"] / 6).to_numpy(), abs=1e-6)
    assert (bim["forwards"] == 20 * bim["step"]).all() and (bim["backwards"] == 20 * bim["step"]).all()
    labels = dumb_bench.load(grown[0] / "out").predictions.set_index("test_id")["predictions"]
    assert all(len(labels[name]) == 20 for name in new["scored_as"])


def test_in_one_go_or_step_by_step_or_on_ray_the_tables_are_the_same(
    grown: tuple[Path, Path, Summary, list[str]], tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    shutil.copytree(grown[1], other)
    assert go(one, RECORDED)[0].exit_code == 0
    assert_same_tables(one / "out", grown[0] / "out", ("unit_key",))
    some = grid_text(bim="record_steps = [3]\n", seeds="[0]", victims="[1]")  # the other victim comes late
    assert go(other, some)[0].done == {"attack": 1}
    code, out = run_with_ray(other / "out", RECORDED, "--slots", "1")
    assert code == 0, out
    assert_same_tables(one / "out", other / "out", ("unit_key",))
    again, _ = go(one, RECORDED)
    assert not again.done and again.exit_code == 0


def test_where_the_images_come_out_otherwise_the_unit_fails_and_nothing_is_added(
    grown: tuple[Path, Path, Summary, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(grown[1], tmp_path / "copy")
    monkeypatch.setattr(attack_unit, "seed_key_of", lambda *about: ("another",))
    summary, _ = go(tmp_path / "copy", grid_text(pgd="record_steps = [1, 2]\n"))
    assert summary.exit_code == 3
    failed = frame(tmp_path / "copy" / "out", "failures")
    assert len(failed) == 2 and failed["message"].str.contains("crafted again it differs from the stored set").all()
    assert (failed["tests_missing"] == 2 * 2).all()
    assert frame(tmp_path / "copy" / "out", "tests")["step"].isna().all()


def test_counts_of_plan_and_status(
    grown: tuple[Path, Path, Summary, list[str]], tmp_path: Path, command: Callable[..., Ended]
) -> None:
    folder, before = grown[:2]
    grid = tmp_path / "grid.toml"
    grid.write_text(RECORDED)
    then = json.loads(command("plan", grid, "--json", "--store", before / ".store").out)
    now = json.loads(command("plan", grid, "--json", "--store", folder / ".store").out)
    plain = tmp_path / "plain.toml"
    plain.write_text(grid_text())
    without = json.loads(command("plan", plain, "--json", "--store", before / ".store").out)
    assert (then["step_tests"], without["step_tests"]) == (20, 0)
    for key in ("tests", "control_tests", "adversarial_sets", "models", "tests_done", "units"):
        assert then[key] == without[key]
    assert (then["recrafted"], then["units"] - then["done"]) == (6, 4)
    assert (now["recrafted"], now["units"] - now["done"]) == (0, 0)
    assert now["tests_done"] == then["tests_done"] + 20
    rows = now["tests"] + now["step_tests"] + now["control_tests"]
    assert command("plan", grid).out.splitlines()[0] == (
        f"mini: {rows} rows in tests = {now['tests']} tests + 20 of intermediate steps + "
        f"{now['control_tests']} of the controls"
    )
    held = json.loads(command("status", folder / "out", "--json").out)
    assert held["tests"] == held["tests_done"] == rows == len(frame(folder / "out", "tests"))
    assert command("plan", grid, "--max-tests", rows - 1).code == 2
    assert command("check", "results", folder / "out").code == 0


def test_the_report_is_that_of_the_last_steps(grown: tuple[Path, Path, Summary, list[str]], tmp_path: Path) -> None:
    now, then = load(grown[0] / "out"), load(grown[1] / "out")
    assert len(now.attacks) == len(then.attacks) + 10
    assert gates(now) == gates(then)
    shared = [column for column in prepared(then).columns if column != "unit_key"]
    pd.testing.assert_frame_equal(
        prepared(now)[shared].sort_values("test_id", ignore_index=True),
        prepared(then)[shared].sort_values("test_id", ignore_index=True),
    )
    page = generate(grown[0] / "out", tmp_path / "page").read_text()
    assert "tests of earlier steps: in the tables, not here" in page
    curves = pd.read_csv(tmp_path / "page" / "figures" / "strength_curves.csv")
    counted = curves[(curves["label"] == "bim") & (curves["curve"] == "nothing differs")]
    assert counted["n_tests"].tolist() == [2, 2]  # of 4 at each strength two are white box


def test_an_early_image_out_of_its_budget_does_not_fail_a_gate(grown: tuple[Path, Path, Summary, list[str]]) -> None:
    results = load(grown[0] / "out")
    early = results.attacks["step"].notna()
    assert early.any()
    results.attacks.loc[early, ["n_surrogate_fooled", "budget_reached"]] = [0, False]
    assert gates(results) == gates(load(grown[0] / "out"))


def test_ids_of_rows_without_a_step_are_those_of_before() -> None:
    """Literals: computed by the version that knew no steps."""
    catalogue = Catalogue()
    attacks = '[[attacks]]\nname = "bim"\nstrength = 0.1\nparams = { steps = 4 }\n'
    plan = build_plan(parse_grid(mini_grid(attacks=attacks), "x", catalogue), catalogue)
    item = next(item for item in plan.sets if item.spec.attack_name == "bim")
    row = Wanted(item.spec, 0.1, plan.deliveries[0], tuple(plan.victims[name] for name in item.victims))
    assert item.spec.id == "0856ab4d967f579ff0d2"
    assert row.attack_id == row.final_id == "9ebb1f25e83b9f99d675"
    assert row.test_ids == ("664700663ffb983be8b8", "a512870f19d1c2ec66f5")
    assert id_of_attack("set", None, "float32") == "0a8b97968099b161da2c"
    names = {id_of_attack("set", 0.1, "uint8", step) for step in (None, 1, 2, 11)}
    assert len(names) == 4 and "637cbe2d0d60baa37fa0" in names


def test_a_victim_that_is_lost_takes_its_step_rows_along(grown: tuple[Path, Path, Summary, list[str]]) -> None:
    catalogue = Catalogue()
    plan = build_plan(parse_grid(grid_text(pgd="record_steps = [1]\n"), "x", catalogue), catalogue)
    left = outstanding(plan, read_index(Store.open(str(grown[1] / ".store")), plan.parts), catalogue)
    assert [unit.key for unit in left.units if unit.key]
    for unit in left.units:
        assert isinstance(unit, attack_unit.AttackUnit)
        lost, kept = unit.victims
        assert {(row.step, row.victims[0].id) for row in unit.without(frozenset({lost})).wanted} == {(1, kept)}
        assert unit.without(frozenset({lost, kept})).wanted == ()


BAD = [
    ('name = "fgsm"\nrecord_steps = [1]', "attacks[0].record_steps: attack 'fgsm' has no steps to record. Available: "),
    ('name = "box_blur"\nrecord_steps = [1]', "admix, bim, "),
    ('name = "torchattacks.BIM"\nrecord_steps = [1]', "is another library's, which hands out its last images only"),
    ('name = "bim"\nrecord_steps = [0]', "attacks[0].record_steps[0]: expected at least 1, got 0"),
    ('name = "bim"\nrecord_steps = [1.5]', "expected a whole number, got 1.5"),
    ('name = "bim"\nrecord_steps = [true]', "expected a whole number, got True"),
    ('name = "bim"\nrecord_steps = []', "expected at least one value"),
    ('name = "bim"\nrecord_steps = [2, 2]', "2 is given twice"),
    ('name = "bim"\nrecord_steps = [3, 10]',
     "expected steps below 10, the attack's last, which is scored anyway; got 10"),
    ('name = "bim"\nrecord_steps = [3, 11]', "expected steps below 10, the attack's last; got 11"),
    ('name = "bim"\nparams = { steps = 1 }\nrecord_steps = 1', "expected steps below 1, the attack's last, which is"),
    ('name = "pgd"\nparams = { restarts = 3 }\nrecord_steps = 1', "keeps the best of 3 restarts"),
    ('name = "bim"\ntune = { over = [0.1, 0.2] }\nrecord_steps = [1]', "not together with `tune`"),
    ('name = "bim"\nrecord_step = [1]', "unknown key 'record_step'. Did you mean 'record_steps'?"),
]  # fmt: skip


@pytest.mark.parametrize("text, sentence", BAD)
def test_steps_that_cannot_be_are_one_clear_line(
    text: str, sentence: str, write: Callable[..., Path], command: Callable[..., Ended]
) -> None:
    ended = command("plan", write(mini_grid(attacks=f"[[attacks]]\n{text}\n")))
    assert ended.code == 2 and sentence in ended.err and len(ended.err.splitlines()) == 1
