"""Ensemble adversarial training: Tramèr, Kurakin, Papernot, Goodfellow, Boneh, McDaniel, Ensemble Adversarial Training:
Attacks and Defenses, ICLR 2018.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.fgsm import fgsm
from dumb_bench.defences.adversarial import EPS, Eps, beside, evaluating
from dumb_bench.defences.base import BEGIN, Course, Defence, Ordinary, defence
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import NONE, POINT, ModelSpec, Plugin


class _Ensemble(Ordinary):
    def __init__(self, eps: float, members: int, architectures: tuple[str, ...], own: bool) -> None:
        self.eps = eps
        self.members = members
        self.architectures = architectures
        self.own = own

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        sources = (*course.parents, model) if self.own else course.parents
        source = sources[int(torch.randint(len(sources), (), generator=generator))]
        with evaluating(source):
            adversarial = fgsm(cast(Surrogate, source), images, labels, self.eps, generator=beside(images, generator))
        clean = nn.functional.cross_entropy(model(images), labels)
        return (clean + nn.functional.cross_entropy(model(adversarial), labels)) / 2

    def parents(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        architectures = [Plugin(name) for name in self.architectures] or [spec.architecture]
        alike = dataclasses.replace(spec, defence=NONE, posterior=POINT, samples=1, draw=0)
        seeds = [derive_seed("ensemble_at", spec.seed, number) % 2**31 for number in range(self.members)]
        return tuple(
            dataclasses.replace(alike, architecture=architecture, seed=seed)
            for architecture in architectures
            for seed in seeds
        )


@defence("ensemble_at", paper="arXiv:1705.07204", keeps="last", training_passes=lambda params: 3)
def ensemble_at(
    *,
    eps: Eps = EPS,
    members: Annotated[int, Field(ge=1, le=100)] = 2,
    architectures: tuple[str, ...] = (),
    own: bool = False,
) -> Defence:
    """The mean of the clean cross entropy and that of FGSM examples of other networks, trained before and fixed.

    Each batch's examples come from one network, drawn at random. members: undefended networks of each of the
    architectures, of the model's own one where none is named (the paper takes several); they share the model's
    conditions and have seeds of their own, so that no surrogate is among them by chance. own: the network in training
    is one of those drawn from, as in the paper's runs. The last epoch's weights are kept.
    """
    return _Ensemble(eps, members, architectures, own)
