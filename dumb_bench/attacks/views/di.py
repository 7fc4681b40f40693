"""DI: randomly resized and padded inputs (Xie, Zhang, Zhou, Bai, Wang, Ren, Yuille; CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.views.base import Scene, Transformation, View


def di(*, resize_rate: float = 0.9, diversity_prob: float = 0.5) -> Transformation:
    """Return input diversity: with probability diversity_prob, shrink the batch and pad it with 0 at a random place.

    The side is drawn from [resize_rate * side, side), once for the batch. The paper enlarges 299 to a frame of 330;
    here the frame is the image's own, so that every network takes it, and the share of the frame is the paper's
    (299 / 330 = .91). Random numbers are drawn as torchattacks 3.5.1 draws them. An oblong image keeps its proportions.
    """

    def made(scene: Scene) -> View:
        device = scene.generator.device

        def draw(low: int, high: int) -> int:
            return int(torch.randint(low, high, (1,), generator=scene.generator, device=device, dtype=torch.int32))

        def apply(images: Tensor, copy: int) -> Tensor:
            del copy
            height, width = images.shape[-2:]
            across = draw(max(1, int(width * resize_rate)), width)
            down = min(height - 1, max(1, across * height // width))
            top, left = draw(0, height - down), draw(0, width - across)
            if not torch.rand(1, generator=scene.generator, device=device) < diversity_prob:
                return images
            small = functional.interpolate(images, size=(down, across), mode="bilinear", align_corners=False)
            return functional.pad(small, (left, width - across - left, top, height - down - top))

        return View(apply=apply)

    return made
