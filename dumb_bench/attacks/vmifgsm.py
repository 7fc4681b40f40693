"""VMI-FGSM: momentum with the gradient's variance tuned (Wang, He; CVPR 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import Gradient, gradient_of, iterate, neighbour, per_value
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


class VarianceTuned:
    """The gradient plus the variance of the step before, V(x) = mean over neighbours of grad J - grad J(x).

    radius: of the neighbourhood, of a value. neighbours: how many are drawn. reach: the look-ahead along the momentum
    (VNI), 0 for none. Neighbours lie around x itself, whatever the look-ahead. V is found when the next step asks
    for it, so that the last step's, which nobody uses, costs nothing.
    """

    def __init__(self, radius: float, neighbours: int, generator: torch.Generator, reach: float = 0.0) -> None:
        self.radius = radius
        self.neighbours = neighbours
        self.generator = generator
        self.reach = reach
        self._before: tuple[Tensor, Tensor] | None = None

    def __call__(self, images: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        """Return the tuned gradient at images (N, C, H, W)."""
        variance = self._variance(*self._before, gradient) if self._before and self.neighbours else 0.0
        found = gradient(images + (self.reach * momentum).to(images.dtype) if self.reach else images)
        self._before = images, found
        return found + variance

    def _variance(self, images: Tensor, found: Tensor, gradient: Gradient) -> Tensor:
        total = torch.zeros_like(found)
        for _ in range(self.neighbours):
            # drawn and dropped: torchattacks overwrites normal numbers, and the same seed shall give its neighbours
            torch.randn(images.shape, generator=self.generator, device=images.device, dtype=images.dtype)
            total += gradient(neighbour(images, self.radius, self.generator))
        return total / self.neighbours - found


@attack("vmifgsm", targeted=True, default_strengths=(16 / 255,), stochastic=True, paper="arXiv:2103.15571")
def vmifgsm(
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
    neighbours: Annotated[int, Field(ge=0, le=10_000)] = 20,
    beta: Annotated[float, Field(ge=0)] = 1.5,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Variance tuning of MI-FGSM, algorithm 1; neighbours within beta * eps; each step is eps / steps.

    In L2 the neighbourhood is the cube whose half side is beta * eps spread over all values.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
        estimate=VarianceTuned(per_value(beta * eps, images, norm), neighbours, generator),
    )  # fmt: skip
