"""Smooth FGSM: FGSM along a gradient that is averaged over neighbouring pixels."""

from typing import Literal

from torch.nn.functional import avg_pool2d

from dumb_bench.attacks.base import as_float, attack
from dumb_bench.attacks.gradients import Objective


def along_smooth_gradient(surrogate, images, labels, *, generator, targets=None, side=3):
    """Return the images as a function of eps: one gradient serves every strength."""
    gradient = Objective(surrogate, labels, targets).gradient(images)
    towards = avg_pool2d(gradient, side, stride=1, padding=side // 2).sign().to(images.dtype)

    def at(eps):
        return (images + eps * towards).clamp(0, 1)

    return at


@attack(
    "smooth_fgsm", targeted=True, default_strengths=(0.02, 0.04, 0.08, 0.16), reaches_budget=True,
    path=along_smooth_gradient,
)  # fmt: skip
def smooth_fgsm(
    surrogate, images, labels, strength, *, generator, targets=None, side: Literal[1, 3, 5, 7] = 3,
):  # fmt: skip
    """One step x + eps sign(grad J), the gradient averaged over squares of `side` pixels."""
    at = along_smooth_gradient(surrogate, images, labels, generator=generator, targets=targets, side=side)
    return at(as_float(strength))
