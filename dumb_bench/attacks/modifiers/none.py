"""No modifier: the member itself is attacked."""

from __future__ import annotations

from torch import nn

from dumb_bench.attacks.modifiers.base import modifier


@modifier("none", stochastic=False)
def none(network: nn.Module) -> nn.Module:
    """The network as it is."""
    return network
