"""The control `sign_noise`: random noise of the size of an attack. Every success rate is read beside it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack, uniform_signs


@attack(
    "sign_noise", default_strengths=(8 / 255,), maximum=1000.0, uses="nothing", stochastic=True,
    paper="control",
)  # fmt: skip
def sign_noise(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Literal["linf", "l2"] = "linf",
) -> Tensor:
    """Random signs at Linf eps, or a Gaussian direction of L2 length eps, independent of any model (control)."""
    del surrogate, labels, targets
    eps = as_float(strength)
    if norm == "linf":
        return (images + eps * uniform_signs(images, generator)).clamp(0, 1)
    direction = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return of_length(images, direction, eps)


def of_length(images: Tensor, direction: Tensor, length: float, rounds: int = 40) -> Tensor:
    """Return images moved along a direction so that the move, after clipping to [0, 1], has the given L2 length.

    The scale is found by bisection, image by image; where the box does not allow the length, the farthest reachable
    image is returned.
    """
    unit = direction / torch.linalg.vector_norm(direction.flatten(1), dim=1).clamp_min(1e-30)[:, None, None, None]
    low = torch.zeros(len(images), dtype=images.dtype, device=images.device)
    high = torch.full_like(low, 64.0 * length + 1.0)
    for _ in range(rounds):
        middle = (low + high) / 2
        moved = (images + middle[:, None, None, None] * unit).clamp(0, 1)
        short = torch.linalg.vector_norm((moved - images).flatten(1), dim=1) <= length
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    farthest: Tensor = (images + low[:, None, None, None] * unit).clamp(0, 1)
    return farthest
