"""The contract of a surrogate modifier: the network that is attacked in place of a member of the surrogate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from torch import Tensor, nn

from dumb_bench.architectures.base import ResidualBlock, as_residual
from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.errors import InputError


class ModifierInfo(NamedTuple):
    """stochastic: two passes of the modified network differ. paper: where the modifier comes from."""

    stochastic: bool
    paper: str


_Modifier = TypeVar("_Modifier", bound=Callable[..., nn.Module])


def modifier(name: str, *, stochastic: bool, paper: str = "", version: int = 1) -> Callable[[_Modifier], _Modifier]:
    """Declare a function `(network: nn.Module, *, **params) -> nn.Module` as a modifier.

    It gets a private copy of a member of the surrogate, from [0, 1] images to logits, in eval mode, whose parameters
    take no gradient, and returns the network to attack; it may alter the copy in place (hooks, replaced modules).
    Shapes and modes stay. Random numbers come from torch's global generator, which the guard of attacks seeds. It
    raises `InputError`, in one line with the reason, when the architecture does not allow it.
    """
    info = ModifierInfo(stochastic, paper)

    def decorate(call: _Modifier) -> _Modifier:
        return mark(call, PluginInfo("modifiers", name, version, info))

    return decorate


class WrappedBlock(ResidualBlock):
    """A residual block in place of another; as it stands, the same function, bit for bit."""

    def __init__(self, inner: ResidualBlock) -> None:
        super().__init__()
        self.inner = inner
        self.activation = inner.activation

    def branch(self, features: Tensor) -> Tensor:
        return self.inner.branch(features)

    def skip(self, features: Tensor) -> Tensor:
        return self.inner.skip(features)


Replacement = Callable[[nn.Module], nn.Module | None]
"""A module -> what takes its place, None where it stays and its children are asked."""


def replace(network: nn.Module, chosen: Replacement) -> tuple[nn.Module, int]:
    """Return the network with modules replaced in place, outermost first, and how many were.

    A module that stands at several places is asked once and replaced at all of them.
    """
    done: dict[int, nn.Module | None] = {}
    kept: list[nn.Module] = []

    def visit(module: nn.Module) -> nn.Module:
        if id(module) in done:
            return done[id(module)] or module
        kept.append(module)
        done[id(module)] = new = chosen(module)
        if new is not None:
            new.training = module.training
            return new
        for name, child in module.named_children():
            found = visit(child)
            if found is not child:
                setattr(module, name, found)
        return module

    found = visit(network)
    return found, sum(new is not None for new in done.values())


def replace_blocks(name: str, network: nn.Module, wrap: Callable[[ResidualBlock], ResidualBlock]) -> nn.Module:
    """Return the network with every outermost residual block wrapped.

    Raises:
        InputError: there is none; names the modifier.
    """

    def chosen(module: nn.Module) -> nn.Module | None:
        block = as_residual(module)
        return None if block is None else wrap(block)

    modified, count = replace(network, chosen)
    if count == 0:
        raise InputError(f"modifier {name!r}: the network has no residual blocks")
    return modified
