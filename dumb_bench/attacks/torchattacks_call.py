"""How an attack of the package torchattacks is run: on [0, 1] images, without warnings, without dying gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dumb_bench.attacks.base import Surrogate

Gradient = Literal["image", "shared", "plain"]
"""How an attack may see the gradient of the logits.

image: float64 logits, each image's gradient scaled by a power of two of its own, for an attack that uses the sign or
normalises each gradient by itself. shared: float64 logits, all gradients scaled by `SHARED`, for an attack that adds
up gradients of several passes. plain: the surrogate's own logits and gradients, for an attack that compares gradients
with logits or with pixels.
"""

SHARED = 40
"""The exponent of the shared scale: squares of gradients stay within float32, margins of logits up to 110 live."""


class LivingGradient(nn.Module):
    """A surrogate as torchattacks may see it: with a gradient that does not die, and in a mode that it cannot change.

    For a confident network the softmax gradient underflows in float32 to 0: torchattacks divides it by its mean, takes
    the sign, and the image never moves, a failure that looks like robustness. Powers of two change no sign and no ratio
    within an image. The gradient that reaches the images is contiguous, since torchattacks flattens it with `view`.

    still: whether all that came back in one pass was exactly 0.
    """

    def __init__(self, surrogate: Surrogate | None, device: torch.device, gradient: Gradient = "image") -> None:
        super().__init__()
        assert surrogate is None or isinstance(surrogate, nn.Module)
        self.place = nn.Parameter(torch.empty(0, device=device), requires_grad=False)  # where torchattacks looks first
        self.surrogate = surrogate
        self.gradient = gradient
        self.still = torch.zeros((), dtype=torch.bool, device=device)

    def train(self, mode: bool = True) -> LivingGradient:
        """Leave the surrogate's train/eval mode as it is."""
        del mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K), float64 unless plain."""
        assert self.surrogate is not None
        seen = images.view_as(images)
        if seen.requires_grad:
            seen.register_hook(self._noted)  # type: ignore[no-untyped-call]
        logits: Tensor = self.surrogate(seen)
        if self.gradient == "plain":
            return logits
        logits = logits.double()
        if logits.requires_grad:
            logits.register_hook(_scaled_alone if self.gradient == "image" else _scaled_alike)  # type: ignore[no-untyped-call]
        return logits

    def _noted(self, gradient: Tensor) -> Tensor:
        self.still = self.still | (gradient == 0).all()
        return gradient.contiguous()


def _scaled_alone(gradient: Tensor) -> Tensor:
    largest = gradient.abs().flatten(1).amax(1)
    exponent = torch.frexp(largest).exponent.where(largest > 0, 0)
    return torch.ldexp(gradient, -exponent[:, None])


def _scaled_alike(gradient: Tensor) -> Tensor:
    return gradient * 2.0**SHARED


def attacked(
    name: str,
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    options: dict[str, Any],
    *,
    gradient: Gradient = "image",
    truth: bool = False,
) -> Tensor:
    """Build the torchattacks attack of this class name on the surrogate and run it.

    Its random numbers come from the global generators, which `craft()` seeds. With `targets` (N,) it runs in its
    targeted mode; truth: it is then given the labels too. The package is imported here, so that reading and planning a
    grid do not wait for it.

    Images whose gradient is exactly 0 stay where they are; DeepFool and SparseFool divide by its length and give NaN.
    """
    import torchattacks

    model = LivingGradient(surrogate, images.device, gradient)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SparseFool: NumPy's, of torch
        method = getattr(torchattacks, name)(model, **options)
        method.set_device(images.device)
        given = labels
        if targets is not None and truth:
            method.set_mode_targeted_by_function(_constant(targets), quiet=True)
        elif targets is not None:
            method.set_mode_targeted_by_label(quiet=True)
            given = targets
        adversarial: Tensor = method(images.contiguous(), given).detach()
    if bool(adversarial.isnan().any()) and bool(model.still):
        return images.clone()
    return adversarial


def _constant(targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, labels: targets
