"""NAA: neurons are attacked by what they contribute to the true class (Zhang et al., CVPR 2022)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.features import Depth, FeatureObjective, FeatureReader, of_member, pull_back
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


def probability_slope(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the label's softmax probability p by logits (N, K), float64.

    p (1 - p) for the label, -p p_j for the others, written so that it lives where p rounds to 1.
    """
    exact = logits.detach().double()
    own = torch.zeros_like(exact, dtype=torch.bool).scatter_(1, labels[:, None], True)
    others = exact.masked_fill(own, -torch.inf)
    margin = exact[own] - others.logsumexp(1)
    change = (torch.sigmoid(margin) * torch.sigmoid(-margin))[:, None]
    return torch.where(own, change, -change * others.softmax(1))


def integrated_attention(read: FeatureReader, images: Tensor, labels: Tensor, count: int) -> dict[int, Tensor]:
    """Return each feature's integrated attention, (N, C, H, W) float64 (section 3).

    The mean gradient of the label's probability by the features, over `count` points from the black image, which is
    left out, to the image, which is in.
    """
    total: dict[int, Tensor] = {}
    passes: dict[int, int] = {}
    for number in range(1, count + 1):
        looked = read((images * (number / count)).requires_grad_())
        maps = [of_one[0] for of_one in looked.maps.values()]
        found = pull_back([looked.logits], [probability_slope(looked.logits, labels)], maps)
        for member, gradient in zip(looked.maps, found, strict=True):
            total[member] = total[member] + gradient if member in total else gradient
            passes[member] = passes.get(member, 0) + 1
    return {member: gradient / passes[member] for member, gradient in total.items()}


@attack("naa", uses="features", default_strengths=(16 / 255,), paper="arXiv:2204.00008")
def naa(
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
    integration_steps: Annotated[int, Field(ge=1, le=10_000)] = 30,
    gamma: Annotated[float, Field(ge=0)] = 1.0,
    layer: Depth = 0.5,
    inputs: tuple[InputName, ...] = (),
) -> Tensor:
    """The weighted attribution of the layer is descended: that of positive neurons plus gamma times that of negative.

    A neuron's attribution is its change since the black image times its integrated attention; positive and negative
    ones enter linearly, the paper's best choice. Its gradient is not zero at the clean image, so the attack starts
    there, with the steps of MI-FGSM. For an ensemble the attributions are added. The authors' code adds Gaussian
    noise to the points of the path, their paper does not, nor does this.
    """
    del targets
    eps = as_float(strength)
    with FeatureReader(surrogate, layer) as read:
        attention = integrated_attention(read, images, labels, integration_steps)
        black = read.constants(torch.zeros_like(images[:1]))

        def loss(member: int, maps: tuple[Tensor, ...]) -> Tensor:
            attribution = (maps[0] - of_member(black, member)[0].double()) * of_member(attention, member)
            return -torch.where(attribution < 0, gamma * attribution, attribution).sum()

        scene = Scene(FeatureObjective(read, labels, loss), generator, eps)
        return iterate(
            images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
            norm=norm, steps=steps, decay=decay,
        )  # fmt: skip
