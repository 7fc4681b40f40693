"""MI-FGSM through an input transformation of one's own: copies of the image at random brightness."""

from typing import Annotated

import torch
from pydantic import Field

from dumb_bench.attacks.base import as_float, attack
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.iterative import gradient_of, iterate
from dumb_bench.attacks.views.base import Scene, View, compose
from dumb_bench.attacks.views.named import InputName, views


def dimmed(scene, copies, darkest):
    """Return the transformation: each copy of each image is multiplied by a random factor from `darkest` to 1."""

    def apply(images, copy):
        factors = torch.rand((len(images), 1, 1, 1), generator=scene.generator, device=images.device)
        return (darkest + (1 - darkest) * factors) * images

    return View(copies, apply)


@attack("dimmed_mifgsm", targeted=True, stochastic=True, default_strengths=(0.08, 0.16))
def dimmed_mifgsm(
    surrogate,
    images,
    labels,
    strength,
    *,
    generator,
    targets=None,
    steps: Annotated[int, Field(ge=1)] = 10,
    decay: Annotated[float, Field(ge=0)] = 1.0,
    copies: Annotated[int, Field(ge=1, le=100)] = 5,
    darkest: Annotated[float, Field(ge=0, le=1)] = 0.25,
    inputs: tuple[InputName, ...] = (),
):
    """MI-FGSM whose gradients are averaged over `copies` at random brightness, after the transformations `inputs`."""
    eps = as_float(strength)
    scene = Scene(Objective(surrogate, labels, targets), generator, eps)
    view = compose([views(inputs, scene), dimmed(scene, copies, darkest)])
    return iterate(images, eps, gradient=gradient_of(scene, view), generator=generator, steps=steps, decay=decay)
