"""VNI-FGSM: a Nesterov look-ahead with the gradient's variance tuned (Wang, He; CVPR 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import gradient_of, iterate, per_value
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views
from dumb_bench.attacks.vmifgsm import VarianceTuned


@attack("vnifgsm", targeted=True, default_strengths=(16 / 255,), stochastic=True, paper="arXiv:2103.15571")
def vnifgsm(
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
    """Variance tuning of NI-FGSM: the gradient at x + step * decay * g, neighbours around x within beta * eps.

    Each step is eps / steps. In L2 look-ahead and neighbourhood are as large as if spread over all values.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    radius, step = (per_value(size, images, norm) for size in (beta * eps, iterations_step(eps, steps)))
    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start,
        estimate=VarianceTuned(radius, neighbours, generator, reach=decay * step),
    )  # fmt: skip
