"""The one loop of the iterative attacks. Its stages are functions, so that they combine.

input transformation (`views/`) -> gradient (`Estimate`) -> momentum -> direction -> projection
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import REFERENCE_STEP, Norm, iterations_step
from dumb_bench.attacks.recording import Loop
from dumb_bench.attacks.shared_steps import shared_walk
from dumb_bench.attacks.views.base import Scene, View
from dumb_bench.errors import InputError
from dumb_bench.perturbation import project

Gradient = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) -> the gradient to ascend there, float64: the mean over the copies of the transformation."""


Estimate = Callable[[Tensor, Tensor, Gradient], Tensor]
"""The gradient stage, what a method takes for the gradient of a step: (images (N, C, H, W), momentum of the steps
before, 0 at first, gradient) -> (N, C, H, W). May keep state from step to step.
"""

Direction = Callable[[Tensor], Tensor]
"""Momentum (N, C, H, W) -> the move of one step of size 1 in the norm."""


def plain(images: Tensor, momentum: Tensor, gradient: Gradient) -> Tensor:
    """Return the gradient at the images themselves."""
    del momentum
    return gradient(images)


def gradient_of(scene: Scene, view: View) -> Gradient:
    """Return the gradient of an objective through an input transformation, averaged over its copies, then smoothed."""

    def gradient(images: Tensor) -> Tensor:
        mean = scene.objective.gradient(images, lambda point: view.apply(point, 0))
        if view.copies > 1:
            for copy in range(1, view.copies):
                mean = mean + scene.objective.gradient(images, lambda point, copy=copy: view.apply(point, copy))  # type: ignore[misc]
            mean = mean / view.copies
        return mean if view.smooth is None else view.smooth(mean)

    return gradient


def averaged(gradient: Gradient, draws: int) -> Gradient:
    """Return the mean gradient over so many calls, in which a random surrogate draws anew; that of one call for 1."""
    if draws == 1:
        return gradient

    def mean(images: Tensor) -> Tensor:
        total = gradient(images)
        for _ in range(draws - 1):
            total = total + gradient(images)
        return total / draws

    return mean


def per_image(values: Tensor) -> Tensor:
    """Return (N,) as (N, 1, 1, 1)."""
    return values[:, None, None, None]


def unit_l1(gradient: Tensor) -> Tensor:
    """Return each image's gradient over the mean of its absolute values; 0 stays 0."""
    size = gradient.abs().flatten(1).mean(1)
    return gradient / per_image(size.where(size > 0, 1))


def unit_l2(gradient: Tensor) -> Tensor:
    """Return each image's gradient over its L2 length; 0 stays 0."""
    size = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return gradient / per_image(size.where(size > 0, 1))


def direction_in(norm: str) -> Direction:
    """Return the steepest move of size 1: the sign for Linf, the unit vector for L2."""
    return torch.sign if norm == "linf" else unit_l2


def per_value(size: float, images: Tensor, norm: str) -> float:
    """Return what a size in the norm is for a single value: all of it in Linf; in L2 when spread over all values."""
    return size if norm == "linf" else size / math.sqrt(images.shape[1:].numel())


def neighbour(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """Return a uniformly random point of the cube around each image; it may leave the box. radius: of a value."""
    return images + torch.empty_like(images).uniform_(-radius, radius, generator=generator)


def start_in(images: Tensor, eps: float, norm: str, generator: torch.Generator) -> Tensor:
    """Return a uniformly random point of the ball around each image, in the box."""
    if norm == "linf":
        return neighbour(images, eps, generator).clamp(0, 1)
    way = unit_l2(torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype))
    share = torch.rand(len(images), generator=generator, device=images.device, dtype=images.dtype)
    radius = eps * share ** (1 / images.shape[1:].numel())
    return project(images + per_image(radius) * way, images, norm, eps)


def chosen_step(name: str, step: float, norm: str, *, reference: bool) -> float:
    """Return an attack's step, or the one of the published DUMB runs (Alecci et al., RAID 2023), whatever eps is.

    Raises:
        InputError: the published step is asked for in L2, where there is none.
    """
    if not reference:
        return step
    if norm != "linf":
        raise InputError(f"attack {name!r}: parameter 'reference': expected norm 'linf', got {norm!r}")
    return REFERENCE_STEP


RelativeStep = Annotated[float, Field(gt=0, le=1)]
"""The size of a step as a share of eps."""


def sized(eps: float, steps: int, relative: RelativeStep | None) -> float:
    """Return the size of a step: a share of eps, or where none is given eps / steps."""
    return iterations_step(eps, steps) if relative is None else relative * eps


def iterate(
    images: Tensor,
    eps: float,
    *,
    gradient: Gradient,
    generator: torch.Generator,
    norm: Norm = "linf",
    steps: int = 10,
    step: float | None = None,
    decay: float = 1.0,
    random_start: bool = False,
    start: Tensor | None = None,
    estimate: Estimate = plain,
    direction: Direction | None = None,
    shares: bool = False,
) -> Tensor:
    """Return adversarial images (N, C, H, W) within eps of the images in the norm, and in [0, 1].

    images: (N, C, H, W) in [0, 1]. eps: the budget, in the norm's unit. step: the size of each, None for eps / steps.
    decay: of the momentum g = decay * g + grad / mean|grad| (Dong et al., CVPR 2018, equation 6); 0 for none.
    start: (N, C, H, W) where to begin; None for the images, or with random_start a random point of the ball.
    direction: of a step, by default the norm's steepest one. shares: whether neither step nor gradient knows eps: then
    calls at other strengths take the same steps while no budget binds (`shared_steps.py`), in Linf without momentum.

    The images after each step can be recorded (`recording.py`).

    Steps are summed up in float64: in float32 hundreds of small ones would miss the budget by more than its tolerance.
    """
    size = eps / max(steps, 1) if step is None else step
    towards = direction_in(norm) if direction is None else direction
    if start is None:
        start = start_in(images, eps, norm, generator) if random_start else images
    adversarial = start.double()
    momentum = torch.zeros_like(adversarial)
    loop = Loop(steps, images.dtype)
    signs = norm == "linf" and decay == 0 and direction is None
    walk = shared_walk(start, size, generator) if shares and signs else None
    for number in range(1, steps + 1):
        move = None if walk is None else walk.known()
        if move is None:
            found = estimate(adversarial.to(images.dtype), momentum, gradient)
            if signs and estimate is plain:
                move = torch.sign(found)  # neither what divides it nor momentum of weight 0 changes a sign
            else:
                momentum = decay * momentum + unit_l1(found) if decay else unit_l1(found)
                move = towards(momentum)
            if walk is not None:
                walk.keep(move)
        moved = adversarial + size * move
        if walk is not None and not bool((moved - images).abs().amax() <= eps):
            walk = None
        adversarial = project(moved, images, norm, eps)
        loop.note(number, adversarial)
    return loop.end(adversarial.to(images.dtype))
