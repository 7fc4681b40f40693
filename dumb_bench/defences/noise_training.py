"""Training under Gaussian noise, what randomized smoothing needs: Cohen, Rosenfeld, Kolter, ICML 2019, section 3.3."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.defences.adversarial import beside
from dumb_bench.defences.base import BEGIN, Course, Defence, Ordinary, defence


class _Noise(Ordinary):
    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        del course
        source = beside(images, generator)
        noise = torch.randn(images.shape, generator=source, device=images.device, dtype=images.dtype)
        return nn.functional.cross_entropy(model(images + self.sigma * noise), labels)


@defence("noise_training", paper="arXiv:1902.02918")
def noise_training(*, sigma: Annotated[float, Field(gt=0, le=2)] = 0.25) -> Defence:
    """Cross entropy of images under Gaussian noise of deviation sigma, not clipped; deployed as it is.

    It comes on top of the recipe's own noise. `noise_training+randomized_smoothing` is the paper's method.
    """
    return _Noise(sigma)
