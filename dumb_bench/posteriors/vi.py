"""Variational inference with a mean-field Gaussian, "Bayes by backprop": Blundell et al., ICML 2015."""

from __future__ import annotations

import copy
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from dumb_bench.posteriors.base import State, TrainingProblem, WeightSamples, posterior, state_of


@posterior(
    "vi",
    paper="Blundell, Cornebise, Kavukcuoglu, Wierstra, Weight uncertainty in neural networks, ICML 2015",
    version=2,
    count=lambda params: int(params["samples"]),
)
def vi(
    problem: TrainingProblem,
    *,
    prior_precision: Annotated[float, Field(gt=0, le=1e6)] = 1.0,
    initial_sd: Annotated[float, Field(gt=0, le=1)] = 0.02,
    kl_weight: Annotated[float, Field(gt=0, le=1)] = 1.0,
    samples: Annotated[int, Field(ge=1, le=1000)] = 10,
    fresh: bool = True,
) -> WeightSamples:
    """Draws from the independent Gaussians N(mu, sd^2), sd = log(1 + exp(rho)), that minimise the free energy.

    Free energy over N training images (equations 1 and 2): the mean loss under the Gaussians + kl_weight / N *
    KL(q || prior), so that a mini-batch carries its share of KL (section 3.4). One draw of all weights a step; mu and
    rho have the recipe's optimiser and rate. All epochs run: there is no early stopping, validation is with mu.
    A recipe's weight decay is taken out, since the prior stands for it. The draws share mu's BatchNorm statistics.

    Args:
        problem: the data and the network, whose initial weights are the first mu.
        prior_precision: 1 / variance of the prior N(0, I / prior_precision) of every weight.
        initial_sd: sd of every weight before training. Few or small steps leave sd near it.
        kl_weight: 1 is Bayes' posterior, less a colder one.
        samples: passes that stand for as many weight samples when the network is used; or weights drawn at the end.
        fresh: whether every pass draws all weights anew, from PyTorch's global generator, as it did in training; else
            `samples` draws are made once and kept.

    Cost: that of `point` without early stopping; twice its trained numbers, and as much more in the optimiser.
    """
    model = MeanField(problem.build(), initial_sd)
    scale, decay = kl_weight / problem.train_images, problem.recipe.weight_decay
    problem.fit(
        model, early_stopping=False, on_gradients=lambda step, lr, network: model.add_kl(prior_precision, scale, decay)
    )
    if fresh:
        return WeightSamples((state_of(model.network), model.deviations()), "gaussian")
    generator = torch.Generator().manual_seed(problem.seed("sample"))
    return WeightSamples(tuple(state_of(model.drawn(generator)) for _ in range(samples)))


class MeanField(nn.Module):
    """A network whose weights are N(mu, softplus(rho)^2): mu are its own, drawn anew at each pass in train mode.

    In eval mode the weights are mu. Noise of passes is drawn from PyTorch's global generator.
    """

    def __init__(self, network: nn.Module, sd: float) -> None:
        super().__init__()
        self.network = network
        self.names = [name for name, _ in network.named_parameters()]
        rho = math.log(math.expm1(sd))
        self.rho = nn.ParameterList([torch.full_like(mu, rho) for mu in network.parameters()])

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        weights = {}
        if self.training:
            drawn = [mu + softplus(rho) * torch.randn_like(mu) for mu, rho in self._pairs()]
            weights = dict(zip(self.names, drawn, strict=True))
        logits: Tensor = functional_call(self.network, weights, (images,))
        return logits

    @torch.no_grad()
    def add_kl(self, precision: float, scale: float, weight_decay: float) -> None:
        """Add the gradient of scale * KL(q || N(0, I / precision)), and take out what the weight decay will add.

        KL = sum of -log(sd) + precision * (mu^2 + sd^2) / 2 + constants.
        """
        for mu, rho in self._pairs():
            sd = softplus(rho)
            of_mu = (scale * precision - weight_decay) * mu
            of_rho = scale * (precision * sd - 1 / sd) * torch.sigmoid(rho) - weight_decay * rho
            for weight, gradient in ((mu, of_mu), (rho, of_rho)):
                weight.grad = gradient if weight.grad is None else weight.grad + gradient

    @torch.no_grad()
    def deviations(self) -> State:
        """Return the sd of every weight by its name in the network, on the CPU."""
        found = {name: softplus(rho).cpu() for name, rho in zip(self.names, self.rho, strict=True)}
        return {name: sd.detach().contiguous() for name, sd in found.items()}

    @torch.no_grad()
    def drawn(self, generator: torch.Generator) -> nn.Module:
        """Return a copy of the network with weights drawn by a generator on the CPU."""
        found = copy.deepcopy(self.network)
        for weight, (mu, rho) in zip(found.parameters(), self._pairs(), strict=True):
            weight.copy_(mu + softplus(rho) * torch.randn(mu.shape, generator=generator).to(mu))
        return found

    def _pairs(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        return list(zip(self.network.parameters(), self.rho, strict=True))


class GaussianNetwork(nn.Module):
    """A network whose every pass draws its weights from independent Gaussians, in eval mode too.

    Args:
        network: holds the means. deviations: sd of every weight, by name.
    """

    def __init__(self, network: nn.Module, deviations: State) -> None:
        super().__init__()
        self.network = network
        self.names = [name for name, _ in network.named_parameters()]
        for place, name in enumerate(self.names):
            self.register_buffer(f"sd{place}", deviations[name].clone())

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K); all images of a pass share a draw."""
        means = self.network.parameters()
        drawn = {
            name: mean + self.get_buffer(f"sd{place}") * torch.randn_like(mean)
            for place, (name, mean) in enumerate(zip(self.names, means, strict=True))
        }
        logits: Tensor = functional_call(self.network, drawn, (images,))
        return logits
