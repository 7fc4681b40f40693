"""The contract of an input transformation: what an attack does to an image before it asks the surrogate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dumb_bench.attacks.gradients import Objective


class Scene(NamedTuple):
    """What a transformation may know.

    objective: what is ascended. generator: its only source of random numbers. eps: the budget.
    """

    objective: Objective
    generator: torch.Generator
    eps: float


def unchanged(images: Tensor, copy: int) -> Tensor:
    """Return the images as they are."""
    del copy
    return images


class View(NamedTuple):
    """An input transformation.

    copies: how many transformed copies of an image a gradient is averaged over. apply: (images (N, C, H, W), number of
    the copy from 0) -> transformed images, differentiable, entry n made of image n. smooth: applied to the averaged
    gradient (N, C, H, W), None for nothing (the kernel of TI).
    """

    copies: int = 1
    apply: Callable[[Tensor, int], Tensor] = unchanged
    smooth: Callable[[Tensor], Tensor] | None = None


Transformation = Callable[[Scene], View]
"""Made for one call of an attack; may keep state between its copies and steps."""


def compose(views: Sequence[View]) -> View:
    """Return the transformation that applies several, the first first; their copies multiply."""
    if len(views) == 1:
        return views[0]
    copies = 1
    for view in views:
        copies *= view.copies

    def apply(images: Tensor, copy: int) -> Tensor:
        for view in views:
            copy, own = divmod(copy, view.copies)
            images = view.apply(images, own)
        return images

    filters = [view.smooth for view in views if view.smooth is not None]

    def smooth(gradient: Tensor) -> Tensor:
        for each in filters:
            gradient = each(gradient)
        return gradient

    return View(copies, apply, smooth if filters else None)
