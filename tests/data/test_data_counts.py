"""What is counted without loading equals what is loaded; a plan without files equals the plan with them."""

from __future__ import annotations

import dataclasses
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tiny_cifar
from minigrid import mini_grid

from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.data.balance import subset_counts, subset_members
from dumb_bench.data.base import SPLITS
from dumb_bench.data.images import attacked_images, check_attacked, class_counts, load_split
from dumb_bench.errors import InputError
from dumb_bench.grid_file import parse_grid
from dumb_bench.models.training import training_counts, training_images
from dumb_bench.plugin_file import PluginFile
from dumb_bench.recipes import resolve_recipe
from dumb_bench.runner.estimate import estimate
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.spec import ImagesSpec, ModelSpec, Plugin

DIGITS = [Plugin("optdigits"), Plugin("rendered")]
SPEC = ModelSpec("digits", DIGITS[0], Plugin("small_vgg"), "50/50", resolve_recipe("small", {}), seed=0)


@pytest.mark.parametrize("source", DIGITS, ids=lambda source: source.name)
def test_the_digits_declare_what_they_hold(source: Plugin) -> None:
    catalogue = Catalogue()
    declared = catalogue.get("sources", source.name).info.counts["digits"]
    assert sorted(declared) == sorted(SPLITS)
    for split in SPLITS:
        found = np.bincount(load_split(catalogue, "digits", source, split).labels)
        assert class_counts(catalogue, "digits", source, split) == tuple(found) == declared[split]


@pytest.mark.parametrize(
    ("subset", "balance", "mode"),
    list(product(["all", "half_a", "half_b"], ["50/50", "20/80", "99/1", "33.3/66.7"], ["paper", "fixed_total"])),
)
def test_training_images_are_counted_without_loading(subset: str, balance: str, mode: str) -> None:
    spec = dataclasses.replace(SPEC, subset=subset, balance=balance, balance_mode=mode)
    try:
        expected = tuple(np.bincount(training_images(spec, Catalogue()).train.labels))
    except InputError as error:
        with pytest.raises(InputError, match=str(error).replace("(", r"\(").replace(")", r"\)")):
            training_counts(spec, Catalogue())
        assert "without an image" in str(error)
    else:
        assert training_counts(spec, Catalogue()) == expected


@pytest.mark.parametrize("subset", ["all", "half_a", "half_b"])
def test_halves_of_odd_numbers_are_counted_as_they_are_drawn(subset: str) -> None:
    available = (7, 4, 1)
    labels = np.repeat(np.arange(3), available)
    drawn = labels[subset_members(labels, subset, seed=1)]
    assert subset_counts(available, subset) == tuple(np.bincount(drawn, minlength=3))


def test_a_subset_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="unknown subset 'half'"):
        training_counts(dataclasses.replace(SPEC, subset="half"), Catalogue())


@pytest.mark.parametrize("per_class", [0, 1, 150, 151])
def test_images_are_checked_as_they_are_selected(per_class: int) -> None:
    spec = ImagesSpec("digits", DIGITS[0], per_class)
    outcomes = []
    for call in (attacked_images, check_attacked):
        try:
            call(Catalogue(), spec)
            outcomes.append("")
        except InputError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert bool(outcomes[0]) == (per_class in (0, 151))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def planned(text: str, root: Path) -> Plan:
    catalogue = Catalogue((PluginFile("tiny.py", text),), data=DataPlace(root))
    grid = tiny_cifar.GRID.format(architecture='{ name = "preresnet", depth = 8 }')
    return build_plan(parse_grid(grid, "grid", catalogue), catalogue)


def test_a_plan_without_the_folder_is_the_plan_with_it(folder: Path, tmp_path: Path) -> None:
    sums = tiny_cifar.write(folder)
    counted = planned(tiny_cifar.plugin(sums, declared=False), folder)
    bare = planned(tiny_cifar.plugin(sums), tmp_path / "none")
    # 2 surrogates, 1 victim; bim at 4/255 and tuned. Controls: identity, noise at 4/255 and tuned, bim's own swapped
    assert bare.counts == {
        "models": 3, "trainings": 3, "surrogates": 2, "victims": 1, "adversarial_sets": 12, "tunings": 2, "tests": 4,
        "control_tests": 10, "step_tests": 0,
    }  # fmt: skip
    assert bare.counts == counted.counts
    sizes = [[(tuning.images.per_class, tuning.images.split) for tuning in plan.tunings.values()]
             for plan in (bare, counted)]  # fmt: skip
    assert sizes == [[(2, "tuning")] * 2] * 2


def test_without_declared_numbers_a_plan_needs_the_folder(folder: Path, tmp_path: Path) -> None:
    sums = tiny_cifar.write(folder)
    with pytest.raises(InputError, match=r"expected its files in .*none/cifar-10-batches-py: data_batch_1 is missing"):
        planned(tiny_cifar.plugin(sums, declared=False), tmp_path / "none")


def test_the_estimate_counts_every_sample_that_a_step_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumb_bench.runner.estimate._seconds_an_image", lambda model, catalogue: (0.5, 10))
    catalogue = Catalogue()
    samples = '[surrogates]\nposterior = { name = "csgld", cycles = 4, samples_per_cycle = 5 }\naggregation = "%s"\n'
    attack = '[[attacks]]\nname = "bim"\nstrength = 0.1\n'
    crafting = {}
    for mode in ("cycle", "mean_logits"):
        text = mini_grid(attacks=attack).replace("[victims]", samples % mode + "[victims]")
        crafting[mode] = estimate(build_plan(parse_grid(text, "grid", catalogue), catalogue), catalogue)
    # 2 surrogates x images of both sources, 20 images each: 10 steps of a pass and its gradient, three times a pass
    assert crafting["cycle"].crafting_seconds == pytest.approx(2 * 2 * 20 * 10 * 3 * 0.5)
    assert crafting["mean_logits"].crafting_seconds == pytest.approx(20 * crafting["cycle"].crafting_seconds)
    assert crafting["cycle"].training_seconds == pytest.approx(2 * 600 * 3 * 0.5 * (4 * 5 + 1))  # cycles of 5, a point
