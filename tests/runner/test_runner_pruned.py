"""A pruned search of strengths, from grid to tables: the choices and the tests of the full one, from fewer sets."""

from __future__ import annotations

import pandas as pd
import pytest
from minigrid import Quiet, mini_grid

import dumb_bench
from dumb_bench.catalogue import Catalogue
from dumb_bench.report.load import Results
from dumb_bench.runner.run import RunOptions, run_grid

KEYS = ["surrogate_id", "victim_id", "attack", "attack_params", "image_source", "delivery"]
ROWS = ["strength", "strength_rule", "n_images", "n_victim_correct", "n_success"]


def attacks(search: str) -> str:
    """An attack that fools all, one in the published form, one that looks at no model; both rules."""
    tune = f'tune = {{ ssim = 0.5, over = "0.04:0.32:0.04", per_class = 10, search = "{search}"'
    return "".join(
        f'[[attacks]]\nname = "{name}"\nparams = {params}\n{tune}, reference = {reference} }}\n'
        for name, params, reference in (
            ("pgd", "{ steps = 5 }", "true"), ("pgd", "{ steps = 4 }", "false"),
            ("rfgsm", "{ steps = 4, reference = true }", "true"), ("gaussian_noise", "{}", "true"),
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    folder = tmp_path_factory.mktemp("pruned")
    found = {}
    for search in ("full", "pruned"):
        grid = folder / f"{search}.toml"
        grid.write_text(mini_grid(attacks=attacks(search), image_source="surrogate"))
        asked = RunOptions(results=str(folder / search), store=str(folder / ".store"), address="serial")
        assert run_grid(grid, Catalogue(), asked, Quiet(), lambda line: None).exit_code == 0
        found[search] = dumb_bench.load(folder / search)
    return found


def chosen(results: Results) -> pd.DataFrame:
    keys = ["surrogate_id", "attack", "attack_params"]
    return results.tunings.set_index(keys).sort_index()[["strength", "success", "feasible"]]


def test_the_same_choices_and_the_same_tests(runs: dict[str, Results]) -> None:
    pd.testing.assert_frame_equal(chosen(runs["full"]), chosen(runs["pruned"]))
    assert chosen(runs["full"])["strength"].nunique() > 2
    full, pruned = (results.tests.set_index(KEYS).sort_index()[ROWS] for results in runs.values())
    pd.testing.assert_frame_equal(full, pruned)


def test_sets_that_cannot_change_the_choice_are_not_made(runs: dict[str, Results]) -> None:
    full, pruned = (results.tunings.groupby("attack")["sets_crafted"].max() for results in runs.values())
    assert (full == 8).all()
    assert (pruned <= full).all() and pruned.sum() < full.sum()
    sets = runs["pruned"].tunings
    quick = sets[sets["attack_params"].str.contains('"steps":5')]
    fooled = quick[quick["success"] == 1]
    assert len(fooled) and (fooled["sets_crafted"] == fooled["bisection_sets"]).all()


def test_the_curve_holds_what_was_measured(runs: dict[str, Results]) -> None:
    for row in runs["pruned"].tunings.itertuples():
        assert row.search == "pruned"
        assert len(row.strengths) == len(row.mean_ssim) == len(row.n_fooled) == row.sets_crafted
        assert list(row.strengths) == sorted(set(row.strengths))
