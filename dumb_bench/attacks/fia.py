"""FIA: the features that matter for the true class are suppressed, the others raised (Wang et al., ICCV 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.features import Depth, FeatureObjective, FeatureReader, Maps, of_member, pull_back
from dumb_bench.attacks.iterative import gradient_of, iterate, unit_l2
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


def aggregate_gradient(
    read: FeatureReader, images: Tensor, labels: Tensor, copies: int, drop: float, generator: torch.Generator
) -> dict[int, Tensor]:
    """Return the aggregate gradient of each member's features, (N, C, H, W) float64 of length 1 (section 3).

    The gradients of the true class's logit by the features are added over copies of the image in which each value is
    set to 0 with probability `drop`.
    """
    weights: dict[int, Tensor] = {}
    for _ in range(copies):
        kept = torch.rand(images.shape, generator=generator, device=images.device) >= drop
        looked = read((images * kept).requires_grad_())
        slope = functional.one_hot(labels, looked.logits.shape[1]).double()
        for member, found in _by_maps(looked.logits, slope, looked.maps).items():
            weights[member] = weights[member] + found if member in weights else found
    return {member: unit_l2(total) for member, total in weights.items()}


def _by_maps(logits: Tensor, slope: Tensor, maps: Maps) -> dict[int, Tensor]:
    found = pull_back([logits], [slope], [of_one[0] for of_one in maps.values()])
    return dict(zip(maps, found, strict=True))


@attack("fia", uses="features", default_strengths=(16 / 255,), stochastic=True, paper="arXiv:2107.14185")
def fia(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    copies: Annotated[int, Field(ge=1, le=10_000)] = 30,
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    layer: Depth = 0.5,
    inputs: tuple[InputName, ...] = (),
) -> Tensor:
    """The features, weighted by the aggregate gradient of the clean image, are descended (section 3).

    Their gradient is not zero at the clean image, so the attack starts there, with the steps of MI-FGSM (algorithm 1).
    For an ensemble the weighted features are added.
    """
    del targets
    eps = as_float(strength)
    with FeatureReader(surrogate, layer) as read:
        weights = aggregate_gradient(read, images, labels, copies, drop, generator)

        def loss(member: int, maps: tuple[Tensor, ...]) -> Tensor:
            return -(of_member(weights, member) * maps[0]).sum()

        scene = Scene(FeatureObjective(read, labels, loss), generator, eps)
        return iterate(
            images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
            norm=norm, steps=steps, decay=decay,
        )  # fmt: skip
