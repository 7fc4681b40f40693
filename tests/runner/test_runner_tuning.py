"""Strengths chosen per surrogate, from grid to tables: the rows that are asked for, each made and scored once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from minigrid import FGSM, Ended, Quiet, mini_grid

import dumb_bench
from dumb_bench.attacks.tuning import Point, choose
from dumb_bench.catalogue import Catalogue
from dumb_bench.report.load import Results
from dumb_bench.runner.run import RunOptions, Summary, run_grid
from dumb_bench.store.events import read_events
from dumb_bench.store.results import ResultFolder

TUNED = """
[[attacks]]
name = "fgsm"
strength = 0.1
tune = { ssim = 0.6, over = "0.05:0.30:0.05", per_class = 20 }
[[attacks]]
name = "box_blur"
tune = { ssim = 0.6, over = [0.5, 1.0, 1.5, 2.0], per_class = 20, reference = true }
[[attacks]]
name = "bim"
params = { steps = 2 }
tune = { ssim = 0.6, over = "0.05:0.30:0.05", per_class = 20, search = "bisection" }
[[attacks]]
name = "gaussian_noise"
tune = { ssim = 0.999, over = [0.05, 0.1], per_class = 20 }
"""


def go(folder: Path, text: str) -> Summary:
    grid = folder / "grid.toml"
    grid.write_text(text)
    options = RunOptions(results=str(folder / "out"), store=str(folder / ".store"), address="serial")
    return run_grid(grid, Catalogue(), options, Quiet(), lambda line: None)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("tuned")
    summary = go(folder, mini_grid(seeds="[0, 1]", attacks=TUNED))
    assert summary.exit_code == 0 and summary.rows["tests"] <= summary.planned
    return folder, dumb_bench.load(folder / "out")


def kept(results: Results, attack: str, rule: str) -> pd.DataFrame:
    tests = results.tests
    return tests[(tests["attack"] == attack) & (tests["strength_rule"] == rule)]


def test_every_surrogate_has_its_choice_and_its_rows_have_that_strength(tuned: tuple[Path, Results]) -> None:
    results = tuned[1]
    assert len(results.tunings) == 4 * 4  # 4 surrogates, 4 attacks
    for attack in ("fgsm", "box_blur", "bim"):
        rows = kept(results, attack, "tuned")
        assert len(rows) == 4 * 4 * 2  # surrogates x victims x image sources
        chosen = results.tunings[results.tunings["attack"] == attack].set_index("surrogate_id")["strength"]
        assert (rows["strength"] == rows["surrogate_id"].map(chosen)).all()
        assert rows["test_id"].is_unique
    assert results.tests["test_id"].is_unique


def test_the_choice_follows_the_stored_curve(tuned: tuple[Path, Results]) -> None:
    for row in tuned[1].tunings.itertuples():
        rates = np.asarray(row.n_fooled) / row.n_surrogate_correct
        points = [Point(*each) for each in zip(row.strengths, row.mean_ssim, rates, strict=True)]
        if row.search == "full":
            best = choose(points, row.ssim_above, reference=row.reference)
            assert (best.strength if best else None) == (row.strength if row.feasible else None)
            assert row.sets_crafted == len(row.strengths)
        else:
            assert row.strength == row.bisection_strength and row.sets_crafted == row.bisection_sets < 6


def test_where_nothing_is_feasible_the_rows_say_so(tuned: tuple[Path, Results]) -> None:
    results = tuned[1]
    rows = kept(results, "gaussian_noise", "infeasible")
    assert len(rows) == 4 * 4 * 2 and rows["asr"].isna().all() and (rows["n_images"] == 0).all()
    assert rows["case"].notna().all() and rows["victim_id"].notna().all() and rows["surrogate_id"].notna().all()
    assert not results.tunings.loc[results.tunings["attack"] == "gaussian_noise", "feasible"].any()


def test_a_chosen_row_is_the_row_of_that_strength(tuned: tuple[Path, Results]) -> None:
    results = tuned[1]
    fixed = kept(results, "fgsm", "grid").set_index(["attack_id", "victim_id"])
    same = kept(results, "fgsm", "tuned")
    same = same[same["strength"] == 0.1].set_index(["attack_id", "victim_id"])
    for key in same.index:
        assert fixed.loc[key, ["n_success", "scored_as"]].tolist() == same.loc[key, ["n_success", "scored_as"]].tolist()
    assert set(results.tests["scored_as"].dropna()) == set(results.predictions["test_id"])


def test_the_noise_of_the_same_size_stands_beside_every_chosen_strength(tuned: tuple[Path, Results]) -> None:
    tests = tuned[1].tests
    noise = set(
        tests.loc[tests["attack"] == "sign_noise", ["surrogate_id", "victim_id", "image_source", "strength"]]
        .itertuples(index=False, name=None)
    )  # fmt: skip
    for attack in ("fgsm", "bim"):
        rows = kept(tuned[1], attack, "tuned")[["surrogate_id", "victim_id", "image_source", "strength"]]
        assert set(rows.itertuples(index=False, name=None)) <= noise
    swaps = tests[(tests["attack"] == "delta_swap") & (tests["strength_rule"] == "tuned")]
    assert len(swaps) == 2 * 4 * 4 * 2


def test_a_surrogate_free_set_is_made_once_per_image_source(tuned: tuple[Path, Results]) -> None:
    folder, results = tuned
    blurs = results.attacks[results.attacks["attack"] == "box_blur"]
    assert not blurs.duplicated(["image_source", "strength"]).any()
    done = [event for event in read_events(ResultFolder.open(folder / "out").place) if event["event"] == "unit_done"]
    attacks = [event for event in done if event["kind"] == "attack" and "box_blur" in event["unit"]]
    choices = [event for event in done if event["kind"] == "tune" and "box_blur" in event["unit"]]
    assert len(attacks) == len(choices) == 2  # one an image source, whatever the number of surrogates


def test_running_again_does_nothing_and_a_late_surrogate_chooses_only_its_own(tuned: tuple[Path, Results]) -> None:
    folder = tuned[0]
    again = go(folder, mini_grid(seeds="[0, 1]", attacks=TUNED))
    assert not again.done and again.exit_code == 0
    text = mini_grid(seeds="[0, 1, 2]", victim_seeds="[0, 1]", attacks=TUNED)
    later = go(folder, text)
    assert later.exit_code == 0
    assert later.done["tune"] == 2 * 4  # 2 new surrogates x 4 attacks (the free ones: one unit a source)
    assert len(dumb_bench.load(folder / "out").tunings) == 6 * 4


def test_resumed_after_every_round_the_tables_are_the_same(tmp_path: Path, tuned: tuple[Path, Results]) -> None:
    """Another store, the choices made by another grid before: equal rows."""
    go(tmp_path, mini_grid(seeds="[0]", victim_seeds="[1]", attacks=TUNED))
    go(tmp_path, mini_grid(seeds="[0, 1]", attacks=TUNED))
    ours, theirs = dumb_bench.load(tmp_path / "out").tests, tuned[1].tests
    shared = ["test_id", "strength", "strength_rule", "n_success", "n_victim_correct", "asr", "attack_id", "case"]
    pd.testing.assert_frame_equal(
        ours[shared].sort_values("test_id", ignore_index=True), theirs[shared].sort_values("test_id", ignore_index=True)
    )


BAD = [
    ('[[attacks]]\nname = "grey_scale"\ntune = { ssim = 0.4 }', "has no strength to choose"),
    ('[[attacks]]\nname = "fgsm"\ntune = { ssim = 0.4, over = "0.3:0.1:0.1" }', "first:last:step"),
    ('[[attacks]]\nname = "fgsm"\ntune = { ssim = 1.0 }', "less than 1"),
    ('[[attacks]]\nname = "fgsm"\ntune = { over = [0.1, 8] }', "attacks[0].tune.over: attack 'fgsm': expected 0 <="),
    ('[[attacks]]\nname = "fgsm"\ntune = { threshold = 0.4 }', "unknown key 'threshold'"),
    ('[[attacks]]\nname = "fgsm"\ntune = { per_class = 5000 }', "expected at most 38"),
    ('[[attacks]]\nname = "fgsm"\nstrength = 0.1\n[surrogates]\nmodifier = "gost"', "unknown modifier 'gost'"),
    ('[[attacks]]\nname = "box_blur"\ntargeted = true', "attack 'box_blur' has no targeted form"),
    ('[[attacks]]\nname = "fgsm"\nparams = { norm = "l2" }', "with norm 'l2' there is no default"),
]  # fmt: skip


@pytest.mark.parametrize("text, sentence", BAD)
def test_a_bad_choice_is_one_clear_line(
    text: str, sentence: str, write: Callable[..., Path], command: Callable[..., Ended]
) -> None:
    ended = command("plan", write(mini_grid(attacks=text)))
    assert ended.code == 2 and sentence in ended.err and len(ended.err.splitlines()) == 1


def test_a_targeted_attack_counts_hits_of_its_target(tmp_path: Path) -> None:
    go(tmp_path, mini_grid(attacks=FGSM + '[[attacks]]\nname = "fgsm"\nstrength = 0.2\ntargeted = true\n'))
    tests, images = (pd.read_parquet(tmp_path / "out" / "tables" / name) for name in ("tests", "images"))
    aimed = tests[tests["targeted"] & ~tests["control"]]
    assert len(aimed) and (aimed["n_target_success"] == aimed["n_success"]).all()  # two classes: the other one
    assert aimed["n_success"].sum() > 0
    assert tests.loc[~tests["targeted"], "n_target_success"].isna().all()
    assert (images["target"] == 1 - images["label"]).all()
