"""Kept adversarial sets: what is kept, and that a late victim is scored on it without crafting."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from minigrid import FGSM, STEPS, Ended, kept_grid

from dumb_bench.catalogue import Catalogue
from dumb_bench.deliveries.uint8 import uint8
from dumb_bench.grid_file import parse_grid
from dumb_bench.runner import slot_state
from dumb_bench.runner.describe import EMPTY
from dumb_bench.runner.kept_sets import kept_size
from dumb_bench.runner.outstanding import outstanding
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.plan_file import plan_document
from dumb_bench.store.kept import get_sample, get_whole, put_whole, sample_name, whole_name
from dumb_bench.store.store import Store

TABLES = ("images", "models", "attacks", "tests", "predictions", "failures")
IGNORED = ["seconds", "host", "finished_at", "unit_key"]


def frame(results: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(results / "tables" / name)


def assert_same_tables(one: Path, other: Path) -> None:
    """The same rows, whichever unit made them, when and where."""
    for name in TABLES:
        left, right = (frame(folder, name).drop(columns=IGNORED, errors="ignore") for folder in (one, other))
        pd.testing.assert_frame_equal(left, right, check_exact=True, obj=name)


def store_of(results: Path) -> Store:
    return Store.open(results.parent / ".store", create=False)


def step_of(row: Any) -> int | None:
    return None if pd.isna(row.step) else int(row.step)


def name_of(row: Any) -> str:
    return whole_name(row.set_id, None if pd.isna(row.strength) else row.strength, step_of(row))


@pytest.fixture
def copy(kept_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run with its store."""
    shutil.copytree(kept_run.parent, tmp_path / "runs")
    return tmp_path / "runs" / "mini"


@pytest.fixture
def run(command: Callable[..., Ended], write: Callable[..., Path]) -> Callable[..., Ended]:
    def call(results: Path, text: str) -> Ended:
        ended = command("run", write(text), "--results", results, "--address", "serial", "--no-report")
        assert ended.code == 0, ended.err
        return ended

    return call


@pytest.fixture
def crafted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float | None]]:
    """The sets that are crafted from now on, as (attack, strength)."""
    seen: list[tuple[str, float | None]] = []
    real = slot_state.craft

    def counting(entry: Any, *data: Any, **more: Any) -> Iterator[Any]:
        for made in real(entry, *data, **more):
            seen.append((entry.plugin.name, made.strength))
            yield made

    monkeypatch.setattr(slot_state, "craft", counting)
    return seen


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid with a second victim and a second delivery, made at once, nothing kept."""
    from minigrid import Quiet

    from dumb_bench.runner.run import RunOptions, run_grid

    folder = tmp_path_factory.mktemp("grown")
    grid = folder / "grid.toml"
    grid.write_text(kept_grid("none", "[0, 7]", '["uint8", "float32"]'))
    options = RunOptions(results=str(folder / "mini"), store=str(folder / ".store"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    return folder / "mini"


def test_every_set_is_kept_bit_for_bit_and_controls_too(kept_run: Path) -> None:
    store, attacks = store_of(kept_run), frame(kept_run, "attacks")
    assert set(attacks.attack) == {"fgsm", "bim", "box_blur", "identity", "sign_noise", "delta_swap"}
    assert set(attacks.step.dropna()) == {1}
    for row in attacks.itertuples():
        kept = get_whole(store, name_of(row))
        assert kept.sha256 == row.set_sha256 == hashlib.sha256(kept.images.tobytes()).hexdigest()
        assert kept.images.shape == (20, 3, 32, 32)
        assert (kept.about["forwards"], kept.about["budget_violation"]) == (row.forwards, row.budget_violation)
        if step_of(row) is None and row.attack in ("fgsm", "bim", "box_blur"):
            sample = get_sample(store, sample_name(row.set_id, row.strength))
            assert torch.equal(torch.tensor(sample.adversarial).float() / 255, uint8(torch.tensor(kept.images[:8])))


def test_what_is_kept_enters_no_id_no_key_and_no_row(grown: Path) -> None:
    catalogue = Catalogue()
    plans = [build_plan(parse_grid(kept_grid(choice), "grid", catalogue), catalogue) for choice in ("none", "all")]
    documents = [plan_document(plan, "", catalogue) for plan in plans]
    assert documents[0] == documents[1]
    keys = [[unit.key for unit in outstanding(plan, EMPTY, catalogue).units] for plan in plans]
    assert keys[0] == keys[1]
    assert not (grown / "kept").exists()
    assert not any(store_of(grown).has_artifact(name_of(row)) for row in frame(grown, "attacks").itertuples())


def test_a_late_victim_and_a_late_delivery_are_scored_without_crafting(
    copy: Path, grown: Path, run: Callable[..., Ended], command: Callable[..., Ended], write: Callable[..., Path],
    crafted: list[tuple[str, float | None]],
) -> None:  # fmt: skip
    plan = ("plan", write(kept_grid("all", "[0, 7]")), "--results", copy, "--json")
    found = json.loads(command(*plan).out)
    assert (found["recrafted"], found["loaded"]) == (0, 10)  # 4 of attacks, 3 swapped, 2 of noise, the clean images
    assert f"{found['loaded']} more were kept" in command(*plan[:-1]).out
    ended = run(copy, kept_grid("all", "[0, 7]"))
    assert f"{found['loaded']} kept sets are loaded" in ended.err and "crafted again" not in ended.err
    run(copy, kept_grid("none", "[0, 7]", '["uint8", "float32"]'))
    assert crafted == []
    assert_same_tables(copy, grown)
    assert not (copy / "kept").exists()  # the last grid keeps nothing


def damage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def test_a_damaged_a_missing_and_a_wrong_set_are_crafted_again_and_kept_anew(
    copy: Path, grown: Path, run: Callable[..., Ended], crafted: list[tuple[str, float | None]]
) -> None:
    attacks, store = frame(copy, "attacks"), store_of(copy)
    names = {
        (row.attack, row.strength): name_of(row) for row in attacks[attacks.step.isna()].itertuples()
        if row.attack in ("fgsm", "box_blur", "bim")
    }  # fmt: skip
    folder = copy.parent / ".store" / "artifacts"

    def files(name: str) -> list[Path]:
        return list((folder / name[:2] / name).glob("*.zst"))

    damage(files(names["fgsm", 0.1])[0], random.Random(1))
    shutil.rmtree(folder / names["bim", 0.1][:2] / names["bim", 0.1])
    about = get_whole(store, names["box_blur", 1.0]).about
    put_whole(store, names["box_blur", 1.0], np.zeros((20, 3, 32, 32), np.float32), about)
    run(copy, kept_grid("all", "[0, 7]"))
    assert sorted(crafted, key=str) == [("bim", 0.1), ("box_blur", 1.0), ("fgsm", 0.1)]
    quarantined = {path.parent.name for path in (copy.parent / ".store" / "quarantine").rglob("*.zst*")}
    assert quarantined == {names["fgsm", 0.1], names["box_blur", 1.0]}
    for row in attacks[attacks.attack.isin(["fgsm", "box_blur", "bim"])].itertuples():
        assert get_whole(store, name_of(row)).sha256 == row.set_sha256
    run(copy, kept_grid("all", "[0, 7]", '["uint8", "float32"]'))
    assert len(crafted) == 3
    assert_same_tables(copy, grown)


def test_a_row_whose_set_was_never_scored_is_crafted_though_a_file_is_there(
    copy: Path, grown: Path, run: Callable[..., Ended], crafted: list[tuple[str, float | None]]
) -> None:
    shutil.rmtree(copy.parent / ".store" / "segments")  # a kill between keeping a set and storing its rows
    run(copy, kept_grid("all", "[0, 7]", '["uint8", "float32"]'))
    assert {name for name, _ in crafted} == {"fgsm", "bim", "box_blur", "identity", "sign_noise"}
    assert_same_tables(copy, grown)


def test_a_sample_is_no_whole_set_and_has_no_controls(
    tmp_path: Path, run: Callable[..., Ended], command: Callable[..., Ended], crafted: list[tuple[str, float | None]]
) -> None:
    results = tmp_path / "runs" / "mini"
    run(results, kept_grid("sample", attacks=FGSM + STEPS))
    store, attacks = store_of(results), frame(results, "attacks")
    assert not any(store.has_artifact(name_of(row)) for row in attacks.itertuples())
    kept = {
        (row.attack, row.strength) for row in attacks.itertuples()
        if store.has_artifact(sample_name(row.set_id, None if pd.isna(row.strength) else row.strength))
    }  # fmt: skip
    assert kept == {("fgsm", 0.1), ("fgsm", 0.2), ("bim", 0.1)}
    before = len(crafted)
    assert "crafted again" in run(results, kept_grid("sample", "[0, 7]", attacks=FGSM + STEPS)).err
    assert len(crafted) == 2 * before
    assert len(list((results / "kept").glob("*.png"))) == 4  # three sets and the clean images that they share
    victim = next((results / "kept").glob("*.png"))
    damage(victim, random.Random(3))
    checked = command("check", "results", results)
    assert checked.code == 3 and victim.name in checked.out
    run(results, kept_grid("sample", "[0, 7]", attacks=FGSM + STEPS))
    assert command("check", "results", results).code == 0


@pytest.mark.parametrize(
    "choice, sets, size",
    [
        ("none", 0, 0),
        ("sample", 4, 4 * 2 * 8 * 3072),
        ("all", 11, int(0.6 * 11 * 20 * 3072 * 4) + 4 * 2 * 8 * 3072),
    ],
)
def test_the_plan_counts_what_is_kept_and_its_bytes(choice: str, sets: int, size: int) -> None:
    """4 sets of attacks, a step of one of them, and 6 of controls: the clean images, 2 of noise, 3 swapped."""
    catalogue = Catalogue()
    plan = build_plan(parse_grid(kept_grid(choice), "grid", catalogue), catalogue)
    found = kept_size(plan, catalogue)
    assert found.sets == sets
    assert found.bytes == pytest.approx(size, abs=20)


def test_another_word_is_refused(command: Callable[..., Ended], write: Callable[..., Path]) -> None:
    ended = command("plan", write(kept_grid("some")))
    assert ended.code == 2
    assert "output.keep_adversarial: expected 'none', 'sample' or 'all', got 'some'" in ended.err
