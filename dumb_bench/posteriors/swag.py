"""SWAG: W. J. Maddox, T. Garipov, P. Izmailov, D. Vetrov, A. G. Wilson, A Simple Baseline for Bayesian Uncertainty in
Deep Learning, NeurIPS 2019.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from dumb_bench.posteriors.base import Epoch, Params, TrainingProblem, WeightSamples, posterior, state_of
from dumb_bench.posteriors.chains import Count, Momentum, Rate, constant, fitted_point, peak_rate, plain_sgd
from dumb_bench.recipes import Recipe


class Moments:
    """Running moments of iterates: mean, diagonal variance and the last `rank` deviations from the running mean.

    Sums are float64: the variance is a small difference of them.
    """

    def __init__(self, rank: int) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self._square = torch.zeros(())
        self._deviations: deque[Tensor] = deque(maxlen=rank)

    def update(self, weights: Tensor) -> None:
        """Take note of an iterate, (P,) (algorithm 1)."""
        value = weights.detach().to("cpu", torch.float64)
        self.mean = (self.count * self.mean + value) / (self.count + 1)
        self._square = (self.count * self._square + value**2) / (self.count + 1)
        self.count += 1
        self._deviations.append((value - self.mean).float())

    @property
    def variance(self) -> Tensor:
        """The diagonal part: mean of squares less square of the mean, (P,), at least 0."""
        return (self._square - self.mean**2).clamp(min=0)

    @property
    def deviations(self) -> Tensor:
        """Columns D: iterates less the mean as it was then, (P, K), K at most the rank."""
        return torch.stack(tuple(self._deviations), dim=1)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return weights (P,) from N(mean, (diag(variance) + D D^T / (K - 1)) / 2) (equation 1).

        Of a single iterate, K = 1, the low-rank part is left out: its deviation is 0.
        """
        columns = self.deviations
        diagonal = torch.randn(self.mean.shape, generator=generator)
        low_rank = torch.randn(columns.shape[1], generator=generator)
        spread = columns @ low_rank / math.sqrt(2 * max(1, columns.shape[1] - 1))
        return (self.mean + self.variance.sqrt() * diagonal / math.sqrt(2) + spread).float()


def _count(params: Params) -> int:
    found: int = params["samples"]
    return found


def _epochs(recipe: Recipe, params: Params) -> int:
    found: int = recipe.epochs + (params["epochs"] or recipe.epochs)
    return found


@posterior("swag", paper="Maddox et al., NeurIPS 2019", count=_count, epochs=_epochs, parents="start")
def swag(
    problem: TrainingProblem,
    *,
    samples: Count = 15,
    epochs: Count | None = None,
    rank: Annotated[int, Field(ge=1, le=1000)] = 20,
    lr: Rate | None = None,
    momentum: Momentum = 0.9,
) -> WeightSamples:
    """A Gaussian fitted to the iterates of SGD at a constant learning rate, drawn from (algorithm 1).

    From the point solution on, the weights at the end of each epoch make the moments. Each sample's BatchNorm
    statistics are re-estimated on the training images.

    Args:
        problem: what is trained: first by the recipe, then by plain SGD.
        samples: draws; more of them cost no training, and fewer are a prefix of more.
        epochs: epochs after the point solution; None: as many as the recipe's.
        rank: deviations kept, K; the last ones.
        lr: None: half the recipe's, five times that if it is Adam's.
        momentum: of SGD, 0..1.
    """
    network = fitted_point(problem)
    moments = Moments(rank)

    def collect(epoch: Epoch, network: nn.Module) -> None:
        del epoch
        moments.update(torch.cat([weight.detach().flatten() for weight in network.parameters()]))

    problem.fit(
        network,
        member=1,
        epochs=epochs or problem.recipe.epochs,
        schedule=constant(lr or peak_rate(problem.recipe) / 2),
        optimiser=plain_sgd(problem.recipe, momentum),
        early_stopping=False,
        on_epoch_end=collect,
    )
    generator = torch.Generator().manual_seed(problem.seed("swag"))
    states = []
    for _ in range(samples):
        device = next(network.parameters()).device
        vector_to_parameters(moments.draw(generator).to(device), network.parameters())
        problem.refresh_statistics(network)
        states.append(state_of(network))
    return WeightSamples(tuple(states))
