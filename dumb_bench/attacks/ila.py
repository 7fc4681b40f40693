"""ILA: an intermediate level attack that fine-tunes another's perturbation (Huang et al., ICCV 2019)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Norm, Surrogate, as_float, attack
from dumb_bench.attacks.features import Depth, FeatureObjective, FeatureReader, of_member
from dumb_bench.attacks.gradients import LossName, Objective
from dumb_bench.attacks.iterative import gradient_of, iterate, unit_l2
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import InputName, views


@attack("ila", uses="features", default_strengths=(16 / 255,), paper="arXiv:1907.10823")
def ila(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    norm: Norm = "linf",
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    first_steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    first_decay: Annotated[float, Field(ge=0)] = 0.0,
    layer: Depth = 0.5,
    inputs: tuple[InputName, ...] = (),
    loss: LossName = "cross_entropy",
) -> Tensor:
    """ILAP: the projection of the change of the features on its direction in a first attack is ascended from the image.

    The first attack is I-FGSM (first_decay 0) or MI-FGSM (1) for first_steps, with `inputs` and `loss`; it gives x',
    and the guide dy' = F(x') - F(x) at the layer. The second ascends dy' dy'' / |dy'| with dy'' = F(x'') - F(x), by
    the sign of its gradient, without momentum, from x'' = x, where that gradient is not zero. For an ensemble the
    projections are added. An image whose features the first attack left as they were stays as it is.
    """
    del targets
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, loss=loss), generator, eps)
    first = iterate(
        images, eps, gradient=gradient_of(scene, views(inputs, scene)), generator=generator,
        norm=norm, steps=first_steps, decay=first_decay,
    )  # fmt: skip
    with FeatureReader(surrogate, layer) as read:
        clean, moved = read.constants(images), read.constants(first)
        guide = {member: unit_l2(of_member(moved, member)[0].double() - clean[member][0].double()) for member in clean}

        def projection(member: int, maps: tuple[Tensor, ...]) -> Tensor:
            return (of_member(guide, member) * maps[0]).sum()

        objective = FeatureObjective(read, labels, projection)
        return iterate(images, eps, gradient=objective.gradient, generator=generator, norm=norm, steps=steps, decay=0.0)
