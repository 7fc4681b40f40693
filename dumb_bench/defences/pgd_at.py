"""Adversarial training: Madry, Makelov, Schmidt, Tsipras, Vladu, Towards Deep Learning Models Resistant to Adversarial
Attacks, ICLR 2018.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.defences.adversarial import EPS, Eps, attacked
from dumb_bench.defences.base import BEGIN, Course, Defence, Ordinary, defence


class _Pgd(Ordinary):
    def __init__(self, eps: float, steps: int, relative_step: float, random_start: bool) -> None:
        self.eps = eps
        self.steps = steps
        self.relative_step = relative_step
        self.random_start = random_start

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        del course
        adversarial = attacked(
            model, images, labels, generator, eps=self.eps, steps=self.steps, relative_step=self.relative_step,
            random_start=self.random_start,
        )  # fmt: skip
        return nn.functional.cross_entropy(model(adversarial), labels)


@defence("pgd_at", paper="arXiv:1706.06083", keeps="last", training_passes=lambda params: params["steps"] + 1)
def pgd_at(
    *,
    eps: Eps = EPS,
    steps: Annotated[int, Field(ge=1, le=1_000)] = 7,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.25,
    random_start: bool = True,
) -> Defence:
    """Cross entropy of adversarial examples alone, each batch's made by the attack `pgd` (equation 2.1).

    Linf eps; each step is relative_step * eps, so that the default is the paper's 7 steps of 2/255 for 8/255. The
    attack sees the network in eval mode, the outer step is in train mode. The last epoch's weights are kept.
    """
    return _Pgd(eps, steps, relative_step, random_start)
