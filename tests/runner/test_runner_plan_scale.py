"""What `plan` works out once, however many sets and victims there are: counted, not timed."""

import json
from pathlib import Path

import pytest
from minigrid import mini_grid
from plan_scale import grid

from dumb_bench.catalogue import Catalogue
from dumb_bench.grid_file import parse_grid, read_grid
from dumb_bench.runner import describe, estimate
from dumb_bench.runner.plan import build_plan

SECONDS = {"small_alexnet": 0.001, "small_resnet": 0.003}


@pytest.fixture
def timed(monkeypatch):
    """Give every architecture a known time, and count what is asked about defences."""
    asked = []

    def about(defence, catalogue):
        asked.append(defence)
        return told(defence, catalogue)

    told = estimate.about
    monkeypatch.setattr(estimate, "about", about)
    monkeypatch.setattr(estimate, "_seconds_an_image", lambda model, catalogue: (SECONDS[model.architecture.name], 10))
    return asked


def planned(text):
    catalogue = Catalogue()
    return build_plan(parse_grid(text, "grid", catalogue), catalogue), catalogue


def test_the_cost_of_each_set_is_that_of_its_own_surrogate_and_of_all_its_victims(timed):
    attacks = '[[attacks]]\nname = "pgd"\nstrength = [0.1, 0.2]\nparams = { steps = 5 }\n'
    text = mini_grid(sources='["optdigits"]', architectures='["small_alexnet", "small_resnet"]', attacks=attacks)
    plan, catalogue = planned(text)
    found = estimate.estimate(plan, catalogue)
    images, both = 2 * 10, 0.001 + 0.003
    assert found.crafting_seconds == pytest.approx(images * 2 * 5 * estimate.BACKWARD * both)
    identity, noise, attack_and_swap = 1, 2, 2 * 2 * 2
    assert found.scoring_seconds == pytest.approx(images * (identity + noise + attack_and_swap) * both)


@pytest.mark.parametrize("strengths", [1, 4])
def test_a_model_is_looked_up_once_however_many_sets_it_meets(timed, strengths):
    text = grid(seeds=1, attacks=3, strengths=strengths).replace(', "small_vgg"', "")
    plan, catalogue = planned(text)
    estimate.estimate(plan, catalogue)
    assert len(plan.sets) > 3 * len(plan.models)
    assert len(timed) == len(plan.models) == 8


def test_with_nothing_stored_what_is_left_is_worked_out_once(monkeypatch, tmp_path, write, command):
    calls = []
    worked_out = describe.outstanding
    monkeypatch.setattr(describe, "outstanding", lambda *given: calls.append(given) or worked_out(*given))
    ended = command("plan", write(mini_grid()), "--results", tmp_path / "none", "--json")
    told = json.loads(ended.out)
    assert len(calls) == 1 and told["done"] == told["tests_done"] == 0 and told["units"] > 0


def test_the_grid_of_the_benchmark_asks_for_a_million_tests():
    catalogue = Catalogue()
    asked = parse_grid(grid(seeds=5, attacks=14, strengths=20), "grid", catalogue)
    models = len(asked.models.source) * len(asked.models.architecture) * len(asked.models.balance) * 5
    assert models**2 * sum(len(entry.strength) for entry in asked.attacks) == 1_008_000


def test_an_architecture_is_timed_once_for_tasks_whose_images_and_classes_are_alike(monkeypatch):
    timed = []

    def seconds(model, catalogue):
        timed.append(model.architecture.label)
        return 0.001, 10

    monkeypatch.setattr(estimate, "_seconds_an_image", seconds)
    catalogue = Catalogue()
    grid, _ = read_grid(Path(__file__).resolve().parents[2] / "grids" / "dumb_2023.toml", catalogue)
    plan = build_plan(grid, catalogue)
    assert len({model.task for model in plan.models.values()}) == 3
    estimate.estimate(plan, catalogue)
    assert sorted(timed) == sorted({model.architecture.label for model in plan.models.values()})
