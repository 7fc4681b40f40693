"""TAP: transferable adversarial perturbations, away from the clean features of all layers (Zhou et al., ECCV 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.features import FeatureObjective, FeatureReader, of_member
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views
from dumb_bench.errors import InputError


def signed_power(features: Tensor, alpha: float) -> Tensor:
    """Return sign(f) |f|^alpha of each feature; where f is 0, so is the gradient."""
    size = features.abs()
    return features.sign() * size.where(size > 0, 1) ** alpha


def smoothness_gradient(images: Tensor, clean: Tensor, box: int) -> Tensor:
    """Return the gradient at images of the sum of |perturbation, averaged over box x box pixels|, float64."""
    delta = (images - clean).double().requires_grad_()
    (found,) = torch.autograd.grad(functional.avg_pool2d(delta, box, 1, box // 2).abs().sum(), delta)
    return found


@attack("tap", uses="features", default_strengths=(16 / 255,), paper="Zhou et al., ECCV 2018")
def tap(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    feature_weight: Annotated[float, Field(ge=0)] = 0.005,
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.5,
    smooth_weight: Annotated[float, Field(ge=0)] = 0.01,
    box: Annotated[int, Field(ge=1, le=63)] = 3,
    inputs: tuple[InputName, ...] = (),
) -> Tensor:
    """Cross entropy + feature_weight * distance + smooth_weight * smoothness is ascended by the sign of its gradient.

    Distance: the sum over all layers of |T(F(x')) - T(F(x))|^2 with T(f) = sign(f) |f|^alpha, which keeps large
    features from ruling. Smoothness: the sum of |x' - x| after a box filter, which favours perturbations of low
    frequency. The distance has gradient 0 at the clean image, where the attack starts: the cross entropy makes the
    first step. The weights are those of later implementations. For an ensemble the distances are added.

    Raises:
        InputError: an even box, which has no centre.
    """
    del targets
    if box % 2 == 0:
        raise InputError(f"attack 'tap': parameter 'box': expected an odd number of pixels, got {box}")
    eps = as_float(strength)
    with FeatureReader(surrogate, None) as read:
        clean = {
            member: [signed_power(found.double(), alpha) for found in maps]
            for member, maps in read.constants(images).items()
        }

        def distance(member: int, maps: tuple[Tensor, ...]) -> Tensor:
            total = maps[0].new_zeros(())
            for now, was in zip(maps, of_member(clean, member), strict=True):
                total = total + (signed_power(now, alpha) - was).square().sum()
            return feature_weight * total

        scene = Scene(FeatureObjective(read, labels, distance, logits_weight=1.0), generator, eps)
        features = gradient_of(scene, views(inputs, scene))

        def gradient(point: Tensor) -> Tensor:
            return features(point) + smooth_weight * smoothness_gradient(point, images, box)

        return iterate(images, eps, gradient=gradient, generator=generator, norm=norm, steps=steps, decay=0.0)
