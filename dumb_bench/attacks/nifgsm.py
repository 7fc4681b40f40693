"""NI-FGSM: the gradient where the momentum leads (Lin, Song, He, Wang, Hopcroft; ICLR 2020)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import Gradient, gradient_of, iterate, per_value
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


@attack("nifgsm", targeted=True, default_strengths=(16 / 255,), paper="arXiv:1908.06281")
def nifgsm(
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
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Nesterov iterative FGSM: MI-FGSM with the gradient at x + step * decay * g; each step is eps / steps.

    In L2 the look-ahead is as long as if the step were spread over all values.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    reach = decay * per_value(iterations_step(eps, steps), images, norm)

    def look_ahead(point: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        return gradient(point + (reach * momentum).to(point.dtype))

    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start, estimate=look_ahead,
    )  # fmt: skip
