"""Ghost networks: every pass sees another network, eroded at random (Li et al., AAAI 2020)."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.architectures.base import ResidualBlock, as_residual
from dumb_bench.attacks.features import ACTIVATIONS
from dumb_bench.attacks.modifiers.base import WrappedBlock, modifier, replace_blocks
from dumb_bench.errors import InputError


class _Eroded(WrappedBlock):
    """A residual block whose skip is scaled by U[1 - size, 1 + size], drawn at each pass."""

    def __init__(self, inner: ResidualBlock, size: float) -> None:
        super().__init__(inner)
        self.size = size

    def skip(self, features: Tensor) -> Tensor:
        mapped = self.inner.skip(features)
        scale = torch.empty((), dtype=mapped.dtype, device=mapped.device).uniform_(1 - self.size, 1 + self.size)
        return mapped * scale


@modifier("ghost", stochastic=True, paper="arXiv:1812.03413")
def ghost(
    network: nn.Module,
    *,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.012,
    skip: Annotated[float, Field(ge=0, le=1)] = 0.22,
) -> nn.Module:
    """Skip connection erosion where there are residual blocks, else dropout erosion.

    dropout: the rate after every activation, drawn in eval mode too; the authors' is .012 for Inception-v4 (.006 for
    v3). skip: half the range of the factor of every skip, one draw a block and pass; theirs is .22 for ResNet-50 (.16
    and .12 for 101 and 152). With a single pass a step, as in I-FGSM, each step attacks another network: the paper's
    longitudinal ensemble.

    Raises:
        InputError: the network has neither residual blocks nor activations.
    """
    if any(as_residual(module) is not None for module in network.modules()):
        return replace_blocks("ghost", network, lambda block: _Eroded(block, skip))
    activations = [module for module in network.modules() if isinstance(module, ACTIVATIONS)]
    if not activations:
        raise InputError("modifier 'ghost': the network has neither residual blocks nor activation modules")

    def erode(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        del module, inputs
        return functional.dropout(output, dropout, training=True)

    for activation in activations:
        activation.register_forward_hook(erode)
    return network
