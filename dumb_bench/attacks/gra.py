"""GRA: gradients of neighbours weighted by relevance, steps that shrink where signs turn (Zhu et al.; ICCV 2023)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import (
    Gradient,
    direction_in,
    gradient_of,
    iterate,
    neighbour,
    per_image,
    per_value,
    unit_l2,
)
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


class DecayIndicator:
    """A step whose size, value by value, is multiplied by eta wherever the momentum's sign turns.

    It begins at 1 / eta, so that the first step, whose signs turn from 0, has size 1.
    """

    def __init__(self, norm: str, eta: float) -> None:
        self.towards = direction_in(norm)
        self.eta = eta
        self._indicator: Tensor | None = None
        self._signs: Tensor | None = None

    def __call__(self, momentum: Tensor) -> Tensor:
        """Return the move along the momentum (N, C, H, W)."""
        signs = momentum.sign()
        before = torch.zeros_like(signs) if self._signs is None else self._signs
        indicator = torch.full_like(signs, 1 / self.eta) if self._indicator is None else self._indicator
        self._indicator = torch.where(signs == before, indicator, indicator * self.eta)
        self._signs = signs
        return self._indicator * self.towards(momentum)


@attack("gra", targeted=True, default_strengths=(16 / 255,), stochastic=True, paper="ICCV 2023, pages 4741-4750")
def gra(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    random_start: bool = False,
    neighbours: Annotated[int, Field(ge=1, le=10_000)] = 20,
    beta: Annotated[float, Field(ge=0)] = 3.5,
    eta: Annotated[float, Field(gt=0, le=1)] = 0.94,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Gradient relevance attack; neighbours within beta * eps; each step is eps / steps times the decay indicator.

    The gradient is s G(x) + (1 - s) Gm, Gm the mean over the neighbours, s the cosine between G(x) and Gm. In L2 the
    neighbourhood is the cube whose half side is beta * eps spread over all values.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    radius = per_value(beta * eps, images, norm)

    def relevant(point: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        del momentum
        own = gradient(point)
        total = torch.zeros_like(own)
        for _ in range(neighbours):
            total += gradient(neighbour(point, radius, generator))
        mean = total / neighbours
        relevance = per_image((unit_l2(own) * unit_l2(mean)).flatten(1).sum(1))
        return relevance * own + (1 - relevance) * mean

    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator, norm=norm, steps=steps,
        decay=decay, random_start=random_start, estimate=relevant, direction=DecayIndicator(norm, eta),
    )  # fmt: skip
