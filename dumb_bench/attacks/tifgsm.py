"""TI-FGSM: gradients smoothed by a kernel, that is, averaged over translations (Dong et al., CVPR 2019)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import PAPER_EPS, REFERENCE_STEP, Norm, Surrogate, as_float, attack
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import RelativeStep, gradient_of, iterate, sized
from dumb_bench.attacks.views.base import Scene, compose
from dumb_bench.attacks.views.di import di
from dumb_bench.attacks.views.named import InputName, views
from dumb_bench.attacks.views.ti import KernelName, fitting_kernel, ti

__all__ = ["fitting_kernel", "tifgsm"]

REFERENCE_KERNEL = 15


@attack(
    "tifgsm", targeted=True, stochastic=True, default_strengths=PAPER_EPS, paper="arXiv:1904.02884", version=2
)  # fmt: skip
def tifgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    relative_step: RelativeStep | None = None,
    decay: Annotated[float, Field(ge=0)] = 0.0,
    random_start: bool = False,
    kernel_name: KernelName = "gaussian",
    kernel: Annotated[int, Field(ge=0, le=63)] = 0,
    resize_rate: Annotated[float, Field(gt=0, lt=1)] = 0.9,
    diversity_prob: Annotated[float, Field(ge=0, le=1)] = 0.5,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
    reference: bool = False,
) -> Tensor:
    """Translation-invariant iterative FGSM with input diversity (TI-DI-FGSM); each step is eps / steps.

    relative_step: makes it relative_step * eps. kernel: its side in pixels; 0 = the side that fits the image. `inputs`
    are further transformations, applied before the resizing. reference: the form of the published DUMB runs, the
    defaults of torchattacks 3.5.1: steps of 2/255 whatever eps is (ten of them reach .078), and the paper's kernel of
    15 pixels where `kernel` is 0.

    Raises:
        InputError: an even kernel, which has no centre.
    """
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets, loss), generator, eps)
    side = kernel or (REFERENCE_KERNEL if reference else 0)
    diverse = di(resize_rate=resize_rate, diversity_prob=diversity_prob)
    seen = compose([views(inputs, scene), diverse(scene), ti(kernel=side, kernel_name=kernel_name)(scene)])
    return iterate(
        images, eps, gradient=gradient_of(scene, seen), generator=generator, norm=norm, steps=steps,
        step=REFERENCE_STEP if reference else sized(eps, steps, relative_step), decay=decay, random_start=random_start,
        shares=reference and not inputs,
    )  # fmt: skip
