import itertools

import pytest
import torch
from chain_problem import RECIPE, Problem, same
from torch import nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.posteriors.base import state_of
from dumb_bench.posteriors.chains import add_noise, langevin_noise_scale, peak_rate, plain_sgd, triangular
from dumb_bench.posteriors.csgld import csgld
from dumb_bench.posteriors.fge import fge
from dumb_bench.posteriors.lgv import lgv
from dumb_bench.posteriors.point import point
from dumb_bench.posteriors.snapshot import snapshot
from dumb_bench.posteriors.swag import swag
from dumb_bench.recipes import Recipe

ADAM = Recipe(optimiser="adam", lr=0.003, batch=4, epochs=12, patience=12)


@pytest.mark.parametrize(
    ("name", "params", "count", "epochs"),
    [
        ("point", {}, 1, 2),
        ("csgld", {}, 15, 15),
        ("csgld", {"cycles": 2, "cycle_epochs": 4, "samples_per_cycle": 2}, 4, 8),
        ("csgld", {"samples_per_cycle": 1}, 5, 10),
        ("snapshot", {}, 5, 10),
        ("snapshot", {"cycles": 2, "cycle_epochs": 3, "samples_per_cycle": 3}, 6, 6),
        ("fge", {}, 5, 11),
        ("fge", {"cycles": 2, "cycle_epochs": 4}, 2, 8),
        ("swag", {}, 15, 4),
        ("swag", {"samples": 2, "epochs": 3}, 2, 5),
        ("lgv", {"samples_per_epoch": 3}, 30, 12),
        ("lgv", {"epochs": 1, "samples_per_epoch": 2}, 2, 3),
    ],
)
def test_count_and_cost_are_known_without_training(name, params, count, epochs):
    entry = Catalogue().get("posteriors", name)
    assert (entry.info.count(params), entry.info.epochs(RECIPE, params)) == (count, epochs)
    problem = Problem()
    samples = entry.call(problem, **params)
    assert (len(samples.states), problem.epochs, samples.kind) == (count, epochs, "samples")
    assert not any(same([one], [two]) for one, two in itertools.combinations(samples.states, 2))


@pytest.mark.parametrize(
    ("call", "short", "long"),
    [
        (csgld, {"cycles": 1, "samples_per_cycle": 2}, {"cycles": 3, "samples_per_cycle": 2}),
        (csgld, {"cycles": 2, "cycle_epochs": 3}, {"cycles": 3, "cycle_epochs": 3}),
        (snapshot, {"cycles": 2}, {"cycles": 4}),
        (fge, {"cycles": 2}, {"cycles": 3}),
        (swag, {"samples": 2}, {"samples": 5}),
        (lgv, {"epochs": 1, "samples_per_epoch": 2}, {"epochs": 3, "samples_per_epoch": 2}),
    ],
)
def test_the_prefix_of_a_chain_is_a_shorter_chain(call, short, long):
    whole, part = call(Problem(), **long), call(Problem(), **short)
    assert len(whole.states) > len(part.states)
    assert same(whole.prefix(len(part.states)).states, part.states)


def test_a_cycle_depends_on_the_weights_before_it_alone():
    problem = Problem()
    first, second = csgld(problem, cycles=2, samples_per_cycle=1).states
    network = problem.build()
    network.load_state_dict(dict(first))
    generator = torch.Generator().manual_seed(problem.seed("langevin", 1))

    def noise(step, lr, network):
        scale = langevin_noise_scale(lr, problem.train_images, momentum=0.9)
        add_noise([weight.grad for weight in network.parameters()], scale, generator)

    rate = [0.1, 0.1 * 0.75, 0.1 / 4]  # cosine over 6 steps: 1, .933, .75, .5, .25, .067
    schedule = [rate[0], 0.1 * (1 + 3**0.5 / 2) / 2, rate[1], 0.05, rate[2], 0.1 * (1 - 3**0.5 / 2) / 2]
    problem.fit(
        network,
        member=1,
        schedule=lambda step: schedule[step],
        optimiser=lambda network: torch.optim.SGD(network.parameters(), momentum=0.9),
        early_stopping=False,
        on_gradients=noise,
    )
    for name, value in state_of(network).items():
        assert torch.allclose(value, second[name], atol=1e-5)


def test_after_the_point_solution():
    start = point(Problem()).states[0]
    for call, params in (
        (fge, {"max_lr": 1e-9, "cycles": 2}),
        (lgv, {"lr": 1e-9, "epochs": 1, "samples_per_epoch": 2}),
    ):
        for state in call(Problem(), **params).states:
            assert all(torch.allclose(state[name], start[name], atol=1e-6) for name in start)


def test_fge_samples_where_the_rate_is_lowest():
    assert [triangular(1, 0.2, 4)(step) for step in range(6)] == pytest.approx([0.6, 0.2, 0.6, 1, 0.6, 0.2])
    rates, seen, problem = [], [], Problem()
    fit = problem.fit

    def watched(network, *, on_step_end=None, on_epoch_end=None, **options):
        def step_end(step, lr, network):
            rates.append(lr)

        def epoch_end(epoch, network):
            seen.append((rates[-1], state_of(network)))
            on_epoch_end(epoch, network)

        if on_epoch_end is None:
            return fit(network, **options)
        return fit(network, on_step_end=step_end, on_epoch_end=epoch_end, **options)

    problem.fit = watched
    samples = fge(problem, cycles=3, cycle_epochs=4, max_lr=0.4, min_lr=0.1)
    assert [rate for rate, _ in seen] == pytest.approx([0.25, 0.1, 0.25, 0.4, 0.25, 0.1, 0.25, 0.4, 0.25, 0.1])
    assert same(samples.states, [state for rate, state in seen if rate == pytest.approx(0.1)])


def test_lgv_samples_at_even_distances_at_a_constant_rate():
    problem, passed = Problem(), []
    network = problem.build()
    problem.fit(network)
    problem.fit(
        network,
        member=1,
        epochs=2,
        schedule=lambda step: 0.05,
        optimiser=plain_sgd(RECIPE, 0.9),
        early_stopping=False,
        on_step_end=lambda step, lr, network: passed.append(state_of(network)),
    )
    for count, places in ((1, [2, 5]), (2, [1, 2, 4, 5]), (3, [0, 1, 2, 3, 4, 5])):
        samples = lgv(Problem(), epochs=2, samples_per_epoch=count)
        assert same(samples.states, [passed[place] for place in places])


def test_messages():
    with pytest.raises(InputError, match="posterior: expected samples_per_cycle of at most cycle_epochs, 2, got 3"):
        Catalogue().get("posteriors", "csgld").info.epochs(RECIPE, {"cycle_epochs": 2})
    with pytest.raises(
        InputError, match="'lgv': expected samples_per_epoch of at most the steps of an epoch, 3, got 4"
    ):
        lgv(Problem())
    with pytest.raises(InputError, match=r"posterior 'fge': parameter 'cycle_epochs': .*multiple of 2, got 3"):
        Catalogue().resolve("posteriors", "fge", {"cycle_epochs": 3})
    for name, params in (("csgld", {"temperature": -1.0}), ("snapshot", {"max_lr": 0.0}), ("swag", {"rank": 0})):
        with pytest.raises(InputError, match=f"posterior {name!r}: parameter {next(iter(params))!r}"):
            Catalogue().resolve("posteriors", name, params)


def test_plain_sgd_whatever_the_recipe_s_optimiser_is():
    assert (peak_rate(RECIPE), peak_rate(ADAM)) == (0.1, pytest.approx(0.03))
    decay = ADAM.model_copy(update={"weight_decay": 0.01})
    optimiser = plain_sgd(decay, 0.5)(nn.Linear(2, 1))
    group = optimiser.param_groups[0]
    assert isinstance(optimiser, torch.optim.SGD) and (group["momentum"], group["weight_decay"]) == (0.5, 0.01)
    network, step = nn.Linear(1, 1, bias=False), plain_sgd(RECIPE, 0.0)
    before, stepper = network.weight.item(), step(network)
    network.weight.grad = torch.ones(1, 1)
    stepper.step()
    assert network.weight.item() == pytest.approx(before - 0.1)
