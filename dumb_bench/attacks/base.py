"""The contract of an attack, and of the surrogate that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dumb_bench.catalogue import PluginInfo, mark
from dumb_bench.errors import InputError

Norm = Literal["linf", "l2"]
Uses = Literal["model", "features", "samples", "nothing"]

_Attack = TypeVar("_Attack", bound=Callable[..., Tensor])


class Surrogate(Protocol):
    """What an attack sees of the attacker's models: a differentiable map from [0, 1] images to logits.

    It is a `torch.nn.Module` in a locked train/eval mode whose parameters take no gradient. `members` are its
    networks, one a weight sample.
    """

    num_classes: int
    members: nn.ModuleList

    def __call__(self, images: Tensor, /) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        ...


class AttackInfo(NamedTuple):
    """What an attack promises.

    norm: the norm that `strength` bounds, None when no norm is bounded. strength: the name of the swept parameter, None
    when there is none. unit: its unit. minimum, maximum: the closed range that strengths are allowed in.
    uses: what it looks at; an attack that uses `nothing` is made once for all surrogates. reaches_budget: every image's
    perturbation has exactly the norm `strength` (up to the box). library: the package that computes it.
    """

    norm: Norm | None
    strength: str | None
    unit: str
    default_strengths: tuple[float, ...]
    minimum: float
    maximum: float
    targeted: bool
    min_classes: int
    min_channels: int
    uses: Uses
    stochastic: bool
    reaches_budget: bool
    library: str
    paper: str

    @property
    def gradient(self) -> bool:
        """Whether it is a norm-bounded attack on a surrogate: the kind that must fool its own surrogate."""
        return self.uses != "nothing" and self.norm is not None


def attack(
    name: str,
    *,
    norm: Norm | None = "linf",
    strength: str | None = "eps",
    unit: str = "[0, 1] pixel",
    default_strengths: tuple[float, ...] = (8 / 255,),
    minimum: float = 0.0,
    maximum: float = 1.0,
    targeted: bool = False,
    min_classes: int = 2,
    min_channels: int = 1,
    uses: Uses = "model",
    stochastic: bool = False,
    reaches_budget: bool = False,
    library: str = "dumb_bench",
    paper: str = "",
    version: int = 1,
) -> Callable[[_Attack], _Attack]:
    """Declare a function as an attack.

    The function is `(surrogate, images, labels, strength, *, generator, targets=None, **params) -> images` with images
    (N, C, H, W) float32 in [0, 1], labels (N,) int64, strength a float in the declared unit (None for an attack without
    one), generator a seeded `torch.Generator` on the images' device. Its keyword-only arguments are the parameters that
    a grid may set. It returns the adversarial images, same shape, in [0, 1] and within the budget; it does not load
    models, move devices, change train mode or normalise.
    """
    if strength is None:
        default_strengths = ()
    info = AttackInfo(
        norm, strength, unit if strength else "", default_strengths, minimum, maximum, targeted, min_classes,
        min_channels, uses, stochastic, reaches_budget, library, paper,
    )  # fmt: skip

    def decorate(call: _Attack) -> _Attack:
        return mark(call, PluginInfo("attacks", name, version, info))

    return decorate


def check_strength(name: str, info: AttackInfo, strength: float | None) -> None:
    """Check a strength against the attack's declared range.

    Raises:
        InputError: the attack takes none, needs one, or allows another range.
    """
    if info.strength is None:
        if strength is not None:
            raise InputError(f"attack {name!r} has no strength; leave `strength` out, got {strength:g}")
        return
    if strength is None:
        raise InputError(f"attack {name!r} needs `strength` ({info.strength}, in {info.unit})")
    if not info.minimum <= strength <= info.maximum:
        hint = f': write "{strength:g}/255"' if info.maximum <= 1 < strength <= 255 else ""
        raise InputError(
            f"attack {name!r}: expected {info.minimum:g} <= {info.strength} <= {info.maximum:g} ({info.unit}), "
            f"got {strength:g}{hint}"
        )


def iterations_step(strength: float, steps: int) -> float:
    """Return the step size eps / steps of the iterative methods: the budget is reached exactly when signs agree."""
    return strength / max(steps, 1)


def as_float(strength: float | None) -> float:
    """Return the strength of an attack that has one."""
    if strength is None:
        raise InputError("this attack needs a strength")
    return float(strength)


def uniform_signs(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return random signs, -1 or +1 with equal probability, of the images' shape."""
    coins = torch.randint(0, 2, images.shape, generator=generator, device=images.device)
    return coins.to(images.dtype) * 2 - 1
