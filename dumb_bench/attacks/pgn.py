"""PGN: flat maxima by penalising the gradient's norm (Ge, Liu, Wang, Shang, Liu; NeurIPS 2023)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import Gradient, gradient_of, iterate, neighbour, per_value, unit_l1
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


@attack("pgn", targeted=True, default_strengths=(16 / 255,), stochastic=True, paper="arXiv:2306.05225")
def pgn(
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
    zeta: Annotated[float, Field(ge=0)] = 3.0,
    balance: Annotated[float, Field(ge=0, le=1)] = 0.5,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Penalised gradient norm, algorithm 1; neighbours within zeta * eps; each step is eps / steps.

    The gradient is the mean over neighbours x' of (1 - balance) g(x') + balance g(x*), where x* lies one step down the
    gradient from x'. In L2 neighbourhood and step down are as large as if spread over all values.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    radius, down = (per_value(size, images, norm) for size in (zeta * eps, iterations_step(eps, steps)))

    def flat(point: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        total = torch.zeros_like(momentum)
        for _ in range(neighbours):
            near = neighbour(point, radius, generator)
            here = gradient(near)
            below = gradient(near - (down * unit_l1(here)).to(near.dtype))
            total += (1 - balance) * here + balance * below
        return total / neighbours

    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start, estimate=flat,
    )  # fmt: skip
