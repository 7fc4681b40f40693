"""Salt and pepper: a degradation that looks at no model (SaltPepper of Alecci et al., RAID 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack
from dumb_bench.attacks.grey_scale import luminance


def _path(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Callable[[float], Tensor]:
    del surrogate, labels, targets
    if reference:
        return _published(images, generator)
    count, _, height, width = images.shape
    field = torch.rand((count, 1, height, width), generator=generator, device=images.device, dtype=images.dtype)

    def at(amount: float) -> Tensor:
        return images.masked_fill(field < amount / 2, 0).masked_fill(field >= 1 - amount / 2, 1)

    return at


def _published(images: Tensor, generator: torch.Generator) -> Callable[[float], Tensor]:
    """Return the published form; smaller amounts take the first of the places that the largest one takes."""
    count, channels, height, width = images.shape
    pixels = height * width
    most = math.ceil(pixels * 0.5)

    def places() -> Tensor:
        rows, columns = (
            torch.randint(0, side - 1, (count, 1, most), generator=generator, device=images.device)
            for side in (height, width)
        )
        return rows * width + columns

    salt, pepper = places(), places()
    grey = luminance(images, reference=True).flatten(2)

    def at(amount: float) -> Tensor:
        taken = math.ceil(amount * pixels * 0.5)
        spoilt = grey.scatter(2, salt[..., :taken], 1 / 255).scatter(2, pepper[..., :taken], 0)
        return spoilt.view(count, 1, height, width).expand(-1, channels, -1, -1)

    return at


@attack(
    "salt_pepper", norm=None, strength="amount", unit="share of the pixels",
    default_strengths=tuple(step / 200 for step in range(1, 21)), uses="nothing", stochastic=True,
    path=_path, paper="Alecci et al., RAID 2023",
)  # fmt: skip
def salt_pepper(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Tensor:
    """Each pixel turns white or black, with probability amount / 2 each; larger amounts contain smaller ones.

    reference: as the published runs: the image turns grey (all channels), `amount` / 2 of the pixels, drawn with
    repetition and never from the last row or column, get level 1 of 255 (meant as white), then as many get 0.
    """
    at = _path(surrogate, images, labels, generator=generator, targets=targets, reference=reference)
    return at(as_float(strength))
