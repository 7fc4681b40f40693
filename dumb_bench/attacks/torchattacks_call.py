"""How an attack of the package torchattacks is run: on [0, 1] images, without printing, without dying gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dumb_bench.attacks.base import Surrogate


class LivingGradient(nn.Module):
    """Logits in float64 whose gradient is rescaled, image by image, by a power of two.

    For a confident network the softmax gradient underflows in float32 to 0: torchattacks divides it by its mean, takes
    the sign, and the image never moves, a failure that looks like robustness. A power of two changes no sign and no
    ratio within an image, so that methods which normalise each image's gradient give what they would give without
    underflow.
    """

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        assert isinstance(surrogate, nn.Module)
        self.surrogate = surrogate

    def train(self, mode: bool = True) -> LivingGradient:
        """Leave the surrogate's train/eval mode as it is."""
        del mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K) float64."""
        logits: Tensor = self.surrogate(images).double()
        if logits.requires_grad:
            logits.register_hook(_rescaled)  # type: ignore[no-untyped-call]
        return logits


def _rescaled(gradient: Tensor) -> Tensor:
    largest = gradient.abs().flatten(1).amax(1)
    exponent = torch.frexp(largest).exponent.where(largest > 0, 0)
    return torch.ldexp(gradient, -exponent[:, None])


def run(
    name: str, surrogate: Surrogate, images: Tensor, labels: Tensor, targets: Tensor | None, **options: Any
) -> Tensor:
    """Build the torchattacks attack of this class name on the surrogate and run it.

    Its random numbers come from the global generator, which `craft()` seeds. With `targets` (N,) it runs in its
    targeted mode. The package is imported here, so that reading and planning a grid do not wait for it.
    """
    import torchattacks

    method = getattr(torchattacks, name)(LivingGradient(surrogate), **options)
    method.set_device(images.device)
    if targets is not None:
        method.set_mode_targeted_by_label(quiet=True)
    adversarial: Tensor = method(images, labels if targets is None else targets)
    return adversarial
