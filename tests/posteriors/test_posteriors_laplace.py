import dataclasses
import importlib
import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.training import train_model
from dumb_bench.models.weights import to_bytes
from dumb_bench.posteriors.base import state_of
from dumb_bench.posteriors.laplace import diagonal_fisher, full_fisher, laplace, last_layer
from dumb_bench.recipes import resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin

CATALOGUE = Catalogue()
SPEC = ModelSpec(
    "digits", Plugin("optdigits"), Plugin("small_resnet"), "20/80", resolve_recipe("small", {"epochs": 1}), seed=0
)


class Problem:
    """A training problem whose network is trained already."""

    def __init__(self, network, images, labels):
        self.network, self.images, self.labels = network, images, labels

    def seed(self, purpose, member=0):
        return 5

    def build(self, member=0):
        return self.network

    def point(self, member=0):
        return state_of(self.network)

    def training_batches(self, batch):
        yield from zip(self.images.split(batch), self.labels.split(batch), strict=True)


def linear_problem(classes, bias=True):
    """Softmax regression on three pixels, 40 images."""
    torch.manual_seed(3)
    images, labels = torch.rand(40, 1, 1, 3), torch.arange(40) % classes
    return Problem(nn.Sequential(nn.Flatten(), nn.Linear(3, classes, bias=bias)), images, labels)


def small_network(seed=0):
    """Convolution, BatchNorm with statistics of its own, a hidden and a last layer; everything in float64."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3)
    )
    network(torch.rand(30, 1, 4, 4))
    return network.eval().double()


def flat(state, names):
    return torch.cat([state[name].flatten().double() for name in names])


def covariance(samples, names):
    return torch.cov(torch.stack([flat(state, names) for state in samples.states]).T)


@pytest.mark.parametrize("classes", [2, 3])
def test_for_a_linear_model_the_fisher_information_is_the_hessian_of_the_log_likelihood(classes):
    problem = linear_problem(classes)
    network, names = problem.network.double(), ["1.weight", "1.bias"]
    shapes = [network.get_parameter(name).shape for name in names]

    def loss(given):
        parts = given.split([shape.numel() for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        logits = functional_call(network, weights, (problem.images.double(),))
        return nn.functional.cross_entropy(logits, problem.labels, reduction="sum")

    hessian = torch.autograd.functional.hessian(loss, flat(network.state_dict(), names))
    batches = [(problem.images.double(), problem.labels)]
    torch.testing.assert_close(full_fisher(network, names, batches), hessian, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(diagonal_fisher(network, names, batches), hessian.diagonal(), rtol=1e-9, atol=1e-9)


def test_two_classes_are_bayesian_logistic_regression_at_its_mode():
    """The difference of the two rows has the logistic regression's posterior: (sum s (1 - s) x x' + tau / 2 I)^-1."""
    problem = linear_problem(2, bias=False)
    tau, count = 4.0, 20_000
    samples = laplace(problem_of(problem, 0), prior_precision=tau, samples=count)
    rows = torch.stack([state["1.weight"] for state in samples.states]).double()
    difference = rows[:, 1] - rows[:, 0]
    x = problem.images.flatten(1).double()
    weight = problem_of(problem, 0).network[1].weight.detach().double()
    s = torch.sigmoid(x @ (weight[1] - weight[0]))
    expected = torch.linalg.inv((x * (s * (1 - s))[:, None]).T @ x + tau / 2 * torch.eye(3, dtype=torch.float64))
    sd = expected.diagonal().sqrt()
    assert ((difference.mean(0) - (weight[1] - weight[0])).abs() < 4 * sd / count**0.5).all()
    error = ((torch.outer(sd, sd) ** 2 + expected**2) / count).sqrt()
    assert ((torch.cov(difference.T) - expected).abs() < 4 * error).all()
    assert (4 * error.diagonal() / expected.diagonal() < 0.05).all()


def problem_of(problem, seed):
    """The same data with a network drawn anew, since drawing leaves the last sample in it."""
    torch.manual_seed(seed)
    return Problem(nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False)), problem.images, problem.labels)


@pytest.mark.parametrize(("subset", "names"), [("last_layer", ["6.weight", "6.bias"]), ("all", None)])
def test_the_diagonal_agrees_with_products_of_the_jacobian(subset, names):
    network = small_network()
    names = names or [name for name, _ in network.named_parameters()]
    images = torch.rand(7, 1, 4, 4, dtype=torch.float64)
    expected = torch.zeros(sum(network.get_parameter(name).numel() for name in names), dtype=torch.float64)
    for image in images:
        p = network(image[None])[0].softmax(0)
        for k in range(3):
            gradient = torch.autograd.grad(p[k].log(), [network.get_parameter(name) for name in names], retain_graph=1)
            expected += p[k].detach() * torch.cat([part.flatten() for part in gradient]) ** 2
    batches = [(images[:4], None), (images[4:], None)]
    torch.testing.assert_close(diagonal_fisher(network, names, batches), expected, rtol=1e-9, atol=1e-12)


def laplace_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of its dependencies uses torch.jit
        return importlib.import_module("laplace")


@pytest.mark.parametrize(
    ("subset", "structure"), [("last_layer", "full"), ("last_layer", "diagonal"), ("all", "diagonal")]
)
def test_the_precision_is_that_of_laplace_torch(subset, structure):
    library = laplace_torch()
    network = small_network(1)
    network.requires_grad_(True)
    images = torch.rand(20, 1, 4, 4, dtype=torch.float64)
    batches = [(images[:16], torch.arange(16) % 3), (images[16:], torch.arange(4) % 3)]
    names = last_layer(network, images) if subset == "last_layer" else [name for name, _ in network.named_parameters()]
    fisher = {"full": full_fisher, "diagonal": diagonal_fisher}[structure](network, names, batches)
    theirs = library.Laplace(
        network,
        "classification",
        subset_of_weights=subset,
        hessian_structure={"full": "full", "diagonal": "diag"}[structure],
        prior_precision=2.0,
        backend=library.curvature.BackPackGGN,
    )
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, torch.arange(20) % 3), 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its backward hooks
        theirs.fit(loader)
    expected = theirs.posterior_precision.detach().double()
    prior = 2 * torch.eye(len(fisher)) if structure == "full" else 2.0
    torch.testing.assert_close(fisher + prior, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("subset", ["last_layer", "all"])
def test_diagonal_draws_have_the_variances_of_the_diagonal(subset):
    network = small_network().float()
    images = torch.rand(20, 1, 4, 4)
    names = ["6.weight", "6.bias"] if subset == "last_layer" else [name for name, _ in network.named_parameters()]
    expected = 1 / (diagonal_fisher(network, names, [(images, None)]) + 3.0)
    mode = flat(network.state_dict(), names)
    count = 5000
    problem = Problem(network, images, torch.zeros(20))
    samples = laplace(problem, subset=subset, structure="diagonal", prior_precision=3.0, samples=count)
    drawn = torch.stack([flat(state, names) for state in samples.states])
    assert ((drawn.mean(0) - mode).abs() < 4.5 * (expected / count).sqrt()).all()
    assert ((drawn.var(0) / expected - 1).abs() < 4.5 * (2 / count) ** 0.5).all()


def test_on_digits_the_last_layer_alone_varies_around_point_and_fewer_draws_are_a_prefix():
    def trained(name, **params):
        posterior = CATALOGUE.resolve("posteriors", name, params)
        return train_model(dataclasses.replace(SPEC, posterior=posterior), CATALOGUE)

    (mode,) = trained("point").samples.states
    found = trained("laplace", samples=3)
    assert to_bytes(found.samples.prefix(2)) == to_bytes(trained("laplace", samples=2).samples)
    assert found.record["epochs"] == 1
    names = list(mode)
    for state in found.samples.states:
        same = [name for name in names if torch.equal(state[name], mode[name])]
        assert [name for name in names if name not in same] == ["network.8.weight", "network.8.bias"]


@pytest.mark.parametrize(
    ("network", "params", "sentence"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), {"subset": "all"}, "structure 'full' is for the last layer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.Tanh()), {}, "logits are not the output of a linear layer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 1000)), {}, "the last layer has 17,000 weights, more than the 10,0"),
    ],
)
def test_what_cannot_be_done_is_refused(network, params, sentence):
    with pytest.raises(InputError, match=sentence):
        laplace(Problem(network, torch.rand(4, 1, 4, 4), torch.arange(4) % 2), **params)
