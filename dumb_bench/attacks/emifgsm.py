"""EMI-FGSM: gradients averaged along the previous gradient (Wang, Lin, Hu, Wang, He; BMVC 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import Gradient, gradient_of, iterate, per_value, unit_l1
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


class Enhanced:
    """The mean gradient at points spaced evenly along the mean gradient of the step before.

    reach: how far the outermost points lie, times the gradient over the mean of its absolute values. samples: how many
    points; a single one is the image itself.
    """

    def __init__(self, reach: float, samples: int) -> None:
        self.places = [reach * (2 * sample / (samples - 1) - 1) for sample in range(samples)] if samples > 1 else [0.0]
        self._before: Tensor | None = None

    def __call__(self, images: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
        """Return the mean gradient, of mean absolute value 1, at images (N, C, H, W)."""
        del momentum
        total = torch.zeros_like(images, dtype=torch.float64)
        before = total.clone() if self._before is None else self._before
        for place in self.places:
            total += gradient(images + (place * before).to(images.dtype))
        self._before = unit_l1(total)
        return self._before


@attack("emifgsm", targeted=True, default_strengths=(16 / 255,), paper="arXiv:2103.10609")
def emifgsm(
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
    samples: Annotated[int, Field(ge=1, le=10_000)] = 11,
    radius: Annotated[float, Field(ge=0)] = 7.0,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """Enhanced momentum with linear sampling; points up to radius steps away; each step is eps / steps.

    In L2 the points are as far away as if the step were spread over all values.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    reach = radius * per_value(iterations_step(eps, steps), images, norm)
    return iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=steps, decay=decay, random_start=random_start, estimate=Enhanced(reach, samples),
    )  # fmt: skip
