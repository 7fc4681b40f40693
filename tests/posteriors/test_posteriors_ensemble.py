import dataclasses

import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.training import train_model
from dumb_bench.models.weights import to_bytes
from dumb_bench.posteriors.base import History
from dumb_bench.posteriors.deep_ensemble import deep_ensemble
from dumb_bench.posteriors.point import trained_point
from dumb_bench.recipes import RECIPES, resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
SPEC = ModelSpec(
    "digits", Plugin("optdigits"), Plugin("small_alexnet"), "20/80", resolve_recipe("small", {"epochs": 1}), seed=0
)


def trained(name, **params):
    posterior = CATALOGUE.resolve("posteriors", name, params)
    return train_model(dataclasses.replace(SPEC, posterior=posterior), CATALOGUE)


def test_members_are_points_of_their_own_number():
    calls = []

    class Problem:
        def point(self, member=0):
            calls.append(member)
            return {"weight": torch.full((1,), float(member))}

    samples = deep_ensemble(Problem(), members=3)
    assert (samples.kind, [float(state["weight"]) for state in samples.states]) == ("samples", [0.0, 1.0, 2.0])
    assert calls == [0, 1, 2]


def test_a_point_is_built_and_trained_with_its_member_s_number():
    calls = []

    class Problem:
        def build(self, member=0):
            calls.append(("build", member))
            return torch.nn.Linear(1, 1)

        def fit(self, network, **options):
            calls.append(("fit", options))
            return History((), 0)

    trained_point(Problem(), 2)
    assert calls == [("build", 2), ("fit", {"member": 2})]


def test_the_first_member_is_point_and_a_shorter_ensemble_a_prefix_bit_for_bit():
    ensemble = trained("deep_ensemble", members=3)
    assert to_bytes(ensemble.samples.prefix(1)) == to_bytes(trained("point").samples)
    assert to_bytes(ensemble.samples.prefix(2)) == to_bytes(trained("deep_ensemble", members=2).samples)
    first, second, third = (state["network.0.weight"] for state in ensemble.samples.states)
    assert not torch.equal(first, second) and not torch.equal(second, third)
    assert ensemble.record["epochs"] == 3 and ensemble.record["selected_epoch"] is None


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("architecture", ["small_alexnet", "small_resnet", "small_vgg"])
def test_identical_members_give_one_network_s_logits_and_gradient_bit_for_bit(architecture, count):
    spec = dataclasses.replace(SPEC, architecture=Plugin(architecture))
    images = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(16) % 2
    found = []
    for number in (1, count):
        networks = [fresh_network(spec, CATALOGUE, seed=3) for _ in range(number)]
        given = images.clone().requires_grad_()
        logits = LockedSurrogate(networks, 2)(given)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        found.append((logits, given.grad))
    (logits, gradient), (mean, summed) = found
    assert torch.equal(logits, mean) and torch.equal(gradient, summed) and gradient.abs().max() > 0


def test_members_that_differ_are_averaged():
    networks = [fresh_network(SPEC, CATALOGUE, seed).eval() for seed in range(3)]
    images = torch.rand(4, 1, 32, 32)
    expected = torch.stack([network(images) for network in networks]).double().mean(0)
    torch.testing.assert_close(LockedSurrogate(networks, 2)(images).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "params", "count", "epochs"),
    [
        ("deep_ensemble", {}, 5, 60),
        ("deep_ensemble", {"members": 3}, 3, 36),
        ("mc_dropout", {}, 10, 12),
        ("laplace", {"samples": 4}, 4, 12),
        ("vi", {"samples": 2}, 2, 12),
    ],
)
def test_what_a_planner_is_told(name, params, count, epochs):
    info = CATALOGUE.get("posteriors", name).info
    assert (info.count(params), info.epochs(RECIPES["small"], params)) == (count, epochs)
