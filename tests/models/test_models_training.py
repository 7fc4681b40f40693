import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.images import load_split
from dumb_bench.errors import InputError
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.predictor import networks
from dumb_bench.models.training import train_model, training_images
from dumb_bench.models.weights import to_bytes
from dumb_bench.plugin_file import PluginFile
from dumb_bench.posteriors.base import WeightSamples
from dumb_bench.recipes import resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin
from dumb_bench.store.schema import MODELS

BRIEF = resolve_recipe("small", {"epochs": 2})
SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_alexnet"), "20/80", BRIEF, seed=0)

CHILD = """
import hashlib, json, sys, torch
torch.set_num_threads(1)
from dumb_bench.catalogue import Catalogue
from dumb_bench.recipes import resolve_recipe
from dumb_bench.models.training import train_model
from dumb_bench.models.weights import to_bytes
from dumb_bench.spec import ModelSpec, Plugin
recipe = resolve_recipe("small", {"epochs": 2})
found = {}
for name in ("small_resnet", "small_alexnet"):
    trained = train_model(ModelSpec("digits", Plugin("optdigits"), Plugin(name), "20/80", recipe, seed=0), Catalogue())
    found[name] = [hashlib.sha256(to_bytes(trained.samples)).hexdigest(), trained.record["curve_loss"]]
sys.stdout.write(json.dumps(found))
"""


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def changed(**fields):
    return dataclasses.replace(SPEC, **fields)


def test_another_process_trains_the_same_bits_and_global_generators_do_not_matter():
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    expected = json.loads(child.stdout)
    for name in ("small_alexnet", "small_resnet"):
        torch.manual_seed(len(name))
        trained = train_model(changed(architecture=Plugin(name)), Catalogue())
        digest = hashlib.sha256(to_bytes(trained.samples)).hexdigest()
        assert [digest, trained.record["curve_loss"]] == expected[name]


def test_the_record_is_the_schema_s_training_columns():
    samples, record = train_model(SPEC, Catalogue())
    names = MODELS.names
    columns = names[names.index("recipe_params") : names.index("curve_validation_f1") + 1]
    assert set(record) == set(columns) - {"weights_bytes"}
    assert (record["epochs"], record["curve_epoch"]) == (2, [1, 2])
    assert record["selected_epoch"] in (1, 2)
    assert (record["train_images"], record["train_counts"]) == (375, [75, 300])
    assert json.loads(record["recipe_params"])["epochs"] == 2
    assert record["parameters"] == sum(
        value.numel() for name, value in samples.states[0].items() if name.startswith("network")
    )
    ids = sorted(training_images(SPEC, Catalogue()).train.ids)
    assert record["train_ids_sha256"] == hashlib.sha256("\n".join(ids).encode()).hexdigest()
    best = record["curve_validation_f1"][record["selected_epoch"] - 1]
    assert best == max(record["curve_validation_f1"])


def test_seeds_give_other_initial_weights_and_other_training_images():
    weights = [fresh_network(SPEC, Catalogue(), seed).state_dict()["network.0.weight"] for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    one, two = (training_images(changed(seed=seed), Catalogue()).train for seed in (0, 1))
    assert len(one.ids) == len(two.ids) == 375 and set(one.ids) != set(two.ids)


def test_balance_modes_cut_what_they_say():
    def numbers(**fields):
        return [np.bincount(split.labels).tolist() for split in training_images(changed(**fields), Catalogue())]

    assert numbers() == [[75, 300], [12, 50]]
    assert numbers(balance="80/20") == [[300, 75], [50, 12]]
    assert numbers(balance_mode="fixed_total") == [[60, 240], [50, 50]]
    assert numbers(balance="50/50", balance_mode="fixed_total") == [[150, 150], [50, 50]]
    assert numbers(subset="half_a", balance="50/50") == [[150, 150], [50, 50]]


def test_halves_of_a_source_are_the_same_for_all_models_and_share_no_image():
    def ids(**fields):
        return set(training_images(changed(balance="50/50", **fields), Catalogue()).train.ids)

    assert ids(subset="half_a") == ids(subset="half_a", seed=5, architecture=Plugin("small_vgg"))
    assert not ids(subset="half_a") & ids(subset="half_b")
    assert ids(subset="half_a") | ids(subset="half_b") == ids()


def test_noise_changes_training():
    silent = changed(recipe=resolve_recipe("small", {"epochs": 2, "noise": 0.0}))
    assert train_model(silent, Catalogue()).record["curve_loss"] != train_model(SPEC, Catalogue()).record["curve_loss"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"init": "imagenet"}, "architecture 'small_alexnet': unknown init 'imagenet'. Available: random"),
        ({"subset": "half"}, "unknown subset 'half'"),
        ({"balance": "30/60"}, "sum to 100"),
        ({"recipe": Plugin("tiny")}, "unknown recipe 'tiny'"),
        ({"defence": Plugin("nope")}, "unknown defence 'nope'"),
        ({"posterior": Plugin("nope")}, "unknown posterior 'nope'"),
    ],
)
def test_bad_specs_are_refused(fields, sentence):
    with pytest.raises(InputError, match=sentence):
        train_model(changed(**fields), Catalogue())


def test_an_architecture_refuses_images_below_its_least_side():
    text = """
from torch import nn
from dumb_bench.architectures.base import architecture
@architecture("large", min_side=33)
def large(num_classes, image_shape): return nn.Flatten()
"""
    catalogue = Catalogue((PluginFile("large.py", text),))
    with pytest.raises(InputError, match="'large': takes images of at least 33 px, those of task 'digits' have 32"):
        fresh_network(changed(architecture=Plugin("large")), catalogue, 0)


def test_a_model_of_the_small_recipe_learns_and_its_networks_are_ready_to_be_attacked():
    spec = changed(balance="50/50", recipe=Plugin("small"))
    (network,) = networks(spec, Catalogue(), train_model(spec, Catalogue()).samples)
    assert not network.training and not any(weight.requires_grad for weight in network.parameters())
    own, other = (load_split(Catalogue(), "digits", Plugin(name), "test") for name in ("optdigits", "rendered"))
    accuracy = [
        (network(torch.tensor(split.images) / 255).argmax(1) == torch.tensor(split.labels)).float().mean()
        for split in (own, other)
    ]
    assert accuracy[0] > 0.97 and 0.8 < accuracy[1] < accuracy[0]


def test_networks_are_the_first_samples_and_leave_the_global_generator_alone():
    states = tuple(fresh_network(SPEC, Catalogue(), seed).state_dict() for seed in range(3))
    before = torch.random.get_rng_state()
    found = networks(changed(samples=2), Catalogue(), WeightSamples(states))
    assert torch.equal(before, torch.random.get_rng_state())
    for network, state in zip(found, states[:2], strict=True):
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    with pytest.raises(InputError, match="expected 1 to 3 weight samples, got 4"):
        networks(changed(samples=4), Catalogue(), WeightSamples(states))
    with pytest.raises(InputError, match="'point': samples of kind 'gaussian' are means and dev"):
        networks(SPEC, Catalogue(), WeightSamples(states, "gaussian"))
