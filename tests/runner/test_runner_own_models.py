"""From a grid: a user's own checkpoint, initial weights, halves of a source; what the rows say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from minigrid import Ended, Quiet
from safetensors.torch import save_file

import dumb_bench
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.grid_file import parse_grid
from dumb_bench.models.networks import fresh_network
from dumb_bench.relation import relate
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.run import RunOptions, run_grid
from dumb_bench.spec import ModelSpec, Plugin

HEAD = 'name = "own"\ntask = "digits"\n[images]\nper_class = 5\n'
TAIL = '[training]\nrecipe = { name = "small", epochs = 1 }\n[[attacks]]\nname = "fgsm"\nstrength = 0.1\n'
MODELS = '[models]\nsource = "optdigits"\narchitecture = "small_alexnet"\n'
MINE = '[[checkpoints]]\nname = "mine"\narchitecture = "small_vgg"\n'
VICTIM = '[victims]\ncheckpoint = "mine"\n'


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    spec = ModelSpec("digits", Plugin("unknown"), Plugin("small_vgg"), "unknown", Plugin("checkpoint"), 0)
    path = tmp_path / "mine.safetensors"
    save_file(fresh_network(spec, Catalogue(), seed=4).state_dict(), str(path))
    return path


def planned(text: str, **files: Path) -> Any:
    catalogue = Catalogue(checkpoints=tuple(files.items()))
    return build_plan(parse_grid(text, "grid.toml", catalogue), catalogue)


def run(text: str, folder: Path, **files: Path) -> Any:
    (folder / "own.toml").write_text(text)
    options = RunOptions(results=str(folder / "own"), store=str(folder / ".store"), address="serial")
    catalogue = Catalogue(checkpoints=tuple(files.items()))
    summary = run_grid(folder / "own.toml", catalogue, options, Quiet(), lambda line: None)
    assert summary.exit_code == 0
    return summary


def test_a_checkpoint_is_scored_and_attacked_and_never_trained(tmp_path: Path, mine: Path) -> None:
    both = HEAD + MODELS + '[[surrogates]]\n[[surrogates]]\ncheckpoint = "mine"\n' + VICTIM + MINE + TAIL
    plan = planned(both, mine=mine)
    assert (plan.counts["models"], plan.counts["trainings"]) == (2, 1)
    first = run(both, tmp_path, mine=mine)
    assert first.done["train"] == 1
    found = dumb_bench.load(tmp_path / "own")
    tests = found.tests[~found.tests["control"]].set_index("surrogate_architecture")
    sha256 = plan.grid.checkpoints[0].sha256
    assert set(tests["victim_checkpoint"]) == {sha256} and tests["case"].isna().all()
    assert tests["white_box"].to_dict() == {"small_alexnet": False, "small_vgg": True}
    assert tests["victim_source"].unique().tolist() == ["unknown"] and tests["train_overlap"].isna().all()
    row = found.models.set_index("architecture").loc["small_vgg"]
    assert row["checkpoint"] == sha256 and row["parameters"] > 0 and len(row["clean_accuracy"]) == 1
    assert row[["epochs", "train_images", "own_accuracy", "degenerate"]].isna().all()

    mine.unlink()  # the store has it: a grid that pins it needs no file
    pinned = both.replace(MINE, MINE + f'sha256 = "{sha256}"\n')
    assert run(pinned, tmp_path).done == {}
    assert (tmp_path / "own" / "grid.resolved.toml").read_text().count(sha256) == 1


def test_what_the_grid_states_gives_every_test_a_case(tmp_path: Path, mine: Path) -> None:
    stated = MINE + 'source = "rendered"\nbalance = "20/80"\n'
    plan = planned(HEAD + MODELS + VICTIM + stated + TAIL, mine=mine)
    (victim,), (surrogate,) = plan.victims.values(), plan.surrogates.values()
    relation = relate([surrogate.models[0].columns], victim.columns)
    assert (relation.case, relation.white_box, relation.same_init) == ("C8", False, None)
    assert victim.id != planned(HEAD + MODELS + VICTIM + MINE + TAIL, mine=mine).victims.popitem()[0]


def test_the_weights_make_a_checkpoint_and_neither_name_nor_place_does(tmp_path: Path, mine: Path) -> None:
    elsewhere = tmp_path / "deep" / "other.safetensors"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(mine.read_bytes())
    text = HEAD + MODELS + VICTIM + MINE + TAIL
    renamed = text.replace('"mine"', '"yours"')
    assert planned(text, mine=mine).victims.keys() == planned(renamed, yours=elsewhere).victims.keys()


def test_a_checkpoint_s_weights_taken_from_the_store_are_put_back(tmp_path: Path, mine: Path) -> None:
    text = HEAD + MODELS + VICTIM + MINE + TAIL
    run(text, tmp_path, mine=mine)
    for meta in (tmp_path / ".store" / "artifacts").rglob("meta.json"):
        meta.unlink()
    assert run(text.replace("0.1", "0.2"), tmp_path, mine=mine).done["train"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + MODELS + VICTIM + TAIL, r"'mine' is not declared in \[\[checkpoints\]\]"),
        (HEAD + MODELS + MINE + TAIL, "'mine' is named in neither"),
        (HEAD + MODELS + VICTIM + MINE + TAIL, "'mine' has no file; name it with --model mine=FILE"),
        (HEAD + MODELS + VICTIM + "seed = 1\n" + MINE + TAIL, "victims.seed: not beside `checkpoint`"),
        (HEAD + MODELS + 'checkpoint = "mine"\n' + MINE + TAIL, "models.checkpoint: name checkpoints in"),
        (HEAD + MODELS + VICTIM + MINE + 'path = "x"\n' + TAIL, "unknown key 'path'"),
        (HEAD + MODELS + VICTIM + MINE + 'balance = "20/90"\n' + TAIL, "sum to 100"),
        (HEAD + MODELS + VICTIM + MINE + 'init = "imagenet"\n' + TAIL, r"checkpoints\[0\].init: .*imagenet1k_v1"),
        (HEAD + VICTIM + '[surrogates]\ncheckpoint = "mine"\n' + MINE + f'sha256 = "{"a" * 64}"\n' + TAIL.replace(
            "[training]", "[models]\n[training]"), "models.source: missing; no checkpoint"),
        (HEAD + MODELS + 'init = "imagenet"\n' + TAIL, "unknown init 'imagenet1k_v1'. Available: random, shared_0"),
        (HEAD + MODELS + 'posterior = "vi"\n' + TAIL.replace("epochs = 1", 'trainable = "head"'), "not with trainable"),
    ],
)  # fmt: skip
def test_a_wrong_grid_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        planned(text)
    assert "\n" not in str(raised.value)


def test_the_command_line_refuses_before_anything_is_written(
    tmp_path: Path, mine: Path, command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    grid = write(HEAD + MODELS + VICTIM + MINE + TAIL)
    torch.save({"a": torch.ones(1)}, tmp_path / "pickled.pt")
    for given, message in (
        (f"mine={tmp_path / 'none'}", "no such file"),
        (f"mine={tmp_path / 'pickled.pt'}", "holds pickle"),
        (f"min={mine}", "unknown checkpoint 'min'. Did you mean 'mine'?"),
        ("mine", "expected NAME=FILE"),
    ):
        ended = command("run", grid, "--model", given, "--results", tmp_path / "out", "--address", "serial")
        assert ended.code == 2 and message in ended.err and ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists() and not (tmp_path / ".store").exists()


def test_imagenet_is_a_version_in_the_resolved_grid() -> None:
    text = HEAD + MODELS.replace("small_alexnet", "resnet18") + 'init = "imagenet"\n' + TAIL
    plan = planned(text)
    assert plan.grid.model_dump(mode="json")["models"]["init"] == ["imagenet1k_v1"]
    assert {(model.architecture.name, model.init) for model in plan.models.values()} == {
        ("torchvision.resnet18", "imagenet1k_v1")
    }


def test_a_run_without_the_weights_says_what_to_fetch(
    tmp_path: Path, command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    grid = write(HEAD + MODELS.replace("small_alexnet", "resnet18") + 'init = "imagenet"\n' + TAIL)
    ended = command("run", grid, "--offline", "--data", tmp_path / "data", "--address", "serial",
                    "--results", tmp_path / "out")  # fmt: skip
    assert ended.code == 2 and "resnet18-f37072fd.pth is missing; `dumb-bench fetch GRID" in ended.err
    assert ended.err.rstrip().count("\n") <= 1


def test_same_init_is_told_from_same_architecture_on_other_halves(tmp_path: Path) -> None:
    halves = MODELS + (
        '[surrogates]\nsubset = "half_a"\ninit = "shared_0"\n'
        '[victims]\nsubset = "half_b"\ninit = ["shared_0", "shared_1"]\nseed = 7\n'
    )
    run(HEAD + halves + TAIL, tmp_path)
    tests = dumb_bench.load(tmp_path / "own").tests
    own = tests[~tests["control"]].set_index("victim_init")
    assert own["same_init"].to_dict() == {"shared_0": True, "shared_1": False}
    assert own["case"].tolist() == ["C1", "C1"] and own["train_overlap"].tolist() == [0.0, 0.0]
    assert not own["same_lineage"].any() and not own["white_box"].any()


def test_the_study_of_same_init_asks_what_it_says() -> None:
    path = Path(__file__).parents[2] / "grids" / "same_init.toml"
    plan = planned(path.read_text())
    columns: list[Mapping[str, Any]] = [item.models[0].columns for item in plan.surrogates.values()]
    found = {
        (relate([own], victim.columns).case, relate([own], victim.columns).same_init)
        for own in columns
        for victim in plan.victims.values()
    }
    assert len(plan.models) == 16 and found == {("C1", True), ("C1", False), ("C3", False)}
