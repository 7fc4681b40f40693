import math

import pytest
import torch
from chain_problem import RECIPE, Problem, data, normalised, same
from torch.nn.utils import parameters_to_vector

from dumb_bench.models.fitting import refresh_statistics
from dumb_bench.posteriors.base import state_of
from dumb_bench.posteriors.chains import plain_sgd
from dumb_bench.posteriors.swag import Moments, swag

ITERATES = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 3.0]])
WHOLE = RECIPE.model_copy(update={"batch": 10, "noise": 0.0})


def moments(rank=20, iterates=ITERATES):
    found = Moments(rank)
    for iterate in iterates:
        found.update(iterate)
    return found


def test_moments_are_the_closed_form():
    found = moments()
    assert found.mean.tolist() == pytest.approx([3.0, 1.0])
    assert found.variance.tolist() == pytest.approx([8 / 3, 2.0])
    # deviations from the mean so far: (1,0)-(1,0), (3,0)-(2,0), (5,3)-(3,1)
    assert found.deviations.tolist() == [[0.0, 1.0, 2.0], [0.0, 0.0, 2.0]]
    assert moments(rank=2).deviations.tolist() == [[1.0, 2.0], [0.0, 2.0]]
    assert moments(rank=1).mean.tolist() == found.mean.tolist()


def test_variance_survives_large_weights_and_is_never_negative():
    shifted = moments(iterates=ITERATES + 1000)
    assert shifted.variance.tolist() == pytest.approx([8 / 3, 2.0], rel=1e-6)
    assert moments(iterates=torch.full((7, 2), 0.1)).variance.min() >= 0


@pytest.mark.parametrize(
    ("rank", "covariance"),
    [
        (20, [[8 / 6 + 5 / 4, 1.0], [1.0, 1.0 + 1.0]]),  # D D^T = [[5, 4], [4, 4]], K = 3
        (2, [[8 / 6 + 5 / 2, 2.0], [2.0, 1.0 + 2.0]]),  # the same D D^T, K = 2
    ],
)
def test_draws_have_the_stated_covariance(rank, covariance):
    found, generator = moments(rank), torch.Generator().manual_seed(0)
    drawn = torch.stack([found.draw(generator) for _ in range(20_000)])
    assert drawn.mean(0).tolist() == pytest.approx([3.0, 1.0], abs=0.05)
    assert torch.allclose(drawn.T.cov(), torch.tensor(covariance), rtol=0.05, atol=0.03)


def test_a_single_iterate_is_drawn_again_and_again():
    found = moments(iterates=ITERATES[2:])
    assert found.draw(torch.Generator().manual_seed(0)).tolist() == [5.0, 3.0]


def test_samples_are_draws_around_the_iterates_of_constant_sgd():
    problem = Problem()
    network, found = problem.build(), Moments(2)
    problem.fit(network)
    problem.fit(
        network,
        member=1,
        epochs=3,
        schedule=lambda step: 0.2,
        optimiser=plain_sgd(RECIPE, 0.5),
        early_stopping=False,
        on_epoch_end=lambda epoch, network: found.update(parameters_to_vector(network.parameters())),
    )
    samples = swag(Problem(), samples=2, epochs=3, rank=2, lr=0.2, momentum=0.5)
    generator = torch.Generator().manual_seed(problem.seed("swag"))
    for state in samples.states:
        drawn = torch.cat([state["2.weight"].flatten(), state["2.bias"]])
        assert torch.equal(drawn, found.draw(generator))
    assert same(samples.states, swag(Problem(), samples=2, epochs=3, rank=2, lr=0.2, momentum=0.5).states)


def test_the_statistics_of_each_sample_are_those_of_its_own_weights():
    samples = swag(Problem(WHOLE, normalised), samples=3, epochs=3, lr=1.0)
    inputs = data().images.flatten(1) / 255
    means = []
    for state in samples.states:
        hidden = inputs @ state["1.weight"].T + state["1.bias"]
        assert torch.allclose(state["2.running_mean"], hidden.mean(0), atol=1e-5)
        assert torch.allclose(state["2.running_var"], hidden.var(0), rtol=1e-4)
        means.append(state["2.running_mean"])
    assert not torch.allclose(means[0], means[1], atol=1e-3)


def test_refreshing_changes_running_statistics_only():
    problem = Problem(network=normalised)
    network = problem.build()
    for _ in range(2):  # what was there before does not matter
        before = state_of(network)
        generator = torch.random.get_rng_state()
        problem.refresh_statistics(network)
        after = state_of(network)
        changed = {name for name in after if not torch.equal(before[name], after[name])}
        assert changed in ({"2.running_mean", "2.running_var", "2.num_batches_tracked"}, set())
        assert torch.equal(generator, torch.random.get_rng_state())
        assert not any(module.training for module in network.modules()) and network[2].momentum == 0.1
        assert all(weight.grad is None for weight in network.parameters())
    assert changed == set()


def test_the_statistics_are_the_mean_over_batches():
    recipe = WHOLE.model_copy(update={"batch": 4})
    network = Problem(network=normalised).build()
    refresh_statistics(network, data(), recipe, len)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(len("order")))
    hidden = network[1](data().images.flatten(1) / 255).detach()
    parts = [hidden[part] for part in order.tensor_split(3)]
    assert torch.allclose(network[2].running_mean, torch.stack([part.mean(0) for part in parts]).mean(0), atol=1e-6)
    assert torch.allclose(network[2].running_var, torch.stack([part.var(0) for part in parts]).mean(0), rtol=1e-5)
    assert math.isclose(network[2].num_batches_tracked.item(), 3)
