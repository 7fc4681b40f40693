import dataclasses

import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.predictor import networks
from dumb_bench.plugin_file import PluginFile
from dumb_bench.posteriors.base import WeightSamples
from dumb_bench.spec import ModelSpec, Plugin

SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_resnet"), "50/50", Plugin("small"), seed=0)
DROPOUT = dataclasses.replace(SPEC, posterior=Plugin("mc_dropout"))
IMAGES = torch.rand(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))

OWN = """
from dumb_bench.posteriors.base import WeightSamples, posterior
@posterior("own")
def own(problem): return WeightSamples((), "dropout")
"""


def states(count):
    return tuple(fresh_network(SPEC, Catalogue(), seed).state_dict() for seed in range(count))


def test_samples_become_networks_of_their_own():
    found = networks(dataclasses.replace(SPEC, samples=3), Catalogue(), WeightSamples(states(3)))
    logits = [network(IMAGES) for network in found]
    assert len({id(network) for network in found}) == 3 and not torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], found[0](IMAGES))


def test_dropout_becomes_one_stochastic_network_asked_samples_times():
    found = networks(dataclasses.replace(DROPOUT, samples=3), Catalogue(), WeightSamples(states(1), "dropout"))
    assert len(found) == 3 and found[0] is found[1] is found[2]
    network = found[0]
    assert not network.training and not any(weight.requires_grad for weight in network.parameters())
    assert not torch.equal(network(IMAGES), network(IMAGES))
    for name, value in network.state_dict().items():
        assert torch.equal(value, states(1)[0][name])


@pytest.mark.parametrize(("params", "expected"), [((), False), ((("channels_last", True),), True)])
def test_weights_lie_in_memory_as_they_did_in_training(params, expected):
    spec = dataclasses.replace(SPEC, recipe=Plugin("small", params))
    (found,), (plain,) = (networks(each, Catalogue(), WeightSamples(states(1))) for each in (spec, SPEC))
    weights = [weight for weight in found.parameters() if weight.ndim == 4 and min(weight.shape[1:3]) > 1]
    assert weights and {weight.is_contiguous() for weight in weights} == {not expected}
    assert torch.allclose(found(IMAGES), plain(IMAGES), atol=1e-5)


def test_dropout_has_the_rate_of_the_spec():
    def spread(rate):
        spec = dataclasses.replace(SPEC, posterior=Plugin("mc_dropout", (("rate", rate),) if rate != 0.1 else ()))
        (network,) = networks(spec, Catalogue(), WeightSamples(states(1), "dropout"))
        torch.manual_seed(0)
        return float(torch.stack([network(IMAGES) for _ in range(50)]).std(0).mean())

    found = [spread(rate) for rate in (0.01, 0.1, 0.5)]
    assert found == sorted(found) and found[2] > 2 * found[1] > 4 * found[0] > 0


@pytest.mark.parametrize(
    ("posterior", "kind", "sentence"),
    [
        (
            "point",
            "gaussian",
            "posterior 'point': samples of kind 'gaussian' are means and deviations",
        ),
        ("own", "dropout", "posterior 'own': samples of kind 'dropout' need a parameter 'rate'"),
    ],
)
def test_what_is_no_network_is_refused(posterior, kind, sentence):
    catalogue = Catalogue((PluginFile("own.py", OWN),))
    spec = dataclasses.replace(SPEC, posterior=Plugin(posterior))
    with pytest.raises(InputError, match=sentence):
        networks(spec, catalogue, WeightSamples(states(1), kind))
