"""A black square somewhere: a degradation that looks at no model (RandomBlackBox of Alecci et al., RAID 2023)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack

MARGIN = 6
"""A sixth of the image's side stays free at every edge: 50 of the 300 pixels of the published runs."""


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
    height, width = images.shape[-2:]
    place = torch.rand((2, len(images), 1), generator=generator, device=images.device, dtype=torch.float64)

    def at(share: float) -> Tensor:
        shorter = min(height, width)
        side = min(int(share * shorter + 0.5), shorter - 2 * (shorter // MARGIN))
        drawn = side + 1 if reference else side
        down = _covered(height, place[0], side, drawn)[:, None, :, None]
        across = _covered(width, place[1], side, drawn)[:, None, None, :]
        return images.masked_fill(down & across, 0)

    return at


def _covered(length: int, place: Tensor, side: int, drawn: int) -> Tensor:
    """Return which of an axis' pixels lie in the square, (N, length): its first is `place` (N, 1) of the way along."""
    margin = length // MARGIN
    first = margin + (place * (length - 2 * margin - side + 1)).floor()
    pixels = torch.arange(length, device=place.device)
    return (pixels >= first) & (pixels < first + drawn)


@attack(
    "random_black_box", norm=None, strength="side", unit="share of the image side",
    default_strengths=tuple(pixels / 300 for pixels in range(10, 201, 10)), maximum=2 / 3, uses="nothing",
    stochastic=True, path=_path, paper="Alecci et al., RAID 2023",
)  # fmt: skip
def random_black_box(
    surrogate: Surrogate | None,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    reference: bool = False,
) -> Tensor:
    """A black square within the central two thirds of the image; of each image, larger squares contain smaller ones.

    strength: its side over the image's shorter side, rounded to whole pixels. reference: as the published runs, whose
    rectangle includes both its corners and so is one pixel wider and higher.
    """
    at = _path(surrogate, images, labels, generator=generator, targets=targets, reference=reference)
    return at(as_float(strength))
