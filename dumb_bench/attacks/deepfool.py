"""DeepFool: the nearest boundary of the linearised classifier, step by step (Moosavi-Dezfooli et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack
from dumb_bench.attacks.iterative import per_image

CROSSING = 0.02
"""The overshoot (section 3.3) with which the search itself crosses the boundary that it would only touch."""

Advance = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(numbers (n,) of the images that go on, where they are, their steps, both (n, C, H, W) float64) -> where they go."""


Step = tuple[Tensor, Tensor]
"""Which points still have their label, (N,) bool, and those points' steps, (n, C, H, W) float64."""


def _step(surrogate: Surrogate, points: Tensor, labels: Tensor, rivals: int) -> Step:
    """Return which points (n, C, H, W) still have their label, (n,) bool, and those points' steps, float64.

    Equations 7 to 9 of algorithm 2: with w_k the gradient of f_k - f_label, the step is |f_k - f_label| / |w_k|^2 w_k
    of the class k where |f_k - f_label| / |w_k| is smallest; 0 where all gradients are 0.
    """
    point = points.requires_grad_()
    logits = surrogate(point)
    still = logits.argmax(1) == labels
    left = int(still.sum())
    if left == 0:
        return still, points[still].detach().double()
    rest = still
    if (len(points) - left) * rivals > left:  # one more forward pass of the rest costs less than gradients for all
        point, labels = points.detach()[still].requires_grad_(), labels[still]
        logits = surrogate(point)
        rest = torch.ones_like(labels, dtype=torch.bool)
    exact = logits.detach().double()
    own = exact.gather(1, labels[:, None])
    others = exact.scatter(1, labels[:, None], -torch.inf).topk(rivals).indices
    nearest = torch.full_like(own[:, 0], torch.inf)
    length = torch.zeros_like(nearest)
    slope = torch.zeros_like(point)
    for place in range(rivals):
        rival = others[:, place, None]
        difference = torch.zeros_like(logits).scatter(1, rival, 1.0).scatter(1, labels[:, None], -1.0)
        (found,) = torch.autograd.grad(logits, point, grad_outputs=difference, retain_graph=place + 1 < rivals)
        size = torch.linalg.vector_norm(found.flatten(1), dim=1, dtype=torch.float64)
        distance = (exact.gather(1, rival) - own)[:, 0].abs() / size
        closer = distance < nearest
        nearest = torch.where(closer, distance, nearest)
        length = torch.where(closer, size, length)
        slope = torch.where(per_image(closer), found, slope)
    factor = torch.where(length > 0, nearest / length, 0.0)
    return still, (per_image(factor) * slope)[rest]


def _walk(
    images: Tensor, steps: int, first: Callable[[], Step], later: Callable[[Tensor, Tensor], Step], advance: Advance
) -> Tensor:
    """Return where the images (N, C, H, W) arrive; those that crossed their boundary are not computed any further.

    first: the step of all images; later: of (numbers (n,), where those are).
    """
    points = images.clone()
    going = torch.arange(len(images), device=images.device)
    for number in range(steps):
        still, step = later(going, points[going]) if number else first()
        going = going[still]
        if len(going) == 0:
            break
        points[going] = advance(going, points[going].double(), step).clamp(0, 1).to(images.dtype)
    return points


def _path(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: int = 50,
    candidates: int | None = None,
    reference: bool = False,
) -> Callable[[float], Tensor]:
    del generator, targets
    rivals = surrogate.num_classes - 1 if candidates is None else min(candidates, surrogate.num_classes - 1)

    def later(going: Tensor, points: Tensor) -> Step:
        return _step(surrogate, points, labels[going], rivals)

    def first() -> Step:
        return _step(surrogate, images.clone(), labels, rivals)

    if getattr(surrogate, "repeatable", False):
        first = cache(first)  # the same at every overshoot

    def published(overshoot: float) -> Tensor:
        def advance(going: Tensor, points: Tensor, step: Tensor) -> Tensor:
            del going
            return points + (1 + overshoot) * step

        return _walk(images, steps, first, later, advance)

    if reference:
        return published
    total = torch.zeros_like(images, dtype=torch.float64)

    def advance(going: Tensor, points: Tensor, step: Tensor) -> Tensor:
        del points
        total[going] += step
        return images[going].double() + (1 + CROSSING) * total[going]

    _walk(images, steps, first, later, advance)

    def at(overshoot: float) -> Tensor:
        return (images.double() + (1 + overshoot) * total).clamp(0, 1).to(images.dtype)

    return at


@attack(
    "deepfool", norm=None, strength="overshoot", unit="factor",
    default_strengths=tuple(float(factor) for factor in range(10, 101)), maximum=1000.0, path=_path,
    paper="arXiv:1511.04599",
)  # fmt: skip
def deepfool(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: Annotated[int, Field(ge=1, le=10_000)] = 50,
    candidates: Annotated[int, Field(ge=1)] | None = None,
    reference: bool = False,
) -> Tensor:
    """DeepFool for L2, algorithm 2: x + (1 + overshoot) r, with r the smallest perturbation found to cross a boundary.

    r is the sum of the steps and is found once for all overshoots; while it is sought the image is x + 1.02 r, clipped
    to [0, 1]. An image that the surrogate misclassifies has r = 0 and comes back unchanged.

    candidates: how many other classes a step looks at, those with the largest logits; None for all of them, as in the
    algorithm (the authors' code takes 9). reference: as the published DUMB runs, by torchattacks' form, which applies
    1 + overshoot to every step and goes on from there.
    """
    at = _path(
        surrogate, images, labels, generator=generator, targets=targets,
        steps=steps, candidates=candidates, reference=reference,
    )  # fmt: skip
    return at(as_float(strength))
