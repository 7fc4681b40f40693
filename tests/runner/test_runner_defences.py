"""Defended models in a run: what is trained, in which order, what is known of whom, and which draws are met."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from minigrid import Ended, mini_grid

from dumb_bench.catalogue import Catalogue
from dumb_bench.grid_file import parse_grid
from dumb_bench.report.defences import defence_rows
from dumb_bench.report.load import load
from dumb_bench.runner import estimate
from dumb_bench.runner.describe import EMPTY
from dumb_bench.runner.outstanding import outstanding, parts_of, tasks_of
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.units import TrainUnit

ATTACKS = '[[attacks]]\nname = "pgd"\nstrength = 0.15\nparams = { steps = 2 }\n'
EVERY = """["none", "jpeg", "resize_pad", { name = "ensemble_at", members = 1 },
  { name = "pgd_at+bit_depth", steps = 1, bits = 2 }]"""


def grid_text(defences: str, victims: str | None = None) -> str:
    text = mini_grid(sources='["optdigits"]', image_source="surrogate", attacks=ATTACKS)
    text = text.replace("[victims]", f"defence = {defences}\n[victims]")
    return text.replace("[victims]\n", f"[victims]\ndefence = {victims}\n") if victims else text


def run(folder: Path, text: str) -> Path:
    from dumb_bench.runner.run import RunOptions, run_grid
    from minigrid import Quiet  # isort: skip

    folder.mkdir(exist_ok=True)
    grid = folder / "grid.toml"
    grid.write_text(text)
    options = RunOptions(results=str(folder / "out"), store=str(folder / ".store"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    return folder / "out" / "tables"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("defended"), grid_text(EVERY))


def rows_of(tables: Path) -> pd.DataFrame:
    return pd.read_parquet(tables / "tests")


def test_wrappers_share_weights_and_parents_are_trained_before() -> None:
    catalogue = Catalogue()
    plan = build_plan(parse_grid(grid_text(EVERY), "grid", catalogue), catalogue)
    assert plan.counts["models"] == 5 and plan.counts["trainings"] == 4
    units = outstanding(plan, EMPTY, catalogue).units
    training = {unit.part.spec.defence.name: unit for unit in units if isinstance(unit, TrainUnit)}
    seeds = {unit.part.spec.seed for unit in units if isinstance(unit, TrainUnit)}
    assert set(training) == {"none", "ensemble_at", "pgd_at"} and len(seeds) == 2
    tasks = {task.key: task for task in tasks_of(units, parts_of(plan))}
    defended = training["ensemble_at"]
    (parent,) = [unit for unit in units if isinstance(unit, TrainUnit) and unit.part.id in defended.needs]
    assert parent.part.spec.seed != defended.part.spec.seed and parent.part.spec.defence.name == "none"
    assert tasks[defended.key].needs == (parent.key,)


def test_the_estimate_knows_what_defences_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_seconds_an_image", lambda model, catalogue: (0.001, 10))
    catalogue = Catalogue()

    def cost(defence: str, attacks: str = ATTACKS) -> estimate.Estimate:
        text = grid_text(f"[{defence}]").replace(ATTACKS, attacks)
        return estimate.estimate(build_plan(parse_grid(text, "grid", catalogue), catalogue), catalogue)

    plain, trained = cost('"none"'), cost('{ name = "pgd_at", steps = 7 }')
    assert trained.training_seconds == pytest.approx(8 * plain.training_seconds)
    assert trained[1:] == plain[1:]
    parents = cost('{ name = "ensemble_at", architectures = ["small_alexnet", "small_resnet"], members = 2 }')
    assert parents.training_seconds == pytest.approx((3 + 4) * plain.training_seconds)
    voted = cost('{ name = "randomized_smoothing", votes = 5 }')
    assert voted.training_seconds == plain.training_seconds
    assert voted.scoring_seconds == pytest.approx(5 * plain.scoring_seconds)
    assert voted.crafting_seconds == pytest.approx(5 * plain.crafting_seconds)
    averaged = cost('"none"', ATTACKS.replace("steps = 2", "steps = 2, eot = 3"))
    assert averaged.crafting_seconds == pytest.approx(3 * plain.crafting_seconds)


def test_a_wrapped_model_s_row_is_its_own_and_an_ensemble_s_counts_its_parents(tables: Path) -> None:
    models = pd.read_parquet(tables / "models").set_index("defence")
    assert len(models) == 5 and models["model_id"].nunique() == 5
    same = models.loc[["none", "jpeg", "resize_pad"]]
    assert same["weights_sha256"].nunique() == 1 and set(same["epochs"]) == {1}
    assert len({tuple(logits[0]) for logits in same["clean_logits"]}) == 3
    assert models.loc["ensemble_at(members=1)", "epochs"] == 2
    images = models["train_images"].iloc[0]
    gradients = models["gradients"] / images
    assert gradients["ensemble_at(members=1)"] == 1 + 3 and gradients["pgd_at+bit_depth(bits=2, steps=1)"] == 2
    assert json.loads(models.loc["pgd_at+bit_depth(bits=2, steps=1)", "params"])["defence"] == {"bits": 2, "steps": 1}


def test_unchanged_images_fool_nobody_whatever_the_defence_draws(tables: Path) -> None:
    rows = rows_of(tables)
    rows = rows[rows["attack"] == "identity"]
    assert set(rows["victim_defence"]) >= {"resize_pad", "jpeg"}
    assert rows["n_success"].eq(0).all() and rows["n_victim_correct"].gt(0).all()


def test_what_the_attacker_knows_is_a_column(tables: Path) -> None:
    rows = rows_of(tables)
    rows = rows[rows["attack"] == "pgd"].set_index(["surrogate_defence", "victim_defence"]).sort_index()
    known = rows[["white_box", "defence_known", "shared_weights"]]
    assert known.loc[("jpeg", "jpeg")].tolist() == [True, True, 1.0]
    assert known.loc[("none", "jpeg")].tolist() == [False, False, 1.0]  # its weights, but not its input defence
    assert known.loc[("none", "none")].tolist() == [True, True, 1.0]
    assert known.loc[("none", "ensemble_at(members=1)")].tolist() == [False, False, 0.0]
    assert known.loc[("pgd_at+bit_depth(bits=2, steps=1)", "none")].tolist() == [False, False, 0.0]


def test_the_white_box_attack_goes_through_the_defence(tables: Path) -> None:
    attacks = pd.read_parquet(tables / "attacks")
    attacks = attacks[attacks["attack"] == "pgd"]
    assert attacks["set_sha256"].nunique() == len(attacks) == 5
    assert attacks["backwards"].nunique() == 1


def test_draws_depend_on_the_model_and_the_images_alone(tables: Path, tmp_path: Path) -> None:
    """Another grid, with other victims in another order: the same predictions, clean and attacked."""
    other = run(tmp_path / "other", grid_text('["none"]', '["median_blur", "resize_pad"]'))
    frames = []
    for folder in (tables, other):
        rows = rows_of(folder)
        rows = rows[(rows["victim_defence"] == "resize_pad") & (rows["surrogate_defence"] == "none")]
        frames.append(rows.merge(pd.read_parquet(folder / "predictions"), on="test_id").set_index("test_id"))
    mine, theirs = (frame.sort_index() for frame in frames)
    assert (
        set(mine["attack"]) == {"pgd", "delta_swap"}
        and len(mine) == len(theirs) == 2
        and list(mine.index) == list(theirs.index)
    )
    for column in ("predictions", "margins"):
        assert all(np.array_equal(*pair) for pair in zip(mine[column], theirs[column], strict=True))
    assert mine["n_victim_correct"].nunique() == 1  # the clean answers of one draw, for every test


def test_the_report_says_what_each_defence_does(tables: Path) -> None:
    rows = defence_rows(load(tables.parent))
    tests = rows_of(tables)
    own = tests[(tests["attack"] == "pgd") & tests["white_box"]].set_index("victim_defence")
    right = (own["n_victim_correct"] - own["n_success"]) / own["n_images"]
    white = rows[rows["measure"] == "white box"].set_index("victim_defence")
    assert len(white) == 5 and set(white["n_pairs"]) == {1} and white["low"].isna().all()
    assert white["accuracy"].sort_index().to_numpy() == pytest.approx(right.sort_index().to_numpy())
    assert white["difference"].to_numpy() == pytest.approx(white["accuracy"].to_numpy() - right["none"])
    assert set(rows["measure"]) == {"clean", "white box", "weights known"}  # one seed: no transfer
    assert rows[rows["victim_defence"] == "none"]["difference"].abs().max() == 0


@pytest.mark.parametrize(
    ("defences", "expected"),
    [
        ('"pgd"', "models.defence: unknown defence 'pgd'"),
        ('"pgd_at+nothing"', "models.defence: unknown defence 'nothing'"),
        ('{ name = "jpeg", quality = 0 }', "defence: defence 'jpeg': parameter 'quality'"),
        ('"pgd_at+fgsm_at"', "pgd_at and fgsm_at both train"),
        ('{ name = "ensemble_at", architectures = ["vgg"] }', "defence 'ensemble_at': unknown architecture 'vgg'"),
    ],
)
def test_a_wrong_defence_is_one_clear_line(
    defences: str, expected: str, command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    ended = command("plan", write(grid_text(defences)))
    assert ended.code == 2 and expected in ended.err and len(ended.err.strip().splitlines()) == 1
