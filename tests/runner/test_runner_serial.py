"""Whole runs in this process: rows as planned, resuming, sharing, growing, shrinking, damage."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from minigrid import BLUR, FGSM, Ended, mini_grid

import dumb_bench
from dumb_bench.case import CASES

TABLES = ("images", "models", "attacks", "tests", "predictions", "failures")
TIMES = ["seconds", "host", "finished_at"]


def frame(results: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(results / "tables" / name)


def values(results: Path, name: str, ignored: tuple[str, ...] = ()) -> list[list[bytes]]:
    """Every cell of a table as bytes, times and hosts left out."""
    found = frame(results, name)
    found = found.drop(columns=[column for column in (*TIMES, *ignored) if column in found])

    def cell(value: object) -> bytes:
        if isinstance(value, np.ndarray) and value.dtype != object:
            return value.tobytes()
        if isinstance(value, np.ndarray):
            return b"|".join(cell(entry) for entry in value)
        return repr(value).encode()

    return [[cell(value) for value in row] for row in found.itertuples(index=False)]


def assert_same_tables(one: Path, other: Path, ignored: tuple[str, ...] = ()) -> None:
    for name in TABLES:
        assert values(one, name, ignored) == values(other, name, ignored), name


@pytest.fixture
def copy(mini_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished mini run with its store."""
    shutil.copytree(mini_run.parent, tmp_path / "runs")
    return tmp_path / "runs" / "mini"


@pytest.fixture
def run(command: Callable[..., Ended], tmp_path: Path) -> Callable[..., Ended]:
    def call(results: Path, text: str, *more: object) -> Ended:
        grid = tmp_path / "again.toml"
        grid.write_text(text)
        return command("run", grid, "--results", results, "--address", "serial", "--no-report", *more)

    return call


def events(results: Path, *kinds: str) -> list[dict[str, object]]:
    lines = (results / "events.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] in kinds]


def done(results: Path, kind: str) -> int:
    """Units of a kind that were run, by the events."""
    return sum(event["kind"] == kind for event in events(results, "unit_done"))


def test_the_rows_are_those_of_the_plan_and_a_pivot_needs_one_table(
    mini_run: Path, command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    counts = json.loads(command("plan", write(mini_grid()), "--json").out)
    tests = frame(mini_run, "tests")
    assert len(tests) == counts["tests"] + counts["control_tests"]
    assert int((~tests.control).sum()) == counts["tests"]
    assert tests.test_id.is_unique
    pivot = tests.pivot_table(index="attack", columns="case", values="asr")
    assert set(pivot.index) == {"fgsm", "box_blur", "identity", "sign_noise", "delta_swap"}
    assert set(pivot.columns) <= set(CASES)


def test_identity_never_succeeds_and_counts_agree_with_the_stored_predictions(mini_run: Path) -> None:
    tests = frame(mini_run, "tests")
    assert (tests[tests.attack == "identity"].n_success == 0).all()
    labels = {
        source: part.sort_values("index").label.to_numpy()
        for source, part in frame(mini_run, "images").groupby("image_source")
    }
    joined = tests.merge(
        frame(mini_run, "predictions"), left_on="scored_as", right_on="test_id", suffixes=("", "_scored")
    )
    assert len(joined) == len(tests)
    clean = joined[joined.attack == "identity"].drop_duplicates(["victim_id", "image_source"])
    clean = {(row.victim_id, row.image_source): row.predictions for row in clean.itertuples()}
    for row in joined.itertuples():
        truth = labels[row.image_source]
        right = clean[row.victim_id, row.image_source] == truth
        success = right & (row.predictions != truth)
        assert (row.n_images, row.n_victim_correct, row.n_success) == (20, right.sum(), success.sum())
        assert row.class_success.tolist() == [int((success & (truth == label)).sum()) for label in (0, 1)]
        assert np.array_equal(np.asarray(row.margins, float) > 0, row.predictions == truth)
        assert row.asr == pytest.approx(success.sum() / right.sum())


def test_norms_are_within_the_budget_and_delivery_adds_half_a_level_at_most(mini_run: Path) -> None:
    attacks = frame(mini_run, "attacks")
    bounded = attacks[attacks.norm == "linf"]
    for row in bounded.itertuples():
        assert max(row.linf) <= row.strength + 1e-6
        assert max(row.linf_delivered) <= row.strength + 0.5 / 255 + 1e-6
        assert len(row.linf) == row.n_images == 20
    fgsm = attacks[attacks.attack == "fgsm"]
    assert fgsm.budget_reached.all()
    first = fgsm.strength == fgsm.strength.min()  # one gradient for all strengths, counted at the first
    assert (fgsm.forwards == 20 * first).all() and (fgsm.backwards == 20 * first).all()
    assert attacks[attacks.attack == "delta_swap"].forwards.eq(0).all()


def test_a_surrogate_free_row_is_scored_once_and_repeated_for_every_surrogate(mini_run: Path) -> None:
    tests, attacks = frame(mini_run, "tests"), frame(mini_run, "attacks")
    blur = tests[tests.attack == "box_blur"]
    assert blur.copied.all() and not tests[tests.attack == "fgsm"].copied.any()
    assert blur.scored_as.nunique() * 2 == len(blur)
    assert attacks[attacks.attack == "box_blur"].shape[0] == 2
    assert blur.groupby(["attack_id", "victim_id"]).n_success.nunique().eq(1).all()
    assert sorted(blur.case) == sorted(tests[tests.attack == "identity"].case)


def test_white_box_rows_are_the_model_against_itself_and_agree_with_the_attacks_table(mini_run: Path) -> None:
    tests, attacks = frame(mini_run, "tests"), frame(mini_run, "attacks").set_index("attack_id")
    same = tests.surrogate_id == tests.victim_id
    assert (tests.white_box == same).all() and same.any()
    assert tests[tests.white_box].case.eq("C1").all() and tests[tests.white_box].shared_weights.eq(1).all()
    own = tests[tests.white_box & ~tests.copied]
    assert (own.n_success.to_numpy() == attacks.loc[own.attack_id].n_surrogate_fooled.to_numpy()).all()
    assert own.train_overlap.eq(1).all()
    assert tests[tests.case.isin(["C5", "C7"]) & ~tests.copied].train_overlap.eq(0).all()


def test_models_carry_their_clean_answers(mini_run: Path) -> None:
    models = frame(mini_run, "models")
    for row in models.itertuples():
        assert row.test_source.tolist() == ["optdigits", "rendered"]
        assert [len(labels) for labels in row.clean_predictions] == [300, 300]
        assert row.own_accuracy == row.clean_accuracy[row.test_source.tolist().index(row.source)]
        assert pd.isna(row.degenerate) == (row.own_accuracy >= 0.75)
        assert json.loads(row.recipe_params)["epochs"] == 1


def test_clean_predictions_begin_with_the_attacked_images(mini_run: Path) -> None:
    tests = frame(mini_run, "tests").merge(frame(mini_run, "predictions"), left_on="scored_as", right_on="test_id")
    identity = tests[tests.attack == "identity"].drop_duplicates(["victim_id", "image_source"])
    models = frame(mini_run, "models").set_index("model_id")
    for row in identity.itertuples():
        model = models.loc[row.victim_id]
        place = model.test_source.tolist().index(row.image_source)
        assert np.array_equal(model.clean_predictions[place][:20], row.predictions)


def test_the_resolved_grid_is_a_grid_of_the_same_plan(mini_run: Path, command: Callable[..., Ended]) -> None:
    original, resolved = (
        json.loads(command("plan", mini_run / name, "--results", mini_run, "--json").out)
        for name in ("grid.toml", "grid.resolved.toml")
    )
    assert original["done"] == resolved["done"] == original["units"]
    assert {**original, "estimate": None} == {**resolved, "estimate": None}


def test_a_late_delivery_crafts_the_same_set_again(
    copy: Path, run: Callable[..., Ended], command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    text = mini_grid().replace("per_class = 10", 'per_class = 10\ndeliveries = ["uint8", "float32"]')
    planned = json.loads(command("plan", write(text), "--results", copy, "--json").out)
    assert planned["recrafted"] == 2 * 2 * 4 + 2 * 4  # each set at each strength was made before
    assert run(copy, text).code == 0
    tests, attacks = frame(copy, "tests"), frame(copy, "attacks")
    assert len(tests) == 128 and set(tests.delivery) == {"uint8", "float32"}
    assert attacks.groupby(["set_id", "strength"]).set_sha256.nunique().eq(1).all()
    exact = attacks[(attacks.delivery == "float32") & (attacks.norm == "linf")]
    assert (exact.mean_linf == exact.mean_linf_delivered).all()


def test_load_gives_every_column(mini_run: Path) -> None:
    found = dumb_bench.load(mini_run)
    for name in TABLES:
        assert list(getattr(found, name).columns) == list(frame(mini_run, name).columns)


def test_the_same_command_again_does_nothing(copy: Path, run: Callable[..., Ended]) -> None:
    before = (copy / "manifest.json").read_bytes(), (copy / "tables/tests/part-0.parquet").stat().st_mtime_ns
    ended = run(copy, mini_grid())
    assert ended.code == 0
    assert "nothing to do" in ended.out
    assert before == ((copy / "manifest.json").read_bytes(), (copy / "tables/tests/part-0.parquet").stat().st_mtime_ns)


def test_a_resumed_run_equals_one_in_one_go(mini_run: Path, copy: Path, run: Callable[..., Ended]) -> None:
    shutil.rmtree(copy)
    store = copy.parent / ".store"
    shutil.rmtree(store / "segments")  # weights are there, no unit is: what a kill right after training leaves
    assert run(copy, mini_grid()).code == 0
    assert_same_tables(mini_run, copy)


def test_more_attacks_seeds_and_victims_compute_only_what_is_new(copy: Path, run: Callable[..., Ended]) -> None:
    before = frame(copy, "tests").set_index("test_id")
    (copy / "events.jsonl").unlink()
    assert run(copy, mini_grid(attacks=FGSM + BLUR + '[[attacks]]\nname = "pgd"\nstrength = 0.1\n')).code == 0
    assert (done(copy, "train"), done(copy, "attack")) == (0, 4)  # 2 surrogates x 2 image sources; noise at .1 is there
    (copy / "events.jsonl").unlink()
    assert run(copy, mini_grid(victim_seeds="[0, 7]")).code == 0
    assert done(copy, "train") == 2
    again = events(copy, "unit_done")
    assert sum(int(str(event.get("tests", 0))) for event in again if event["kind"] == "attack") == 2 * 2 * (2 * 4 + 4)
    after = frame(copy, "tests").set_index("test_id")
    assert set(before.index) <= set(after.index)
    shared = after.loc[before.index].drop(columns="unit_key")
    pd.testing.assert_frame_equal(shared.sort_index(), before.drop(columns="unit_key").sort_index())


def test_a_second_grid_trains_no_shared_model_and_a_smaller_one_holds_its_own_plan(
    copy: Path, run: Callable[..., Ended]
) -> None:
    other = copy.parent / "other"
    text = mini_grid(attacks='[[attacks]]\nname = "mifgsm"\nstrength = 0.2\n').replace('"mini"', '"other"')
    assert run(other, text).code == 0
    assert done(other, "train") == 0
    small = mini_grid(sources='["optdigits"]', image_source="surrogate", attacks=BLUR)
    assert run(copy, small).code == 0
    tests = frame(copy, "tests")
    assert set(tests.attack) == {"box_blur", "identity"} and len(tests) == 2
    assert len(frame(copy, "models")) == 1 and len(frame(copy, "images")) == 20
    (copy / "events.jsonl").unlink()
    assert run(copy, mini_grid()).code == 0
    assert done(copy, "train") == done(copy, "attack") == 0
    assert len(frame(copy, "tests")) == 2 * 2 * 2 * (2 + 2 + 2 + 1 + 1)


def damage(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    if chance.random() < 0.3:
        path.write_bytes(data[: chance.randrange(len(data))])
        return "torn"
    place = chance.randrange(len(data))
    data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return f"bit flipped at {place}"


@pytest.mark.parametrize("name", ["tables/tests/part-0.parquet", "manifest.json"])
def test_a_damaged_result_file_is_named_by_the_next_run_and_kept_aside(
    name: str, mini_run: Path, copy: Path, run: Callable[..., Ended]
) -> None:
    target = copy / name
    target.write_bytes(target.read_bytes()[:-20])
    ended = run(copy, mini_grid())
    assert ended.code == 0
    assert name in ended.err and "quarantine" in ended.err
    assert (copy / "quarantine" / name).is_file()
    assert_same_tables(mini_run, copy)


def test_another_plan_of_the_same_name_is_said(copy: Path, run: Callable[..., Ended]) -> None:
    assert "holds the tables of another plan" not in run(copy, mini_grid()).err
    assert "holds the tables of another plan" in run(copy, mini_grid(attacks=BLUR)).err


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("where", ["segments", "artifacts", "tables"])
def test_a_damaged_file_is_named_set_aside_and_done_again(
    where: str, seed: int, mini_run: Path, copy: Path, run: Callable[..., Ended], command: Callable[..., Ended]
) -> None:
    chance = random.Random(f"{where} {seed}")
    folder = copy / "tables" if where == "tables" else copy.parent / ".store" / where
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    target = chance.choice(files)
    damage(target, chance)
    checked = command("check", "results", copy)
    assert checked.code == 3
    assert target.name in checked.out or target.parent.name in checked.out
    ended = run(copy, mini_grid())
    assert ended.code == 0, ended.err
    assert_same_tables(mini_run, copy)
    assert command("check", "results", copy).code == 0


def test_damage_met_by_a_run_is_named(mini_run: Path, copy: Path, run: Callable[..., Ended]) -> None:
    target = next((copy.parent / ".store" / "segments").rglob("tests.parquet"))
    target.write_bytes(target.read_bytes()[:-100])
    ended = run(copy, mini_grid())
    assert ended.code == 0
    assert "tests.parquet" in ended.err and "quarantine" in ended.err
    assert list((copy.parent / ".store" / "quarantine").rglob("*.reason.json"))
    assert_same_tables(mini_run, copy)


def test_load_is_right_while_a_run_goes_on(copy: Path) -> None:
    whole = dumb_bench.load(copy).tests
    (copy / "manifest.json").unlink()
    shutil.rmtree(copy / "tables")
    found = dumb_bench.load(copy)
    pd.testing.assert_frame_equal(
        found.tests.sort_values("test_id", ignore_index=True), whole.sort_values("test_id", ignore_index=True)
    )


def test_status_compact_and_an_archived_folder(copy: Path, command: Callable[..., Ended]) -> None:
    found = json.loads(command("status", copy, "--json").out)
    assert (found["tests"], found["tests_done"], found["models_done"], found["failed"]) == (64, 64, 2, [])
    shutil.rmtree(copy / "tables")
    assert command("compact", copy).code == 0
    assert len(frame(copy, "tests")) == 64
    archived = copy.parent.parent / "archive"
    shutil.copytree(copy, archived)
    found = json.loads(command("status", archived, "--json").out)
    assert (found["tests_done"], found["models_done"]) == (64, 2)
    assert len(dumb_bench.load(archived).tests) == 64


def test_tables_that_lacked_rows_are_written_again_once_another_grid_has_filled_the_store(
    copy: Path, run: Callable[..., Ended]
) -> None:
    from dumb_bench.store.assemble import partial
    from dumb_bench.store.results import ResultFolder
    from dumb_bench.store.status import read_plan

    folder = ResultFolder.open(copy)
    tables = {name: folder.read_table(name) for name in TABLES}
    tables["tests"] = tables["tests"].slice(0, 10)
    folder.write_tables(tables, plan_digest=partial(read_plan(folder)))  # what an interrupted run leaves
    assert len(dumb_bench.load(copy).tests) == 64  # from the store
    ended = run(copy, mini_grid())
    assert "nothing to do" in ended.out and "another plan" not in ended.err
    assert len(frame(copy, "tests")) == 64


def test_margins_are_the_grids_choice_whatever_the_store_holds(copy: Path, run: Callable[..., Ended]) -> None:
    kept = values(copy, "predictions")
    assert run(copy, mini_grid() + "[output]\nmargins = false\n").code == 0
    assert frame(copy, "predictions").margins.isna().all()
    assert run(copy, mini_grid()).code == 0
    assert values(copy, "predictions") == kept


PLUGIN = """
from dumb_bench.data.base import source
from dumb_bench.data.optdigits import optdigits
from dumb_bench.deliveries.base import delivery


@source("mine", tasks=("digits",), origin="a test")
def mine(task, split, *, root=None, download=False):
    \"\"\"Handwritten digits, perhaps inverted.\"\"\"
    found = optdigits(task, split)
    return found._replace(images={images})


@delivery("dimmed", lossless=False)
def dimmed(images):
    \"\"\"Less light.\"\"\"
    return images * {light}
"""


def test_an_edited_source_or_delivery_leaves_no_old_answer(
    copy: Path, run: Callable[..., Ended], tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    text = mini_grid(sources='["optdigits", "mine"]', attacks=BLUR)
    text = text.replace("per_class = 10", 'per_class = 10\ndeliveries = ["uint8", "dimmed"]')
    plugin.write_text(PLUGIN.format(images="found.images", light="0.9"))
    assert run(copy, text, "--plugin", plugin).code == 0
    plugin.write_text(PLUGIN.format(images="255 - found.images", light="0.0"))
    fresh = tmp_path / "fresh" / "mini"
    assert run(copy, text, "--plugin", plugin).code == 0
    assert run(fresh, text, "--plugin", plugin).code == 0
    assert_same_tables(copy, fresh, ignored=("unit_key",))  # rows that were there already came from other units
    dark = frame(fresh, "tests")
    assert dark[dark.delivery == "dimmed"].n_victim_correct.eq(10).all()  # a black image gets one answer


def test_training_images_of_two_sources_are_told_apart_even_where_their_ids_agree(
    run: Callable[..., Ended], tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN.format(images="255 - found.images", light="1.0"))
    text = mini_grid(sources='["optdigits", "mine"]', image_source="surrogate", attacks=FGSM)
    assert run(tmp_path / "mini", text, "--plugin", plugin).code == 0
    tests = frame(tmp_path / "mini", "tests")
    assert tests[tests.case.eq("C5") & ~tests.copied].train_overlap.eq(0).all()


def test_a_flipped_bit_in_the_plan_is_noticed(
    mini_run: Path, copy: Path, run: Callable[..., Ended], command: Callable[..., Ended]
) -> None:
    target = copy / "plan.json"
    whole = target.read_bytes()
    chance = random.Random(7)
    for _ in range(25):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        target.write_bytes(data)
        ended = command("status", copy, "--json")
        checked = command("check", "results", copy)
        if ended.code == 0:  # white space between values
            assert json.loads(ended.out)["tests_done"] == 64 and checked.code == 0
        else:
            assert (ended.code, checked.code) == (2, 3)
            assert "plan.json" in ended.err and "plan.json" in checked.out
    target.write_bytes(whole[:-30])
    assert "plan.json" in run(copy, mini_grid()).err
    assert_same_tables(mini_run, copy)
