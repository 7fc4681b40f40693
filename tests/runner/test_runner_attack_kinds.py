"""Attacks of every kind in one grid: native, combined, on features, another library's, on modified surrogates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from minigrid import Ended, mini_grid

from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.runner.attack_unit import seed_key_of
from dumb_bench.spec import AttackSpec, ImagesSpec, Plugin

ATTACKS = """
[surrogates]
modifier = ["none", "sgm", { name = "linbp", position = 0.9 }]
[[attacks]]
name = "mifgsm"
strength = 0.1
params = { steps = 2, inputs = ["di", "ti"] }
[[attacks]]
name = "ila"
strength = 0.1
params = { steps = 2, first_steps = 2 }
[[attacks]]
name = "torchattacks.BIM"
strength = 0.1
params = { steps = 2 }
[[attacks]]
name = "foolbox.LinfFastGradientAttack"
strength = 0.1
[[attacks]]
name = "art.FastGradientMethod"
strength = 0.1
[[attacks]]
name = "fgsm"
strength = 0.1
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dumb_bench.catalogue import Catalogue
    from dumb_bench.runner.run import RunOptions, run_grid
    from minigrid import Quiet  # isort: skip

    folder = tmp_path_factory.mktemp("kinds")
    grid = folder / "grid.toml"
    text = mini_grid(
        sources='["optdigits"]', architectures='["small_alexnet", "small_resnet"]', image_source="surrogate",
        attacks=ATTACKS,
    )  # fmt: skip
    grid.write_text(text)
    options = RunOptions(results=str(folder / "out"), store=str(folder / ".store"), address="serial")
    said: list[str] = []
    assert run_grid(grid, Catalogue(), options, Quiet(), said.append).exit_code == 0
    (folder / "said.txt").write_text("\n".join(said))
    return folder


def scored(folder: Path) -> pd.DataFrame:
    found = pd.read_parquet(folder / "out" / "tables" / "tests")
    return found[~found["control"]]


def test_every_attack_has_the_same_rows_and_columns(results: Path) -> None:
    found = scored(results)
    counts = found.groupby("attack").size()
    # 5 surrogates (sgm is refused on small_alexnet), 2 victims
    assert set(counts) == {10} and len(counts) == 6
    libraries = found.drop_duplicates("attack").set_index("attack")["attack_library"]
    assert libraries["torchattacks.BIM"] == "torchattacks" and libraries["fgsm"] == "dumb_bench"
    assert libraries["foolbox.LinfFastGradientAttack"] == "foolbox"
    filled = [set(group.columns[group.notna().all()]) for _, group in found.groupby("attack")]
    assert all(columns == filled[0] for columns in filled)


def test_fgsm_is_fgsm_whoever_computes_it(results: Path) -> None:
    attacks = pd.read_parquet(results / "out" / "tables" / "attacks")
    for _, group in attacks[
        attacks["attack"].str.contains("fgsm|FastGradient") & (attacks["attack"] != "mifgsm")
    ].groupby("surrogate_id"):
        assert set(group["attack"]) == {"fgsm", "foolbox.LinfFastGradientAttack", "art.FastGradientMethod"}
        answers = {tuple(row) for row in group["surrogate_predictions"]}
        assert len(answers) == 1


def test_modified_surrogates_are_surrogates_of_their_own_with_the_same_weights(results: Path) -> None:
    found = scored(results)
    found = found[found["surrogate_architecture"] == "small_resnet"]
    assert set(found["surrogate_modifier"]) == {"none", "sgm", "linbp(position=0.9)"}
    assert found["surrogate_id"].nunique() == 3
    same = found.groupby("surrogate_modifier")[["white_box", "shared_weights"]].sum()
    assert (same.nunique() == 1).all()  # a modified surrogate still is the victim's network
    attacks = pd.read_parquet(results / "out" / "tables" / "attacks")
    mine = attacks[(attacks["attack"] == "mifgsm") & attacks["surrogate_id"].isin(found["surrogate_id"])]
    assert mine["set_sha256"].nunique() == 3  # and is attacked in another way
    assert mine["n_surrogate_correct"].nunique() == 1  # its own answer is that of the plain network


def test_what_an_architecture_does_not_allow_is_told(results: Path) -> None:
    line = "left out: modifier sgm, surrogate small_alexnet: modifier 'sgm': the network has no residual blocks"
    assert (results / "said.txt").read_text().splitlines().count(line) == 1


BAD = [
    ('name = "torchattacks.PDG"', "attacks[0].name: unknown torchattacks attack 'PDG'", "Did you mean"),
    ('name = "torchattacks.LGV"', "torchattacks.LGV", "training"),
    ('name = "torchattacks.PGD"\nparams = { stepz = 3 }', "unknown parameter 'stepz'", "Did you mean 'steps'?"),
    ('name = "torchattacks.FAB"\nparams = { norm = "L1" }', "torchattacks.FAB", "norm"),
    ('name = "torchattack.PGD"', "unknown attack 'torchattack.PGD'", "Available"),
    ('name = "mifgsm"\nparams = { inputs = ["dii"] }', "inputs", "dii"),
    ('name = "pgd"\nstrength = 8', "expected 0 <= eps <= 1", '"8/255"'),
]  # fmt: skip


@pytest.mark.parametrize("text, where, hint", BAD)
def test_a_bad_attack_is_one_clear_line(
    text: str, where: str, hint: str, write: Callable[..., Path], command: Callable[..., Ended]
) -> None:
    ended = command("plan", write(mini_grid(attacks=f"[[attacks]]\n{text}")))
    assert ended.code == 2 and len(ended.err.splitlines()) == 1
    assert where in ended.err and hint in ended.err


def test_the_plan_says_what_is_left_out_and_why(write: Callable[..., Path], command: Callable[..., Ended]) -> None:
    text = mini_grid(attacks='[[attacks]]\nname = "torchattacks.APGDT"\n[[attacks]]\nname = "fgsm"\nstrength = 0.1')
    found = json.loads(command("plan", write(text), "--json").out)
    assert found["refused"] == [
        {"what": "attack torchattacks.APGDT, task digits", "reason": "needs 4 classes, the task has 2"}
    ]


def test_a_parameter_that_an_attack_gains_changes_no_seed() -> None:
    """The literal is of the version that made the stored example, whose tifgsm knew no `relative_step`."""
    catalogue = Catalogue()
    attack = AttackSpec(catalogue.resolve("attacks", "tifgsm", {}))
    settings = all_params(catalogue.get("attacks", "tifgsm"), {})
    assert settings["relative_step"] is None
    key = seed_key_of(None, attack, ImagesSpec("digits", Plugin("optdigits"), 60), settings)
    assert key[3] == (
        '{"decay":0.0,"diversity_prob":0.5,"inputs":[],"kernel":0,"kernel_name":"gaussian","loss":"cross_entropy",'
        '"norm":"linf","random_start":false,"reference":false,"resize_rate":0.9,"steps":10}'
    )
