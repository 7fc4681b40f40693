"""Square Attack: random search with squares, no gradients (Andriushchenko, Croce, Flammarion, Hein; ECCV 2020)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import Surrogate, as_float, attack, uniform_signs

HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""The iterations of 10,000 after which the squares' share of the image is halved (section 3.2)."""


def side_of(iteration: int, n_queries: int, p_init: float, height: int, width: int) -> int:
    """Return the side in pixels of the squares of an iteration, from 0; the schedule is rescaled to `n_queries`."""
    scaled = iteration * 10_000 // n_queries
    share = p_init / 2 ** sum(scaled > limit for limit in HALVED_AFTER)
    return min(max(round(math.sqrt(share * height * width)), 1), height, width)


def _loss(logits: Tensor, labels: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return what is descended, (n,) float64, and which images have arrived, (n,) bool."""
    exact = logits.double()
    if targets is not None:
        return functional.cross_entropy(exact, targets, reduction="none"), logits.argmax(1) == targets
    own = exact.gather(1, labels[:, None])[:, 0]
    best_other = exact.scatter(1, labels[:, None], -torch.inf).amax(1)
    return own - best_other, logits.argmax(1) != labels


@attack(
    "square", default_strengths=(0.10, 0.15, 0.20, 0.25, 0.30), targeted=True, stochastic=True, reaches_budget=True,
    paper="arXiv:1912.00049",
)  # fmt: skip
def square(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    n_queries: Annotated[int, Field(ge=1, le=1_000_000)] = 5000,
    p_init: Annotated[float, Field(gt=0, le=1)] = 0.8,
) -> Tensor:
    """Square Attack for Linf, algorithms 1 and 2, every image with squares and colours of its own.

    It starts from vertical stripes at +-eps and keeps a square of new colours +-eps where that lowers the margin
    f_label - max f_other (the cross entropy of the target, where there is one). An image that is fooled asks no more;
    one that never is comes back as the best found. n_queries: forward passes an image, the stripes' included (they are
    given to all, images misclassified from the start too). p_init: the squares' share of the image at first.
    """
    eps = as_float(strength)
    count, height, width = len(images), *images.shape[-2:]
    with torch.no_grad():
        stripes = uniform_signs(images[:, :, :1], generator)
        best = (images + eps * stripes).clamp(0, 1)
        lowest, arrived = _loss(surrogate(best), labels, targets)
        asking = torch.nonzero(~arrived).flatten()
        for iteration in range(n_queries - 1):
            if len(asking) == 0:
                break
            side = side_of(iteration, n_queries, p_init, height, width)
            # drawn for all images, so that none depends on how many of the others are still asking
            place = torch.rand((2, count, 1), generator=generator, device=images.device, dtype=torch.float64)
            colours = uniform_signs(images[:, :, :1, :1], generator)[asking]
            down = _covered(height, place[0, asking], side)[:, None, :, None]
            across = _covered(width, place[1, asking], side)[:, None, None, :]
            now = best[asking]
            candidate = torch.where(down & across, (images[asking] + eps * colours).clamp(0, 1), now)
            goal = None if targets is None else targets[asking]
            loss, arrived = _loss(surrogate(candidate), labels[asking], goal)
            lower = loss < lowest[asking]
            lowest[asking] = torch.where(lower, loss, lowest[asking])
            best[asking] = torch.where(lower[:, None, None, None], candidate, now)
            asking = asking[~(lower & arrived)]
    return best


def _covered(length: int, place: Tensor, side: int) -> Tensor:
    """Return which of an axis' pixels lie in the square, (n, length): its first is `place` (n, 1) of the way along."""
    first = (place * (length - side + 1)).floor()
    pixels = torch.arange(length, device=place.device)
    return (pixels >= first) & (pixels < first + side)
