"""SGM: gradients prefer skip connections to residual branches (Wu et al., ICLR 2020)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from dumb_bench.architectures.base import ResidualBlock
from dumb_bench.attacks.modifiers.base import WrappedBlock, modifier, replace_blocks


class _Decayed(WrappedBlock):
    """A residual block whose branch passes gamma times the gradient back."""

    def __init__(self, inner: ResidualBlock, gamma: float) -> None:
        super().__init__(inner)
        self.gamma = gamma

    def branch(self, features: Tensor) -> Tensor:
        mapped = self.inner.branch(features)
        if mapped.requires_grad:
            mapped.register_hook(lambda gradient: gradient * self.gamma)  # type: ignore[no-untyped-call]
        return mapped


@modifier("sgm", stochastic=False, paper="arXiv:2002.05990")
def sgm(network: nn.Module, *, gamma: Annotated[float, Field(ge=0, le=1)] = 0.2) -> nn.Module:
    """Every residual branch passes gamma times its gradient back; the forward pass stays, bit for bit.

    gamma: .2 is the paper's for ResNets with iterative attacks (.5 with FGSM). Blocks with a projection on their skip
    are decayed like the others.

    Raises:
        InputError: the network has no residual blocks.
    """
    return replace_blocks("sgm", network, lambda block: _Decayed(block, gamma))
