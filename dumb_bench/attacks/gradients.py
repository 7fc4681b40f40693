"""What an attack ascends, and its gradient with respect to the image, alive where float32 would have lost it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import Surrogate

LossName = Literal["cross_entropy", "logit", "logit_margin"]
"""The losses that a grid can name."""


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Return what is ascended, (N,): the cross entropy of the label; of the target, negative, when there is one."""
    if targets is None:
        return functional.cross_entropy(logits, labels, reduction="none")
    return -functional.cross_entropy(logits, targets, reduction="none")


def logit(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Return what is ascended, (N,): the target's logit (Zhao et al., NeurIPS 2021), else the label's, negative."""
    if targets is None:
        return -logits.gather(1, labels[:, None])[:, 0]
    return logits.gather(1, targets[:, None])[:, 0]


def logit_margin(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Return the cross entropy, signed as above, of the logits over their margin, (N,) (Weng et al., TIFS 2023).

    The margin, the largest logit less the second, is a constant to the gradient, as in the authors' code; the loss does
    not change with the scale of the logits. Logits whose two largest are equal are not divided.
    """
    first, second = logits.detach().topk(2, dim=1).values.unbind(1)
    margin = first - second
    return cross_entropy(logits / margin.where(margin > 0, 1)[:, None], labels, targets)


Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy, "logit": logit, "logit_margin": logit_margin,
}  # fmt: skip
assert set(LOSSES) == set(get_args(LossName))

View = Callable[[Tensor], Tensor]


class Objective:
    """What an attack ascends on a surrogate: a loss of its logits, image by image.

    Args:
        surrogate: from [0, 1] images to logits. labels: (N,) the truth. targets: (N,) or None. loss: one of `LOSSES`.
    """

    def __init__(
        self, surrogate: Surrogate, labels: Tensor, targets: Tensor | None = None, loss: str = "cross_entropy"
    ) -> None:
        self.surrogate = surrogate
        self.labels = labels
        self.targets = targets
        self._loss = LOSSES[loss]

    def values(self, logits: Tensor) -> Tensor:
        """Return the loss of each image, (N,), of logits (N, K)."""
        return self._loss(logits, self.labels, self.targets)

    def gradient(self, images: Tensor, view: View | None = None) -> Tensor:
        """Return the gradient at images (N, C, H, W), float64; `view` transforms them (differentiably) before.

        The softmax of a confident network underflows in float32 on its way back, and the attack would stand still. So
        the loss is taken in float64, and its gradient by the logits is scaled, image by image, by a power of two before
        it goes through the network and scaled back after: every sign, ratio and sum is what it would be without
        underflow.
        """
        most = getattr(self.surrogate, "gradient_batch", None)
        if view is not None or most is None or len(images) <= most or type(self) is not Objective:
            return self._gradient(images, view)
        parts = [slice(start, start + most) for start in range(0, len(images), most)]
        return torch.cat([self._part(part)._gradient(images[part], None) for part in parts])

    def _part(self, part: slice) -> Objective:
        """Return the objective of some of the images."""
        found = copy.copy(self)
        found.labels = self.labels[part]
        found.targets = None if self.targets is None else self.targets[part]
        return found

    def _gradient(self, images: Tensor, view: View | None) -> Tensor:
        runner = getattr(self.surrogate, "gradient_graphs", None)
        point = images.detach().requires_grad_()
        if runner is None or type(self) is not Objective:
            logits = self.surrogate(point if view is None else view(point))
            scaled, exponent = self._slope(logits)
            (found,) = torch.autograd.grad(logits, point, grad_outputs=scaled)
            return _unscaled(found, exponent)
        seen = point if view is None else view(point)
        given = [seen.detach(), self.labels, *([] if self.targets is None else [self.targets])]
        name = (self._loss.__name__, self.targets is None)
        at_seen, exponent = runner(name, partial(_through, self.surrogate, self._loss), given)
        found = at_seen if view is None else torch.autograd.grad(seen, point, grad_outputs=at_seen)[0]
        return _unscaled(found, exponent)

    def _slope(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss's gradient by the logits (N, K), scaled to be near 1, and the exponents (N,) of the scale."""
        exact = logits.detach().double().requires_grad_()
        (slope,) = torch.autograd.grad(self.values(exact).sum(), exact)
        largest = slope.abs().flatten(1).amax(1)
        exponent = torch.frexp(largest).exponent.where(largest > 0, 0)
        return torch.ldexp(slope, -exponent[:, None]).to(logits.dtype), exponent


def _unscaled(gradient: Tensor, exponent: Tensor) -> Tensor:
    """Return a gradient (N, C, H, W), float64, times 2 to the exponents (N,)."""
    return gradient.double().mul_(
        torch.ldexp(torch.ones_like(exponent, dtype=torch.float64), exponent)[:, None, None, None]
    )


def _through(
    surrogate: Surrogate, loss: Loss, seen: Tensor, labels: Tensor, targets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the scaled gradient at what a surrogate sees, (N, C, H, W), and the exponents (N,) of its scale."""
    objective = Objective(surrogate, labels, targets)
    objective._loss = loss
    point = seen.detach().requires_grad_()
    logits = surrogate(point)
    scaled, exponent = objective._slope(logits)
    (found,) = torch.autograd.grad(logits, point, grad_outputs=scaled)
    return found, exponent
