import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.fitting import Images, fit
from dumb_bench.models.predictor import networks
from dumb_bench.models.training import train_model
from dumb_bench.models.weights import from_bytes, to_bytes
from dumb_bench.posteriors.base import cosine
from dumb_bench.posteriors.vi import GaussianNetwork, MeanField, vi
from dumb_bench.recipes import Recipe, resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin

CATALOGUE = Catalogue()
SPEC = ModelSpec(
    "digits", Plugin("optdigits"), Plugin("small_resnet"), "20/80", resolve_recipe("small", {"epochs": 1}), seed=0
)
SIGMA = 2.0


DRAWS = 8


class GaussianLoss:
    """The defence whose loss is that of linear regression with noise SIGMA; labels are the numbers to be predicted.

    The mean over several draws of the weights, for a gradient with less noise.
    """

    def loss(self, model, images, labels, generator, course):
        drawn = torch.stack([model(images)[:, 0] for _ in range(DRAWS)])
        return ((drawn - labels) ** 2).mean() / (2 * SIGMA**2)


class Regression:
    """Linear regression on three pixels, 64 images, through the harness's own training loop."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (64, 1, 1, 3), generator=generator, dtype=torch.uint8)
        numbers = pixels.flatten(1).double() @ torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64) / 255
        noise = SIGMA * torch.randn(64, generator=generator, dtype=torch.float64)
        self.train = Images(pixels, (numbers + noise).round().long())
        self.recipe = Recipe(
            optimiser="sgd", lr=3.0, momentum=0.0, batch=32, epochs=1200, patience=1, weight_decay=0.01
        )
        self.train_images = 64

    def seed(self, purpose, member=0):
        return sum(map(ord, purpose))

    def build(self, member=0):
        return nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False))

    def fit(self, network, *, early_stopping, on_gradients):
        assert not early_stopping
        held_out = Images(self.train.images[:2], torch.zeros(2, dtype=torch.long))
        return fit(
            network,
            self.train,
            held_out,
            self.recipe,
            GaussianLoss(),
            self.seed,
            schedule=cosine(self.recipe.lr, 2 * self.recipe.epochs),
            early_stopping=False,
            on_gradients=on_gradients,
        )


def test_conjugate_linear_regression_gives_the_exact_mean_and_the_mean_field_variances():
    problem, tau = Regression(), 0.5
    torch.manual_seed(0)
    x, y = problem.train.images.flatten(1).double() / 255, problem.train.labels.double()
    precision = x.T @ x / SIGMA**2 + tau * torch.eye(3, dtype=torch.float64)
    exact = torch.linalg.solve(precision, x.T @ y / SIGMA**2)
    variances = 1 / precision.diagonal()
    count = 8000
    samples = vi(problem, prior_precision=tau, initial_sd=0.3, samples=count, fresh=False)
    drawn = torch.cat([state["1.weight"] for state in samples.states]).double()
    sd = torch.linalg.inv(precision).diagonal().sqrt()
    assert ((drawn.mean(0) - exact).abs() < 0.1 * sd).all()
    assert ((drawn.var(0) / variances - 1).abs() < 0.1).all()
    assert (torch.corrcoef(drawn.T) - torch.eye(3)).abs().max() < 4 / math.sqrt(count)
    assert (variances / sd**2 < 0.8).all()  # the mean-field variances are not the marginal ones


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_the_gradient_of_kl_is_that_of_its_closed_form_and_the_weight_decay_is_taken_out(weight_decay):
    torch.manual_seed(0)
    model = MeanField(nn.Linear(3, 2), 0.1)
    for rho in model.rho:
        nn.init.normal_(rho, -1)
    precision, scale = 2.5, 0.2
    prior = Normal(0.0, precision**-0.5)
    pairs = list(zip(model.network.parameters(), model.rho, strict=True))
    kl = sum(kl_divergence(Normal(mu, nn.functional.softplus(rho)), prior).sum() for mu, rho in pairs)
    flat = [tensor for pair in pairs for tensor in pair]
    expected = [tensor - scale * step for tensor, step in zip(flat, torch.autograd.grad(kl, flat), strict=True)]
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=weight_decay)
    (model(torch.rand(4, 3)).sum() * 0).backward()
    model.add_kl(precision, scale, weight_decay)
    optimiser.step()
    for tensor, after in zip(flat, expected, strict=True):
        torch.testing.assert_close(tensor.detach(), after.detach())


def test_weights_are_drawn_in_train_mode_with_the_sd_asked_for_and_are_mu_in_eval_mode():
    model = MeanField(nn.Linear(1, 5000, bias=False), 0.25)
    nn.init.constant_(model.network.weight, 1.0)
    one = torch.ones(1, 1)
    drawn = model(one).detach()
    assert drawn.mean() == pytest.approx(1.0, abs=4 * 0.25 / 5000**0.5)
    assert drawn.std() == pytest.approx(0.25, abs=4 * 0.25 / 10_000**0.5)
    assert not torch.equal(drawn, model(one)) and (model.eval()(one) == 1).all()


def test_on_digits_draws_differ_in_weights_alone_and_fewer_are_a_prefix():
    def trained(**params):
        posterior = CATALOGUE.resolve("posteriors", "vi", {"fresh": False, **params})
        return train_model(dataclasses.replace(SPEC, posterior=posterior), CATALOGUE)

    found = trained(samples=3)
    assert (found.samples.kind, len(found.samples.states), found.record["epochs"]) == ("samples", 3, 1)
    assert to_bytes(found.samples.prefix(2)) == to_bytes(trained(samples=2).samples)
    first, second = found.samples.states[:2]
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert same == {name for name in first if name.rpartition(".")[2] in ("mean", "std")} | {
        name for name in first if "running" in name or "tracked" in name
    }
    spread = [float((first[name] - second[name]).std()) / math.sqrt(2) for name in first if name.endswith("0.weight")]
    assert np.allclose(spread, 0.02, rtol=0.5)


def test_fresh_draws_differ_from_pass_to_pass_with_the_means_and_deviations_trained():
    posterior = CATALOGUE.resolve("posteriors", "vi", {"samples": 3})
    spec = dataclasses.replace(SPEC, posterior=posterior, samples=3)
    samples = from_bytes(to_bytes(train_model(spec, CATALOGUE).samples))
    assert (samples.kind, len(samples.states)) == ("gaussian", 2)
    found = networks(spec, CATALOGUE, samples)
    assert len(found) == 3 and found[0] is found[1] is found[2]
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    one = found[0].eval()(images)
    assert not torch.equal(one, found[0](images))
    torch.manual_seed(1)
    assert torch.equal(one, found[0](images))


def test_a_gaussian_network_has_the_moments_of_its_weights():
    linear = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, -1.0]]))
    network = GaussianNetwork(linear, {"weight": torch.tensor([[0.5, 0.0]])}).eval()
    torch.manual_seed(0)
    drawn = torch.stack([network(torch.eye(2))[:, 0] for _ in range(4000)]).detach()
    assert drawn.mean(0).tolist() == pytest.approx([3.0, -1.0], abs=4 * 0.5 / 4000**0.5)
    assert drawn.std(0).tolist() == pytest.approx([0.5, 0.0], abs=4 * 0.5 / 8000**0.5)
