"""Admix: a little of another image mixed in, at several scales (Wang, He, Wang, He; ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from dumb_bench.attacks.views.base import Scene, Transformation, View


def drawn_mates(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return each image's mates, (N, count) indices: images of another label, where there is none any other image.

    An image that is alone in its batch is its own mate.
    """
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    strangers = labels[:, None] != labels[None]
    allowed = torch.where(strangers.any(1, keepdim=True), strangers, others if len(labels) > 1 else ~others)
    return torch.multinomial(allowed.double(), count, replacement=True, generator=generator)


def admix(*, scales: int = 5, mates: int = 3, ratio: float = 0.2) -> Transformation:
    """Return the mean over copies (x + ratio * x') / 2^i, i = 0 .. scales - 1, for `mates` random images x'.

    The mates are current adversarial images of the same batch, of another class as the paper asks, drawn anew at every
    step; all scales share them. So an image's result depends on the others of its batch.
    """

    def made(scene: Scene) -> View:
        drawn = torch.empty(0)

        def apply(images: Tensor, copy: int) -> Tensor:
            nonlocal drawn
            if copy == 0:
                drawn = drawn_mates(scene.objective.labels, mates, scene.generator)
            mate, scale = divmod(copy, scales)
            return (images + ratio * images.detach()[drawn[:, mate]]) / 2.0**scale

        return View(copies=mates * scales, apply=apply)

    return made
