import copy
import dataclasses
import math

import pytest
import torch
from torch import nn

from dumb_bench.attacks.craft import craft
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.predictor import networks
from dumb_bench.models.training import train_model
from dumb_bench.models.weights import to_bytes
from dumb_bench.posteriors.mc_dropout import insert_dropout
from dumb_bench.recipes import resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
SPEC = ModelSpec(
    "digits", Plugin("optdigits"), Plugin("small_vgg"), "20/80", resolve_recipe("small", {"epochs": 1}), seed=0
)
DRAWS = 100_000


def with_posterior(name="mc_dropout", spec=SPEC, **params):
    return dataclasses.replace(spec, posterior=CATALOGUE.resolve("posteriors", name, params))


def before_second_layer():
    """The identity, without dropout, then the layer whose inputs are dropped."""
    network = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 2))
    network[0].weight.data = torch.eye(6)
    return network


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Dropout(0.9), nn.Linear(6, 2)), before_second_layer])
def test_mean_and_variance_of_a_linear_layer_are_the_analytic_ones(make, rate):
    torch.manual_seed(1)
    network = insert_dropout(make(), rate, always=True).eval()
    x = torch.linspace(0.2, 1, 6)
    with torch.no_grad():
        drawn = network(x.expand(DRAWS, -1)).double()
    weight, bias = network[1].weight.detach().double(), network[1].bias.detach().double()
    mean = weight @ x.double() + bias
    terms = weight * x.double()
    variance = terms.square().sum(1) * rate / (1 - rate)
    assert ((drawn.mean(0) - mean).abs() < 4 * (variance / DRAWS).sqrt()).all()
    fourth = terms.pow(4).sum(1) * rate * (1 - 6 * rate * (1 - rate)) / (1 - rate) ** 3  # excess, of sums of Bernoullis
    error = ((2 * variance**2 + fourth) / DRAWS).sqrt()
    assert ((drawn.var(0) - variance).abs() < 4 * error).all() and (4 * error / variance < 0.03).all()


class Split(nn.Module):
    """Convolutions registered out of order with what is used: the first registered is the stem."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        return self.head(nn.functional.relu(self.norm(self.stem(images))).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "dropped"),
    [
        (Split(), ["head"]),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(32, 2)), ["2", "4"]),
        (nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 3), nn.Linear(3, 2)), ["1"]),
        (nn.Sequential(nn.Conv2d(1, 3, 1), nn.Dropout2d(0.5), nn.Conv2d(3, 3, 1)), ["1"]),
    ],
)
def test_dropout_is_where_the_network_has_it_or_else_before_all_weight_layers_but_the_first(network, dropped):
    names = list(network.state_dict())
    insert_dropout(network, 0.25, always=True)
    hooked = [name for name, layer in network.named_modules() if layer._forward_pre_hooks]
    own = [name for name, layer in network.named_modules() if getattr(layer, "rate", None) == 0.25]
    assert hooked + own == dropped and list(network.state_dict()) == names
    assert not any(isinstance(layer, nn.Dropout | nn.Dropout2d) for layer in network.modules())


def test_channel_dropout_still_drops_whole_channels():
    network = insert_dropout(nn.Sequential(nn.Dropout2d(0.1)), 0.5, always=True)
    seen = network(torch.ones(50, 8, 3, 3)).flatten(2)
    assert set(seen.unique().tolist()) == {0.0, 2.0} and (seen == seen[..., :1]).all()


def test_a_network_without_a_place_for_it_is_refused():
    with pytest.raises(InputError, match="'mc_dropout': the network has neither a dropout layer nor a second"):
        insert_dropout(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), 0.1)


@pytest.mark.parametrize("architecture", ["small_alexnet", "small_resnet", "small_vgg"])
def test_a_locked_network_draws_at_every_pass_whoever_calls_eval_and_a_training_one_only_in_train_mode(architecture):
    spec = dataclasses.replace(SPEC, architecture=Plugin(architecture))
    images = torch.rand(4, 1, 32, 32)
    plain = fresh_network(spec, CATALOGUE, 0).eval()
    trains = insert_dropout(fresh_network(spec, CATALOGUE, 0), 0.1).eval()
    assert torch.equal(trains(images), plain(images))
    trains.train()
    assert not torch.equal(trains(images), trains(images))

    always = LockedSurrogate([insert_dropout(fresh_network(spec, CATALOGUE, 0), 0.1, always=True)], 2)
    for module in always.modules():
        module.eval()
    assert not torch.equal(always(images), always(images))
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        drawn.append(always(images))
    assert torch.equal(*drawn)


def test_a_copy_with_other_weights_shares_nothing():
    network = insert_dropout(before_second_layer(), 0.5, always=True)
    other = copy.deepcopy(network)
    with torch.no_grad():
        other[1].weight.zero_()
        other[1].bias.fill_(3.0)
    assert (other(torch.ones(5, 6)) == 3).all() and not (network(torch.ones(5, 6)) == 3).any()


def test_trained_with_the_rate_as_one_state_whose_names_are_those_of_the_network():
    low, high = (train_model(with_posterior(rate=rate), CATALOGUE).samples for rate in (0.1, 0.4))
    assert (low.kind, len(low.states)) == ("dropout", 1)
    assert list(low.states[0]) == list(fresh_network(SPEC, CATALOGUE, 0).state_dict())
    assert to_bytes(low) == to_bytes(train_model(with_posterior(rate=0.1), CATALOGUE).samples) != to_bytes(high)
    assert to_bytes(low) == to_bytes(train_model(with_posterior(rate=0.1, samples=3), CATALOGUE).samples)
    assert to_bytes(low) != to_bytes(train_model(with_posterior("point"), CATALOGUE).samples)


def test_crafting_draws_from_the_seed_that_craft_sets():
    spec = dataclasses.replace(with_posterior(rate=0.3), samples=2)
    samples = train_model(spec, CATALOGUE).samples
    images, labels = torch.rand(6, 1, 32, 32), torch.arange(6) % 2
    attack = CATALOGUE.get("attacks", "torchattacks.PGD")

    def crafted(key):
        surrogate = LockedSurrogate(networks(spec, CATALOGUE, samples), 2)
        (found,) = craft(attack, surrogate, images, labels, [0.1], params={"steps": 2}, chunk=6, seed_key=(key,))
        first, second = surrogate(images), surrogate(images)
        assert not torch.equal(first, second)  # torchattacks called .eval()
        return found.images

    one, again, other = crafted("a"), crafted("a"), crafted("b")
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert math.isclose(float((one - images).abs().max()), 0.1, abs_tol=1e-6)
