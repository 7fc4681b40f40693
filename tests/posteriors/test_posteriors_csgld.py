import math
import warnings

import numpy as np
import pytest
import torch
from chain_problem import RECIPE, Problem, same
from scipy.linalg import solve_discrete_lyapunov

from dumb_bench.posteriors.chains import add_noise, langevin_noise_scale
from dumb_bench.posteriors.csgld import csgld
from dumb_bench.posteriors.snapshot import snapshot

IMAGES, SIZE, SPREAD = 40, 3, 0.5
CHAINS, STEPS = 4000, 400


def regression():
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(IMAGES, SIZE, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 1.5, 0.8])
    targets = inputs @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    return inputs, targets + SPREAD * torch.randn(IMAGES, generator=generator, dtype=torch.float64)


def loss_of(weights, inputs, targets):
    """Mean negative log likelihood of each chain, summed over chains: (chains, size) weights, one chain's gradients."""
    return ((inputs @ weights.T - targets[:, None]) ** 2).mean(0).sum() / (2 * SPREAD**2)


def sampled(lr, temperature, momentum, decay):
    """Run independent chains by PyTorch's SGD with the package's noise; return their last weights."""
    inputs, targets = regression()
    weights = torch.zeros(CHAINS, SIZE, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([weights], lr=lr, momentum=momentum, weight_decay=decay)
    generator = torch.Generator().manual_seed(5)
    scale = langevin_noise_scale(lr, IMAGES, temperature, momentum)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss_of(weights, inputs, targets).backward()
        add_noise([weights.grad], scale, generator)
        optimiser.step()
    return weights.detach().numpy()


def exact(lr, temperature, momentum, decay):
    """Return mean and covariance of the posterior, and the stationary covariance of the discrete chain."""
    inputs, targets = (value.numpy() for value in regression())
    curvature = inputs.T @ inputs / (IMAGES * SPREAD**2) + decay * np.eye(SIZE)
    mean = np.linalg.solve(curvature, inputs.T @ targets / (IMAGES * SPREAD**2))
    posterior = temperature * np.linalg.inv(IMAGES * curvature)
    one = np.eye(SIZE)
    advance = np.block([[one - lr * curvature, -lr * momentum * one], [curvature, momentum * one]])
    entry = np.vstack([-lr * one, one])
    noise = 2 * (1 - momentum) * temperature / (IMAGES * lr) * entry @ entry.T
    return mean, posterior, solve_discrete_lyapunov(advance, noise)[:SIZE, :SIZE]


@pytest.mark.parametrize(
    ("lr", "temperature", "momentum", "decay"),
    [(0.02, 1.0, 0.0, 0.0), (0.02, 0.1, 0.0, 0.5), (0.02, 1.0, 0.9, 0.0), (0.01, 3.0, 0.5, 0.2), (0.1, 1.0, 0.0, 0.0)],
)
def test_sgld_samples_a_conjugate_linear_gaussian_posterior(lr, temperature, momentum, decay):
    weights = sampled(lr, temperature, momentum, decay)
    mean, posterior, stationary = exact(lr, temperature, momentum, decay)
    assert np.abs((weights.mean(0) - mean) / np.sqrt(np.diag(stationary))).max() < 0.1
    assert weights.var(0) == pytest.approx(np.diag(stationary), rel=0.1)
    if lr < 0.1:
        assert weights.var(0) == pytest.approx(np.diag(posterior), rel=0.2), "a small step is close to the posterior"
    else:
        assert (np.diag(stationary) / np.diag(posterior)).max() > 1.5, "a large step is not, and the test sees it"


@pytest.mark.parametrize(
    ("arguments", "scale"),
    [((0.02, 100), 1.0), ((0.02, 100, 0.25), 0.5), ((0.02, 100, 1.0, 0.75), 0.5), ((0.02, 100, 0.0), 0.0)],
)
def test_the_noise_of_a_step_is_the_closed_form(arguments, scale):
    assert langevin_noise_scale(*arguments) == pytest.approx(scale)
    moved = arguments[0] * langevin_noise_scale(0.02, 100)
    assert moved == pytest.approx(math.sqrt(2 * 0.02 / 100)), "what Welling and Teh add to the weights"


def test_sgld_equals_the_library_posteriors_step_by_step():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import posteriors
    inputs, targets = regression()
    lr, steps = 0.02, 20

    def log_posterior(weights, batch):
        return -loss_of(weights[None], *batch), torch.zeros(())

    transform = posteriors.sgmcmc.sgld.build(log_posterior, lr=lr, temperature=1 / IMAGES)
    ours = torch.zeros(SIZE, dtype=torch.float64, requires_grad=True)
    state = transform.init(ours.detach().clone())
    optimiser = torch.optim.SGD([ours], lr=lr)
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        for _ in range(steps):
            state, _ = transform.update(state, (inputs, targets))
            optimiser.zero_grad()
            loss_of(ours[None], inputs, targets).backward()
            add_noise([ours.grad], -langevin_noise_scale(lr, IMAGES), generator)  # SGD subtracts, that library adds
            optimiser.step()
            assert torch.allclose(ours.detach(), state.params, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("off", [{"temperature": 0.0}, {"noise_epochs": 0}])
def test_without_noise_it_is_a_snapshot_ensemble_bit_for_bit(off, momentum):
    shared = {"cycles": 3, "samples_per_cycle": 2, "cycle_epochs": 3, "max_lr": 0.2, "momentum": momentum}
    cold = csgld(Problem(), **shared, **off)
    assert same(cold.states, snapshot(Problem(), **shared).states)
    assert not same(cold.states, csgld(Problem(), **shared).states)


def test_noise_enters_in_the_last_epochs_of_a_cycle_only():
    shared = {"cycles": 1, "samples_per_cycle": 3, "cycle_epochs": 3}
    quiet = snapshot(Problem(), **shared).states
    for noise_epochs in (1, 2, 3, 9):
        noisy = csgld(Problem(), **shared, noise_epochs=noise_epochs).states
        equal = [same([one], [two]) for one, two in zip(noisy, quiet, strict=True)]
        assert equal == [epoch < 3 - noise_epochs for epoch in range(3)]


def test_the_published_noise_is_a_temperature_of_images_over_batches_squared():
    problem = Problem()
    temperature = problem.train_images / problem.steps_per_epoch**2
    assert temperature == pytest.approx(10 / 9)
    published, ours = (
        csgld(Problem(), cycles=1, samples_per_cycle=2, **how).states
        for how in ({"reference": True}, {"temperature": temperature})
    )
    warm = csgld(Problem(), cycles=1, samples_per_cycle=2).states
    for name in published[-1]:
        assert torch.allclose(published[-1][name], ours[-1][name], atol=1e-5)
        assert not torch.allclose(published[-1][name], warm[-1][name], atol=1e-3)


def test_noise_does_not_outlive_its_cycle():
    """At the end of a cycle the velocity is huge in units of the gradient; a new cycle must not start with it."""
    recipe = RECIPE.model_copy(update={"epochs": 30})
    samples = csgld(Problem(recipe), cycles=2, samples_per_cycle=1, temperature=0.01)
    first, second = (state["2.weight"] for state in samples.states)
    assert (second - first).norm() < 1
