"""What is known of another library's attack: a row of its family's table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from dumb_bench.attacks.base import L2_MAXIMUM, Norm, Uses

Follows = Callable[[float, Mapping[str, Any]], float]
"""(strength, all parameters) -> a size, where the library's own default would not follow the strength."""


def share(part: float) -> Follows:
    """Return the rule part * strength."""
    return lambda strength, options: part * strength


def per_step(steps: str, part: float = 1.0) -> Follows:
    """Return the rule part * strength / steps, `steps` being the parameter that counts them."""
    return lambda strength, options: part * strength / max(int(options[steps]), 1)


class Budget(NamedTuple):
    """The strength of an attack: `AttackInfo`'s fields; length: the norm that bounds it, of more kinds than `norm`."""

    length: Literal["linf", "l2", "l1"] | None
    name: str | None
    unit: str = ""
    default: float = 0.0
    minimum: float = 0.0
    maximum: float = 1.0

    @property
    def norm(self) -> Norm | None:
        """The norm, where the guard of all attacks knows it."""
        return None if self.length == "l1" else self.length


LINF = Budget("linf", "eps", "[0, 1] pixel", 8 / 255)
L2 = Budget("l2", "eps", "L2 length", 1.0, 0.0, L2_MAXIMUM)
L1 = Budget("l1", "eps", "L1 length", 10.0, 0.0, 1_000_000.0)
NONE = Budget(None, None)

Gradient = Literal["image", "shared", "plain", "exact"]
"""Of `LivingGradient`, and `exact`: float64 logits and gradients at their own scale."""


class Row(NamedTuple):
    """One attack: what `AttackInfo` declares of it, and how it is called.

    norms: it takes the budget's norm or the other of `linf` and `l2`, as its parameter `norm`. targets: whether it runs
    with target classes. gradient: see `Gradient`. probabilities: it wants probabilities, not logits. single: it is
    called image by image, each with random numbers of its own. minimal: it looks for the smallest perturbation; that is
    found once and moved into each budget. follows: its sizes that follow the strength unless they are given. defaults:
    its parameters' defaults, where the library has none, or not for these images. types: their types, where they cannot
    be read off the library. hidden: parameters that a grid cannot set. needs: another package that it imports. side,
    classes: the only side of images, in pixels, and number of classes that it is written for; 0 for any.
    """

    budget: Budget = LINF
    norms: bool = False
    targets: Literal["never", "maybe", "only"] = "never"
    stochastic: bool = False
    reaches_budget: bool = False
    batch_independent: bool = True
    min_classes: int = 2
    min_channels: int = 1
    uses: Uses = "model"
    gradient: Gradient = "plain"
    probabilities: bool = False
    single: bool = False
    minimal: bool = False
    follows: Mapping[str, Follows] = MappingProxyType({})
    defaults: Mapping[str, Any] = MappingProxyType({})
    types: Mapping[str, Any] = MappingProxyType({})
    hidden: frozenset[str] = frozenset()
    needs: str = ""
    side: int = 0
    classes: int = 0
