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


Path = Callable[..., Callable[[float], Tensor]]
"""`(surrogate, images, labels, *, generator, targets=None, **params) -> at`, where `at(strength)` gives the images.

What all strengths share (a gradient, a direction, the noise) is computed once; `at` draws no random numbers.
"""


class AttackInfo(NamedTuple):
    """What an attack promises.

    norm: the norm that `strength` bounds, None when no norm is bounded. strength: the name of the swept parameter, None
    when there is none. unit: its unit. minimum, maximum: the closed range that strengths are allowed in.
    uses: what it looks at; an attack that uses `nothing` is made once for all surrogates. stochastic: another seed
    gives other images. reaches_budget: every image's perturbation has exactly the norm `strength` (up to the box).
    batch_independent: an image's result does not depend on what the other images of its batch are. zero_is_identity:
    strength 0 gives the clean image. path: how all strengths share one direction (`Path`), None where each is made by
    itself. library: the package that computes it.
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
    batch_independent: bool
    zero_is_identity: bool
    path: Path | None
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
    batch_independent: bool = True,
    zero_is_identity: bool | None = None,
    path: Path | None = None,
    library: str = "dumb_bench",
    paper: str = "",
    version: int = 1,
) -> Callable[[_Attack], _Attack]:
    """Declare a function as an attack.

    The function is `(surrogate, images, labels, strength, *, generator, targets=None, **params) -> images` with images
    (N, C, H, W) float32 in [0, 1], labels (N,) int64, strength a float in the declared unit (None for an attack without
    one), generator a seeded `torch.Generator` on the images' device. Its keyword-only arguments are the parameters that
    a grid may set. It returns the adversarial images, same shape, in [0, 1] and within the budget; it does not load
    models, move devices, change train mode or normalise. `path` replaces the function where it is given (the function
    is then `path(...)(strength)`); zero_is_identity None: yes for a norm-bounded attack that allows strength 0.
    """
    if strength is None:
        default_strengths = ()
    if zero_is_identity is None:
        zero_is_identity = norm is not None and strength is not None and minimum == 0
    info = AttackInfo(
        norm, strength, unit if strength else "", default_strengths, minimum, maximum, targeted, min_classes,
        min_channels, uses, stochastic, reaches_budget, batch_independent, zero_is_identity, path, library, paper,
    )  # fmt: skip

    def decorate(call: _Attack) -> _Attack:
        return mark(call, PluginInfo("attacks", name, version, info))

    return decorate


L2_MAXIMUM = 1_000.0
"""The largest L2 strength of an attack whose parameter `norm` turns its declared Linf budget into an L2 one."""


def check_strength(name: str, info: AttackInfo, strength: float | None, norm: str | None = None) -> None:
    """Check a strength against the attack's declared range; norm: the chosen one, where that is a parameter.

    Raises:
        InputError: the attack takes none, needs one, or allows another range.
    """
    if info.strength is None:
        if strength is not None:
            raise InputError(f"attack {name!r} has no strength; leave `strength` out, got {strength:g}")
        return
    if strength is None:
        raise InputError(f"attack {name!r} needs `strength` ({info.strength}, in {info.unit})")
    maximum, unit = (L2_MAXIMUM, "L2 length") if norm == "l2" != info.norm else (info.maximum, info.unit)
    if not info.minimum <= strength <= maximum:
        hint = f': write "{strength:g}/255"' if maximum <= 1 < strength <= 255 else ""
        raise InputError(
            f"attack {name!r}: expected {info.minimum:g} <= {info.strength} <= {maximum:g} ({unit}), "
            f"got {strength:g}{hint}"
        )


PAPER_EPS = tuple(step / 100 for step in range(1, 31))
"""eps .01 to .30 in steps of .01: the range in which Alecci et al. (RAID 2023) tune."""

REFERENCE_STEP = 2 / 255
"""The step of the published DUMB runs, whatever eps is: ten of them reach .078."""


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
