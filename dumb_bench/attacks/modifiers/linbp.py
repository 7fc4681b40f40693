"""LinBP: backward passes as if some ReLUs were the identity (Guo et al., NeurIPS 2020)."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.architectures.base import ResidualBlock, as_residual
from dumb_bench.attacks.modifiers.base import WrappedBlock, modifier, replace
from dumb_bench.errors import InputError


class _LinearReLU(nn.ReLU):
    """A ReLU whose backward pass, while `linear`, is the identity's."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = True

    def forward(self, input: Tensor) -> Tensor:
        mapped: Tensor = input + functional.relu(-input).detach() if self.linear else functional.relu(input)
        return mapped


class _Fork(torch.autograd.Function):
    """Two copies of features; back comes the first's gradient, each image's scaled to the length of the second's."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        del ctx
        return features.view_as(features), features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        lengths = [torch.linalg.vector_norm(each.flatten(1), dim=1, dtype=torch.float64) for each in gradients]
        scale = lengths[1] / lengths[0].where(lengths[0] > 0, 1)
        found: Tensor = gradients[0] * scale.to(gradients[0].dtype).view(-1, *[1] * (gradients[0].ndim - 1))
        return found


class _Join(torch.autograd.Function):
    """The first of two equal maps; both get the gradient."""

    @staticmethod
    def forward(ctx: Any, linear: Tensor, usual: Tensor) -> Tensor:
        del ctx, usual
        return linear.view_as(linear)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        del ctx
        return gradients[0], gradients[0]


class _LinearBlock(WrappedBlock):
    """A residual block whose branch passes the linear gradient back, as long as the usual one would be."""

    def __init__(self, inner: ResidualBlock, relus: list[_LinearReLU]) -> None:
        super().__init__(inner)
        self._relus = relus

    def branch(self, features: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and features.requires_grad):
            return self.inner.branch(features)
        linear, usual = _Fork.apply(features)
        try:
            for relu in self._relus:
                relu.linear = False
            usual = self.inner.branch(usual)
        finally:
            for relu in self._relus:
                relu.linear = True
        joined: Tensor = _Join.apply(self.inner.branch(linear), usual)
        return joined


def _linear_block(block: ResidualBlock) -> _LinearBlock | None:
    """Return a block with the ReLUs of its branch made linear; None where it has none. The one after the sum stays."""
    relus: list[_LinearReLU] = []

    def chosen(module: nn.Module) -> nn.Module | None:
        if not isinstance(module, nn.ReLU) or module is block.activation:
            return None
        relus.append(_LinearReLU())
        return relus[-1]

    replace(block, chosen)
    return _LinearBlock(block, relus) if relus else None


@modifier("linbp", stochastic=False, paper="arXiv:2012.03528")
def linbp(network: nn.Module, *, position: Annotated[float, Field(ge=0, le=1)] = 0.5) -> nn.Module:
    """From a relative position on, ReLUs let the whole gradient through; the forward pass stays, bit for bit.

    Places are the residual blocks and the ReLUs outside of them, in the order in which the network registers them; the
    first that is altered is number round(position * (n - 1)) of n. In a residual block the ReLUs of the branch become
    linear, the one after the sum does not, and the branch's gradient is scaled, image by image, to the length that it
    has without the change (section 4). position: .5 is about the paper's for ResNet-50 (block 3-1) and VGG-19 (the
    ninth convolution). A block is passed through twice.

    Raises:
        InputError: there is no ReLU module from the position on.
    """
    places: list[nn.Module] = []

    def note(module: nn.Module) -> nn.Module | None:
        if as_residual(module) is None and not isinstance(module, nn.ReLU):
            return None
        places.append(module)
        return module

    replace(network, note)
    later = {id(place) for place in places[round(position * (len(places) - 1)) :]}

    def chosen(module: nn.Module) -> nn.Module | None:
        if id(module) not in later:
            return None
        block = as_residual(module)
        return _LinearReLU() if block is None else _linear_block(block)

    modified, count = replace(network, chosen)
    if count == 0:
        raise InputError(f"modifier 'linbp': the network has no ReLU module from position {position:g} on")
    return modified
