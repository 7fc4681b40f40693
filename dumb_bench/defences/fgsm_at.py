"""Fast adversarial training: Wong, Rice, Kolter, Fast is better than free, ICLR 2020."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.defences.adversarial import EPS, Eps, attacked
from dumb_bench.defences.base import BEGIN, Course, Defence, Ordinary, defence


class _Fgsm(Ordinary):
    def __init__(self, eps: float, relative_step: float) -> None:
        self.eps = eps
        self.relative_step = relative_step

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        del course
        adversarial = attacked(
            model, images, labels, generator, eps=self.eps, steps=1, relative_step=self.relative_step
        )
        return nn.functional.cross_entropy(model(adversarial), labels)


@defence("fgsm_at", paper="arXiv:2001.03994", keeps="last", training_passes=lambda params: 2)
def fgsm_at(*, eps: Eps = EPS, relative_step: Annotated[float, Field(gt=0, le=2)] = 1.25) -> Defence:
    """Cross entropy of examples made in one signed step of relative_step * eps from a random point of the Linf ball.

    Algorithm 3, then projected onto ball and box. Such training may fail all at once: the model stands one step and no
    longer many (catastrophic overfitting); the report has a check for it. Modes and weights kept as in `pgd_at`.
    """
    return _Fgsm(eps, relative_step)
