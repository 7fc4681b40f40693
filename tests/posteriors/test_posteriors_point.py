import pytest
import torch
from torch import nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.posteriors.base import History, WeightSamples, cosine, state_of
from dumb_bench.posteriors.point import point, trained_point


class Problem:
    """A training problem whose fit adds 1 to every weight."""

    def __init__(self):
        self.fitted = 0

    def build(self, member=0):
        network = nn.Linear(2, 1)
        nn.init.constant_(network.weight, member)
        return network

    def fit(self, network, **options):
        self.fitted += 1
        with torch.no_grad():
            network.weight += 1
        return History((), 0)

    def point(self, member=0):
        return trained_point(self, member)


def test_point_is_one_network_trained_once():
    problem = Problem()
    samples = point(problem)
    assert (problem.fitted, samples.kind, len(samples.states)) == (1, "samples", 1)
    assert torch.equal(samples.states[0]["weight"], torch.ones(1, 2))
    assert "point" in Catalogue().names("posteriors") and Catalogue().resolve("posteriors", "point", {}).params == ()


def test_prefix():
    samples = WeightSamples(({"a": torch.tensor(0)}, {"a": torch.tensor(1)}))
    assert samples.prefix(1).states == samples.states[:1] and samples.prefix(2) == samples
    for count in (0, 3):
        with pytest.raises(InputError, match=f"expected 1 to 2 weight samples, got {count}"):
            samples.prefix(count)
    dropout = WeightSamples(samples.states[:1], "dropout")
    assert dropout.prefix(50) is dropout


def test_a_state_shares_no_memory_with_its_network():
    network = nn.Linear(2, 1)
    state = state_of(network)
    kept = state["weight"].clone()
    with torch.no_grad():
        network.weight += 1
    assert torch.equal(state["weight"], kept) and not state["weight"].requires_grad


def test_cosine_goes_from_the_rate_to_nothing():
    rate = cosine(0.2, 10)
    assert [rate(step) for step in (0, 5, 10)] == pytest.approx([0.2, 0.1, 0.0])
