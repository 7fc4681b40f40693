"""The grids that the project ships: each can be planned without its data, and asks for what its comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.grid_file import read_grid
from dumb_bench.runner.plan import Plan, build_plan

GRIDS = Path(__file__).resolve().parent.parent / "grids"

COUNTS = {
    "bayesian_digits": {"models": 234, "trainings": 252},
    "cat_dog_public": {"models": 108, "tests": 122_472, "control_tests": 157_464, "adversarial_sets": 1_638},
    "defences_digits": {"models": 39, "trainings": 27},
    "dumb_2023": {"models": 72, "tests": 24_192, "control_tests": 24_192, "adversarial_sets": 1_710},
    "dumb_fourteen_digits": {"models": 24},
    "dumber_2025": {"models": 360, "trainings": 432, "tests": 233_280, "adversarial_sets": 2_532},
    "gubri_2022_cifar10": {"models": 93, "trainings": 150},
    "quickstart": {"models": 24, "tests": 5_760, "control_tests": 8_064, "adversarial_sets": 300},
    "same_init": {"models": 16},
}


def planned(name: str, root: Path) -> Plan:
    catalogue = Catalogue(data=DataPlace(root))
    grid, _ = read_grid(GRIDS / f"{name}.toml", catalogue)
    assert grid.name == name
    return build_plan(grid, catalogue)


def test_every_grid_is_listed_here() -> None:
    assert COUNTS.keys() == {path.stem for path in GRIDS.glob("*.toml")}


@pytest.mark.parametrize("name", COUNTS)
def test_a_grid_asks_for_what_it_says(name: str, tmp_path: Path) -> None:
    plan = planned(name, tmp_path)
    assert {key: plan.counts[key] for key in COUNTS[name]} == COUNTS[name]
    assert plan.refused == ()


def test_the_dumb_study_has_its_axes_and_every_case(tmp_path: Path) -> None:
    plan = planned("dumb_2023", tmp_path)
    models = list(plan.models.values())
    for axis, values in {"task": 3, "source": 2, "architecture": 3, "balance": 4}.items():
        assert len({getattr(model, axis) for model in models}) == values
    assert {model.init for model in models} == {"imagenet1k_v1"}
    attacks = {item.spec.attack_name for item in plan.sets}
    assert len(attacks - {"identity", "sign_noise", "delta_swap"}) == 14
