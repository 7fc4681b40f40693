"""Samples, draws and members as axes: what is trained once, what is shared, what goes on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from minigrid import Quiet, mini_grid

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.weights import from_bytes
from dumb_bench.runner.run import RunOptions, run_grid
from dumb_bench.runner.stored_parts import WEIGHTS
from dumb_bench.store.store import Store

CHAIN = "{ name = 'csgld', cycles = 5, cycle_epochs = 3, noise_epochs = 1 }"
ENSEMBLE = "{ name = 'deep_ensemble', members = 3 }"
ATTACK = '[[attacks]]\nname = "bim"\nstrength = 0.1\nparams = { steps = 8 }\n'


def grid_of(surrogates: str, epochs: int = 1) -> str:
    text = mini_grid(sources='["optdigits"]', image_source="surrogate", attacks=ATTACK, epochs=epochs)
    return text.replace("[victims]\nseed = [0]", f"{surrogates}[victims]\nseed = [9]")


def run(folder: Path, text: str) -> Counter[str]:
    """Run a grid; return how many units of each kind were done."""
    folder.mkdir(exist_ok=True)
    (folder / "grid.toml").write_text(text)
    options = RunOptions(results=str(folder / "out"), store=str(folder / ".store"), address="serial")
    summary = run_grid(folder / "grid.toml", Catalogue(), options, Quiet(), lambda line: None)
    assert summary.exit_code == 0
    return Counter(summary.done)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "out" / "tables" / name)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    folder = tmp_path_factory.mktemp("chain")
    samples = "samples = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]"
    both = "aggregation = ['mean_logits', 'cycle']"
    return folder, run(folder, grid_of(f"[surrogates]\nposterior = {CHAIN}\n{samples}\n{both}\n"))


def test_one_chain_serves_fifteen_numbers_of_samples(chain: tuple[Path, Counter[str]]) -> None:
    folder, done = chain
    assert (done["train"], done["model"]) == (5 + 1, 15 + 1)  # five cycles and the victim
    models = table(folder, "models")
    own = models[models["posterior"] != "point"].sort_values("samples")
    assert own["samples"].tolist() == list(range(1, 16))
    assert own["epochs"].tolist() == [3 * (-(-count // 3)) for count in range(1, 16)]  # what the samples took, no more
    images = own["train_images"].iloc[0]
    assert (own["gradients"] == own["epochs"] * images).all()
    assert (own["weights_bytes"] == own["samples"] * own["weights_bytes"].iloc[0]).all()
    assert own["weights_sha256"].nunique() == 15


def test_cycle_costs_one_network_a_step_and_mean_logits_all(chain: tuple[Path, Counter[str]]) -> None:
    tests = table(chain[0], "tests").drop_duplicates("attack_id")
    attacks = table(chain[0], "attacks").merge(tests[["attack_id", "surrogate_samples", "surrogate_aggregation"]])
    eight = attacks[(attacks["attack"] == "bim") & (attacks["surrogate_samples"] == 8)]
    cost = eight.set_index("surrogate_aggregation")["backwards"]
    assert cost["mean_logits"] == 8 * cost["cycle"] == 8 * 8 * 20
    memory = eight.set_index("surrogate_aggregation")["memory_bytes"]
    assert memory["cycle"] < memory["mean_logits"]


def test_a_longer_chain_goes_on_from_the_shorter_one(chain: tuple[Path, Counter[str]], tmp_path: Path) -> None:
    short = CHAIN.replace("cycles = 5", "cycles = 2")
    assert run(tmp_path, grid_of(f"[surrogates]\nposterior = {short}\n"))["train"] == 2 + 1
    both = f"[surrogates]\nposterior = [{short}, {CHAIN}]\nsamples = [6]\n"
    assert run(tmp_path, grid_of(both))["train"] == 0  # six samples are two cycles, whatever the chain's length
    assert run(tmp_path, grid_of(f"[surrogates]\nposterior = {CHAIN}\n"))["train"] == 3
    mine, theirs = (table(folder, "models") for folder in (tmp_path, chain[0]))
    whole = [frame[frame["samples"] == 15]["weights_sha256"].item() for frame in (mine, theirs)]
    assert whole[0] == whole[1]


def test_members_are_single_networks_trained_once_for_ensemble_and_point(tmp_path: Path) -> None:
    text = f"[surrogates]\nposterior = ['point', {ENSEMBLE}, {{ name = 'swag', samples = 2, epochs = 1 }}]\n"
    done = run(tmp_path, grid_of(text + "samples = ['all', 1, 2]\ndraw = [0, 1, 2]\n"))
    assert done["train"] == 3 + 1 + 1  # members (the first is point, from which swag starts), swag, the victim
    models = table(tmp_path, "models")
    ensembles = models[models["posterior"].str.startswith("deep_ensemble")]
    # all three; of one: the first and two draws; of two likewise
    assert ensembles["samples"].value_counts().to_dict() == {3: 1, 1: 3, 2: 3}
    assert set(ensembles.loc[ensembles["draw"] == 0, "samples"]) == {1, 2, 3}
    first = ensembles[(ensembles["samples"] == 1) & (ensembles["draw"] == 0)]["weights_sha256"].item()
    assert first == models[(models["posterior"] == "point") & (models["seed"] == 0)]["weights_sha256"].item()
    assert (ensembles["epochs"] == ensembles["samples"]).all()
    swag = models[models["posterior"].str.startswith("swag")]
    assert (swag["epochs"] == 2).all()  # the point solution it starts from counts


def test_shared_samples_are_no_independent_networks(tmp_path: Path) -> None:
    surrogates = f"[surrogates]\nposterior = {CHAIN.replace('5', '2')}\nsamples = [2, 6]\n"
    text = grid_of(surrogates).replace("[victims]\nseed = [9]", f"[victims]\nposterior = {CHAIN}\nsamples = [3]\n")
    run(tmp_path, text)
    tests = table(tmp_path, "tests")
    bim = tests[tests["attack"] == "bim"].set_index("surrogate_samples")
    assert bim["shared_weights"].to_dict() == {2: 1.0, 6: 0.5}
    assert not bim["white_box"].any() and bim["same_lineage"].all()


def test_samples_that_are_not_there_are_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(grid_of(f"[surrogates]\nposterior = {ENSEMBLE}\nsamples = [2, 5]\n"))
    said: list[str] = []
    options = RunOptions(results=str(tmp_path / "out"), store=str(tmp_path / ".store"), address="serial")
    run_grid(tmp_path / "grid.toml", Catalogue(), options, Quiet(), said.append)
    assert [line for line in said if line.startswith("left out")] == [
        "left out: surrogates: 5 samples of deep_ensemble(members=3): it has 3"
    ]


def test_a_role_without_models_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(grid_of("[surrogates]\nsamples = [2, 5]\n"))
    options = RunOptions(results=str(tmp_path / "out"), store=str(tmp_path / ".store"), address="serial")
    with pytest.raises(InputError, match=r"surrogates: none is left for task 'digits' \(surrogates: 2 samples of p"):
        run_grid(tmp_path / "grid.toml", Catalogue(), options, Quiet(), lambda line: None)
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import dumb_bench.models.training as training
from test_runner_samples import run
from dumb_bench.models.fitting import fit as whole
calls = []
def fit(*given, **options):
    calls.append(1)
    if len(calls) == int(sys.argv[2]):  # inside the third cycle, after its first epoch
        options["on_epoch_end"] = lambda epoch, network: os.kill(os.getpid(), signal.SIGKILL)
    return whole(*given, **options)
training.fit = fit
folder = Path(sys.argv[1])
run(folder, (folder / "grid.toml").read_text())
"""


def test_a_chain_killed_in_its_third_cycle_goes_on_there_bit_for_bit(tmp_path: Path) -> None:
    text = grid_of(f"[surrogates]\nposterior = {CHAIN.replace('cycles = 5', 'cycles = 4')}\n").replace(
        "[victims]\nseed = [9]", f"[victims]\nposterior = {CHAIN.replace('cycles = 5', 'cycles = 4')}\nseed = [0]"
    )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    (killed / "grid.toml").write_text(text)
    path = os.pathsep.join(["tests", "tests/runner"])
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(killed), "3"], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert run(killed, text)["train"] == 2 and run(whole, text)["train"] == 4
    names = json.loads((whole / "out" / "plan.json").read_text())["models"].popitem()[1]["parts"]
    states = [
        [from_bytes(Store.open(str(folder / ".store")).get_artifact(name)[0][WEIGHTS]).states for name in names]
        for folder in (killed, whole)
    ]
    assert len(states[0]) == 4 and all(len(part) == 3 for part in states[0])
    for mine, theirs in zip(*states, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one.keys() == other.keys() and all(bool((one[key] == other[key]).all()) for key in one)
    for name in ("tests", "predictions"):
        left, right = (table(folder, name).drop(columns="unit_key", errors="ignore") for folder in (killed, whole))
        pd.testing.assert_frame_equal(left, right)
