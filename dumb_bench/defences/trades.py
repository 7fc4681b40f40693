"""TRADES: Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan, Theoretically Principled Trade-off between Robustness and Accuracy,
ICML 2019.
"""

from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.iterative import iterate
from dumb_bench.defences.adversarial import EPS, Eps, beside, evaluating
from dumb_bench.defences.base import BEGIN, Course, Defence, Ordinary, defence

START = 0.001
"""The deviation of the Gaussian noise that the inner maximisation starts from: at the image itself the slope is 0."""


class _Divergence(Objective):
    """KL(f(x) || f(x')) of each image, ascended in x'. clean: the logits f(x), (N, K)."""

    def __init__(self, model: nn.Module, labels: Tensor, clean: Tensor) -> None:
        super().__init__(cast(Surrogate, model), labels)
        self.clean = clean.double().softmax(1)

    def values(self, logits: Tensor) -> Tensor:
        return functional.kl_div(logits.log_softmax(1), self.clean, reduction="none").sum(1)


class _Trades(Ordinary):
    def __init__(self, beta: float, eps: float, steps: int, relative_step: float) -> None:
        self.beta = beta
        self.eps = eps
        self.steps = steps
        self.relative_step = relative_step

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        del course
        adversarial = self.examples(model, images, labels, generator)
        clean, moved = model(images), model(adversarial)
        divergence = functional.kl_div(moved.log_softmax(1), clean.softmax(1), reduction="batchmean")
        return functional.cross_entropy(clean, labels) + self.beta * divergence

    def examples(self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images that the divergence is taken at, (N, C, H, W)."""
        source = beside(images, generator)
        noise = torch.randn(images.shape, generator=source, device=images.device, dtype=images.dtype)
        with evaluating(model):
            with torch.no_grad():
                clean = model(images)
            return iterate(
                images, self.eps, gradient=_Divergence(model, labels, clean).gradient, generator=source,
                steps=self.steps, step=self.relative_step * self.eps, decay=0.0, start=images + START * noise,
            )  # fmt: skip


@defence("trades", paper="arXiv:1901.08573", keeps="last", training_passes=lambda params: params["steps"] + 2)
def trades(
    *,
    beta: Annotated[float, Field(ge=0, le=1_000)] = 6.0,
    eps: Eps = EPS,
    steps: Annotated[int, Field(ge=1, le=1_000)] = 10,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.25,
) -> Defence:
    """Cross entropy of the clean image plus beta times the mean KL(f(x) || f(x')), x' the worst in the Linf ball.

    Algorithm 1 with beta = 1 / lambda: x' starts at x + 0.001 N(0, 1) and ascends the divergence in signed steps. As in
    the authors' code, the gradient of the divergence flows into the clean logits as well, and x' is made in eval mode;
    their steps are .007 for an eps of .031. The last epoch's weights are kept.
    """
    return _Trades(beta, eps, steps, relative_step)
