"""Cohen, Rosenfeld, Kolter, Certified Adversarial Robustness via Randomized Smoothing, ICML 2019."""

from __future__ import annotations

from statistics import NormalDist
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.defences.base import Defence, Ordinary, defence
from dumb_bench.defences.inputs import passes_of


class Certificate(NamedTuple):
    """label: of the smoothed network, None where it abstains. radius: in L2, within which the label cannot change."""

    label: int | None
    radius: float


class Smoothed(nn.Module):
    """A network whose answer is the vote over `votes` copies of the image under Gaussian noise of deviation sigma.

    Its softmax is (votes of the class + 1) / (votes + K), so that the label is the most voted class and no logit is
    infinite. Backward it is the logarithm of the copies' mean softmax, the smooth form of the vote (Salman et al.,
    NeurIPS 2019): the vote itself has no gradient.
    """

    def __init__(self, network: nn.Module, sigma: float, votes: int) -> None:
        super().__init__()
        self.network = network
        self.sigma = sigma
        self.number = votes
        self.passes = votes * passes_of(network)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        outputs = torch.stack([self._copy(images) for _ in range(self.number)])
        counts = _counted(outputs)
        hard = ((counts + 1) / (self.number + counts.shape[1])).log().to(outputs.dtype)
        if not outputs.requires_grad:
            return hard
        soft = outputs.log_softmax(2).logsumexp(0)
        return _Vote.apply(soft, hard)  # type: ignore[no-any-return]

    def _copy(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images + self.sigma * torch.randn_like(images))
        return logits

    def votes(self, images: Tensor, number: int) -> Tensor:
        """Return how many of so many noisy copies of each image fall to each class, (N, K) int64."""
        with torch.no_grad():
            return _counted(torch.stack([self._copy(images) for _ in range(number)]))

    def certify(self, images: Tensor, select: int, estimate: int, alpha: float = 0.001) -> list[Certificate]:
        """Return each image's certificate, wrong with a probability of at most alpha (`CERTIFY` of section 3.2.2).

        select, estimate: copies that choose the class, and that bound its probability.
        """
        labels = self.votes(images, select).argmax(1)
        found = self.votes(images, estimate).gather(1, labels[:, None])[:, 0]
        radii = [certified_radius(int(count), estimate, self.sigma, alpha) for count in found]
        return [
            Certificate(int(label) if radius > 0 else None, radius) for label, radius in zip(labels, radii, strict=True)
        ]


class _Vote(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, soft: Tensor, hard: Tensor) -> Tensor:
        del ctx, soft
        return hard.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        del ctx
        return gradients[0], None


def _counted(outputs: Tensor) -> Tensor:
    """Return the votes, (N, K) int64, of the logits of copies (M, N, K)."""
    return functional.one_hot(outputs.argmax(2), outputs.shape[2]).sum(0)


def certified_radius(count: int, trials: int, sigma: float, alpha: float) -> float:
    """Return sigma * Phi^-1(p), p the Clopper-Pearson lower bound at 1 - alpha of count / trials; 0 where p <= 1/2.

    Source: proposition 2 and equation 3 with p_B = 1 - p_A.
    """
    from scipy.stats import beta

    lower = float(beta.ppf(alpha, count, trials - count + 1)) if count else 0.0
    return sigma * NormalDist().inv_cdf(lower) if lower > 0.5 else 0.0


class _Smoothing(Ordinary):
    def __init__(self, sigma: float, votes: int) -> None:
        self.sigma = sigma
        self.votes = votes

    def wrap(self, model: nn.Module) -> nn.Module:
        return Smoothed(model, self.sigma, self.votes)


@defence(
    "randomized_smoothing", paper="arXiv:1902.02918", trains=False, stochastic=True,
    passes=lambda params: params["votes"],
)  # fmt: skip
def randomized_smoothing(
    *,
    sigma: Annotated[float, Field(gt=0, le=2)] = 0.25,
    votes: Annotated[int, Field(ge=1, le=100_000)] = 32,
) -> Defence:
    """The label is the vote over `votes` copies under Gaussian noise of deviation sigma.

    Every image costs as many passes. The paper's networks are trained under that noise:
    `noise_training+randomized_smoothing`.
    """
    return _Smoothing(sigma, votes)
