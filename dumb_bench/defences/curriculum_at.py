"""Curriculum adversarial training: Cai, Du, Liu, Song, Curriculum Adversarial Training, IJCAI 2018."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.defences.adversarial import EPS, Eps, attacked
from dumb_bench.defences.base import BEGIN, Course, Defence, Ordinary, defence


class Lesson(NamedTuple):
    """How strong the attack is at one time of the training; no steps or an eps of 0 are clean training."""

    eps: float
    steps: int


class _Curriculum(Ordinary):
    def __init__(self, grows: str, ramp: float, eps: float, steps: int, relative_step: float) -> None:
        self.grows = grows
        self.ramp = ramp
        self.eps = eps
        self.steps = steps
        self.relative_step = relative_step

    def lesson(self, progress: float) -> Lesson:
        """Return the attack at a share of the training, 0 to below 1."""
        share = min(1.0, progress / self.ramp)
        if self.grows == "eps":
            return Lesson(share * self.eps, self.steps)
        return Lesson(self.eps, min(self.steps, int(share * (self.steps + 1))))

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        lesson = self.lesson(course.progress)
        if lesson.steps and lesson.eps:
            images = attacked(
                model, images, labels, generator, eps=lesson.eps, steps=lesson.steps, relative_step=self.relative_step
            )
        return nn.functional.cross_entropy(model(images), labels)


@defence("curriculum_at", paper="arXiv:1805.04807", keeps="last", training_passes=lambda params: params["steps"] + 1)
def curriculum_at(
    *,
    grows: Literal["steps", "eps"] = "steps",
    ramp: Annotated[float, Field(gt=0, le=1)] = 0.75,
    eps: Eps = EPS,
    steps: Annotated[int, Field(ge=1, le=1_000)] = 7,
    relative_step: Annotated[float, Field(gt=0, le=1)] = 0.25,
) -> Defence:
    """Adversarial training as `pgd_at`, with an attack that becomes stronger while the network learns.

    grows: `steps`, the paper's measure of strength, from none (clean training) to `steps` in equal stretches; `eps`,
    from 0 in proportion to the progress (the warm-up of the radius in Pang et al., ICLR 2021). ramp: the share of the
    training after which the attack is at its full strength. The paper goes on to the next stage when accuracy stops to
    rise; here the stages have a fixed length, so that all models cost the same. The last epoch's weights are kept.
    """
    return _Curriculum(grows, ramp, eps, steps, relative_step)
