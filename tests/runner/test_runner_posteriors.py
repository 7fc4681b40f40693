"""Surrogates from every posterior under every aggregation, in one grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from minigrid import Ended, Quiet, mini_grid

POSTERIORS = {
    "csgld": ("{ name = 'csgld', cycles = 2, samples_per_cycle = 1, cycle_epochs = 1, noise_epochs = 1 }", 2),
    "snapshot": ("{ name = 'snapshot', cycles = 2, samples_per_cycle = 1, cycle_epochs = 1 }", 2),
    "swag": ("{ name = 'swag', samples = 3 }", 3),
    "deep_ensemble": ("{ name = 'deep_ensemble', members = 2 }", 2),
    "mc_dropout": ("{ name = 'mc_dropout', samples = 3 }", 3),
    "laplace": ("{ name = 'laplace', samples = 2 }", 2),
    "vi": ("{ name = 'vi', samples = 2 }", 2),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dumb_bench.catalogue import Catalogue
    from dumb_bench.runner.run import RunOptions, run_grid

    folder = tmp_path_factory.mktemp("posteriors")
    grid = folder / "grid.toml"
    choices = ", ".join(text for text, _ in POSTERIORS.values())
    surrogates = (
        f'[surrogates]\nposterior = ["point", {choices}]\naggregation = ["mean_logits", "mean_probs", "cycle"]\n'
    )
    attack = '[[attacks]]\nname = "mifgsm"\nstrength = 0.1\nparams = { steps = 4 }\n'
    grid.write_text(mini_grid(sources='["optdigits"]', image_source="surrogate", attacks=surrogates + attack))
    options = RunOptions(results=str(folder / "out"), store=str(folder / ".store"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    return folder / "out"


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(results / "tables" / name)


def test_every_posterior_under_every_aggregation_is_attacked(results: Path) -> None:
    tests = table(results, "tests")
    tests = tests[(tests["attack"] == "mifgsm")]
    assert len(tests) == (1 + len(POSTERIORS)) * 3
    names = tests["surrogate_posterior"].str.partition("(")[0]
    for name, (_, count) in POSTERIORS.items():
        assert set(tests.loc[names == name, "surrogate_samples"]) == {count}, name
    assert set(tests.loc[names == "point", "surrogate_samples"]) == {1}
    assert len(table(results, "failures")) == 0


def test_cycle_asks_one_network_a_step(results: Path) -> None:
    attacks = table(results, "attacks").merge(
        table(results, "tests").drop_duplicates("attack_id")[
            ["attack_id", "surrogate_aggregation", "surrogate_samples"]
        ]
    )
    attacks = attacks[attacks["attack"] == "mifgsm"]
    cycle = attacks["surrogate_aggregation"] == "cycle"
    steps, images = 4, 20
    assert (attacks.loc[cycle, "backwards"] == steps * images).all()
    assert (attacks.loc[~cycle, "backwards"] == steps * images * attacks.loc[~cycle, "surrogate_samples"]).all()


def test_a_model_is_trained_once_for_all_aggregations_and_costs_its_epochs(results: Path) -> None:
    models = table(results, "models")
    assert len(models) == 1 + len(POSTERIORS)
    epochs = dict(zip(models["posterior"].str.partition("(")[0], models["epochs"], strict=True))
    assert epochs["point"] == 1 and epochs["csgld"] == epochs["snapshot"] == epochs["deep_ensemble"] == 2


def test_a_chain_that_cannot_be_is_one_clear_line(write: Callable[..., Path], command: Callable[..., Ended]) -> None:
    chain = '[surrogates]\nposterior = { name = "csgld", samples_per_cycle = 9, cycle_epochs = 2 }\n'
    text = mini_grid().replace("[victims]", f"{chain}[victims]")
    ended = command("plan", write(text))
    assert ended.code == 2 and len(ended.err.splitlines()) == 1 and "surrogates.posterior" in ended.err


def test_the_report_reads_what_a_run_wrote(results: Path, tmp_path: Path) -> None:
    from dumb_bench.report.generate import generate

    page = generate(results, tmp_path).read_text(encoding="utf-8")
    assert 'id="posteriors"' in page and "Against the single network of the same recipe: nothing to compare." in page
    costs = pd.read_csv(tmp_path / "tables" / "posterior_costs.csv")
    names = costs["posterior"].str.partition("(")[0]
    assert "deep_ensemble" not in set(names)  # its first member is the victim
    for name, (_, count) in POSTERIORS.items():
        if name == "deep_ensemble":
            continue
        crafting = costs[names == name].set_index("aggregation")["backwards"]
        assert (crafting["cycle"], crafting["mean_logits"]) == (4, 4 * count), name
    assert "point" not in set(names) and costs["epochs"].notna().all()  # the only single network is the victim itself
    assert set(pd.read_csv(tmp_path / "tables" / "posterior_gains.csv")["reason"]) == {"no single network"}
