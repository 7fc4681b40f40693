"""Defences in training: what is trained once, what comes first, what it cost, which weights are kept."""

import dataclasses
import math

import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.defences.base import Ordinary
from dumb_bench.defences.composition import defence_of, parents_of, resolve_defence
from dumb_bench.models.cost import counted
from dumb_bench.models.fitting import Images, fit
from dumb_bench.models.parts import makeup, needs_of, passes_of, single
from dumb_bench.models.training import train_model, train_part
from dumb_bench.models.weights import to_bytes
from dumb_bench.recipes import recipe_of, resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin

CATALOGUE = Catalogue()
SPEC = ModelSpec(
    "digits", Plugin("optdigits"), Plugin("small_alexnet"), "20/80", resolve_recipe("small", {"epochs": 1}), seed=0
)
IMAGES = 375


def model(defence, posterior="point", /, used=1, own=None, **params):
    return dataclasses.replace(
        SPEC, defence=resolve_defence(defence, params, CATALOGUE), samples=used,
        posterior=CATALOGUE.resolve("posteriors", posterior, own or {}),
    )  # fmt: skip


def test_an_input_defence_is_trained_as_the_undefended_model():
    for defence in ("jpeg", "resize_pad+bit_depth"):
        assert model(defence).id != SPEC.id
        assert makeup(model(defence), CATALOGUE) == makeup(SPEC, CATALOGUE)
        assert makeup(model(defence, "csgld", used=2), CATALOGUE) == makeup(model("none", "csgld", used=2), CATALOGUE)
    assert makeup(model("pgd_at+jpeg", eps=0.1), CATALOGUE) == makeup(model("pgd_at", eps=0.1), CATALOGUE)
    assert makeup(model("pgd_at"), CATALOGUE).weights != makeup(SPEC, CATALOGUE).weights


@pytest.mark.parametrize("posterior", ["point", "csgld", "swag", "deep_ensemble"])
def test_parents_are_parts_that_come_first(posterior):
    spec = model("ensemble_at", posterior, used=2 if posterior == "csgld" else 1)
    parents = [single(parent, CATALOGUE) for parent in parents_of(spec, CATALOGUE)]
    held = makeup(spec, CATALOGUE)
    assert list(held.needs[:2]) == parents and len(held.needs) > 2
    assert not {part.id for part in parents} & set(held.weights)
    for part in held.needs[2:]:
        assert needs_of(part, CATALOGUE)[:2] == tuple(parents)
    assert all(needs_of(part, CATALOGUE) == () for part in parents)


def test_passes_are_known_before():
    part = single(model("pgd_at", steps=7), CATALOGUE)
    assert passes_of(part, CATALOGUE) == 8 and passes_of(single(SPEC, CATALOGUE), CATALOGUE) == 1


@pytest.mark.parametrize(
    ("defence", "params", "gradients"),
    [
        ("none", {}, 1), ("jpeg", {}, 1), ("noise_training", {}, 1),
        ("pgd_at", {"steps": 3}, 4), ("fgsm_at", {}, 2), ("trades", {"steps": 3}, 5),
    ],
)  # fmt: skip
def test_gradients_are_counted_as_they_were_taken(defence, params, gradients):
    trained = train_model(model(defence, **params), CATALOGUE)
    assert trained.record["gradients"] == gradients * IMAGES
    assert trained.record["epochs"] == 1


@pytest.mark.parametrize(("defence", "epochs"), [("none", 2), ("fgsm_at", 4), ("fgsm_at+jpeg", 4)])
def test_adversarial_trainings_keep_the_last_epoch_and_never_stop_early(defence, epochs):
    """A gain of .9 in F1 never comes: what may stop early ends after the second epoch."""
    recipe = resolve_recipe("small", {"epochs": 4, "patience": 1, "min_delta": 0.9, "lr": 1e-6})
    record = train_model(dataclasses.replace(model(defence), recipe=recipe), CATALOGUE).record
    assert record["epochs"] == epochs
    if defence != "none":
        assert record["selected_epoch"] == 4


def test_an_ensemble_s_training_trains_its_parents_first_and_counts_them():
    spec = model("ensemble_at", members=1)
    (parent,) = (single(each, CATALOGUE) for each in parents_of(spec, CATALOGUE))
    whole = train_model(spec, CATALOGUE)
    assert whole.record["epochs"] == 2 and whole.record["gradients"] == (1 + 3) * IMAGES
    kept = {}
    train_part(parent, CATALOGUE, kept)
    alone = kept[parent.id]
    train_part(single(spec, CATALOGUE), CATALOGUE, kept)
    assert kept[parent.id] is alone
    assert to_bytes(kept[single(spec, CATALOGUE).id].samples) == to_bytes(whole.samples)
    assert kept[single(spec, CATALOGUE).id].record["gradients"] == 3 * IMAGES
    other = train_model(model("ensemble_at", members=2), CATALOGUE)
    assert to_bytes(other.samples) != to_bytes(whole.samples)


def test_weights_do_not_depend_on_global_generators():
    bits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        bits.append(to_bytes(train_model(model("trades", steps=1), CATALOGUE).samples))
    assert bits[0] == bits[1] != to_bytes(train_model(model("trades", steps=2), CATALOGUE).samples)


def test_a_defence_is_told_how_far_the_training_is():
    told = []

    class Listening(Ordinary):
        def loss(self, model, images, labels, generator, course):
            told.append(course)
            return super().loss(model, images, labels, generator, course)

    images = Images(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), torch.arange(10) % 2)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    recipe = recipe_of(resolve_recipe("small", {"epochs": 3, "batch": 5}))
    parents = (torch.nn.Identity(),)
    fit(network, images, images, recipe, Listening(), lambda purpose: 0, early_stopping=False, parents=parents)
    assert [course.progress for course in told] == [step / 6 for step in range(6)]
    assert all(course.parents == parents for course in told)


def test_passes_without_gradients_are_not_counted():
    network = torch.nn.Linear(2, 2)
    with counted([network]) as passed:
        network(torch.zeros(3, 2))
        with torch.no_grad():
            network(torch.zeros(5, 2))
    network(torch.zeros(7, 2))
    assert passed.images == 3


def test_a_longer_curriculum_costs_less_than_pgd_from_the_start():
    found = train_model(model("curriculum_at", steps=3, ramp=1.0), CATALOGUE).record["gradients"]
    batches = math.ceil(IMAGES / 32)
    stages = [int(step / batches * 4) for step in range(batches)]
    assert stages[0] == 0 and stages[-1] == 3
    assert IMAGES < found < IMAGES * 4
    assert found == pytest.approx(sum(1 + stage for stage in stages) * IMAGES / batches, rel=0.02)


def test_the_spec_s_defence_is_what_is_called():
    assert defence_of(model("trades", beta=2.0).defence, CATALOGUE).beta == 2.0
