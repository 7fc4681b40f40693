"""What the families of other libraries share: how one of their attacks is called, and what it sees of a surrogate."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dumb_bench.attacks.base import AttackInfo, Surrogate
from dumb_bench.attacks.foreign_parameters import signature_of
from dumb_bench.attacks.foreign_rows import Gradient, Row
from dumb_bench.attacks.torchattacks_call import LivingGradient
from dumb_bench.catalogue import PluginInfo
from dumb_bench.errors import InputError, unknown
from dumb_bench.perturbation import project


class Bridge(LivingGradient):
    """A surrogate as another library may see it: float32 images in, logits (or probabilities) out."""

    def __init__(
        self, surrogate: Any, images: Tensor, gradient: Gradient = "plain", probabilities: bool = False
    ) -> None:
        super().__init__(surrogate, images.device, "plain" if gradient == "exact" else gradient)
        self.exact = gradient == "exact"
        self.probabilities = probabilities
        self.training = False
        self.stuck = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits or probabilities (N, K); without a surrogate, two equal classes."""
        if self.surrogate is None:
            return images.new_zeros(len(images), 2)
        seen = images.float().view_as(images)
        if seen.requires_grad:
            seen.register_hook(self._watched)  # type: ignore[no-untyped-call]
        logits = super().forward(seen)
        if self.exact:
            logits = logits.double()
        return logits.softmax(1) if self.probabilities else logits

    def _watched(self, gradient: Tensor) -> None:
        still = (gradient == 0).flatten(1).all(1)
        if len(still) % len(self.stuck) == 0:
            self.stuck |= still.view(-1, len(self.stuck)).all(0)

    def unstuck(self, found: Tensor, images: Tensor) -> Tensor:
        """Return what was found; where dividing by a gradient of exactly 0 gave NaN, the image itself, which it keeps.

        found, images: (N, C, H, W).
        """
        stays = self.stuck & found.isnan().flatten(1).any(1)
        return torch.where(stays[:, None, None, None], images, found)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a library's prints, progress bars and warnings from the terminal."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


class Foreign:
    """One attack of another library under this package's contract; `__signature__` holds its parameters.

    Its random numbers come from the global generators, which `craft()` seeds.
    """

    library: str
    left_out: frozenset[str]

    def __init__(self, name: str, kind: type, row: Row) -> None:
        self.name = f"{self.library}.{name}"
        self.kind = kind
        self.row = row
        self.__doc__ = self.summary()
        self.__signature__ = signature_of(
            kind,
            (self.left_out | row.hidden | {"norm"}) - row.types.keys(),
            row.defaults,
            {**row.types, "norm": Literal["linf", "l2"]} if row.norms else row.types,
            row.follows,
            {"norm": row.budget.length} if row.norms else {},
        )
        budget = row.budget
        found = re.search(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})", kind.__doc__ or "")
        self.info = AttackInfo(
            norm=budget.norm,
            strength=budget.name,
            unit=budget.unit,
            default_strengths=() if budget.name is None else (budget.default,),
            minimum=budget.minimum,
            maximum=budget.maximum,
            targeted=row.targets != "never",
            min_classes=row.min_classes,
            min_channels=row.min_channels,
            uses=row.uses,
            stochastic=row.stochastic,
            reaches_budget=row.reaches_budget,
            batch_independent=row.batch_independent,
            zero_is_identity=budget.length is not None and budget.minimum == 0,
            path=self.path if row.minimal else None,
            library=self.library,
            paper=f"arXiv:{found[1]}" if found else "",
        )

    def summary(self) -> str:
        """Return a line that says what the attack is."""
        return (inspect.getdoc(self.kind) or self.kind.__name__).partition("\n")[0]

    def __call__(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        strength: float | None,
        *,
        generator: torch.Generator,
        targets: Tensor | None = None,
        **params: Any,
    ) -> Tensor:
        """Run the attack: see `dumb_bench.attacks.base.attack` for the arguments.

        Raises:
            InputError: it needs target classes, or images of another kind.
        """
        if self.row.minimal and strength is not None:
            return self.path(surrogate, images, labels, generator=generator, targets=targets, **params)(strength)
        if strength == 0 and self.info.zero_is_identity:
            return images.clone()
        return self._made(surrogate, images, labels, strength, generator, targets, params)

    def path(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        *,
        generator: torch.Generator,
        targets: Tensor | None = None,
        **params: Any,
    ) -> Callable[[float], Tensor]:
        """Return strength -> images: the perturbation that the attack found, moved into the budget."""
        found = self._made(surrogate, images, labels, None, generator, targets, params).detach().to(images)
        length = params.get("norm", self.row.budget.length)
        return lambda strength: moved_into(found, images, length, strength)

    def _made(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        strength: float | None,
        generator: torch.Generator,
        targets: Tensor | None,
        params: Mapping[str, Any],
    ) -> Tensor:
        self._check(surrogate, images)
        if targets is None and self.row.targets == "only":
            raise InputError(f"attack {self.name!r} aims at target classes: set targeted = true")
        options = dict(params)
        for name, follows in self.row.follows.items():
            if options.get(name) is None and strength is not None:
                options[name] = follows(strength, options)
        if not self.row.single:
            return self.make(surrogate, images, labels, strength, targets, options)
        pieces = []
        for number, seed in enumerate(torch.randint(2**31, (len(images),), generator=generator, device=images.device)):
            for setter in (random.seed, np.random.seed, torch.manual_seed):
                setter(int(seed))
            part = slice(number, number + 1)
            aimed = None if targets is None else targets[part]
            pieces.append(self.make(surrogate, images[part], labels[part], strength, aimed, options))
        return torch.cat(pieces)

    def _check(self, surrogate: Surrogate | None, images: Tensor) -> None:
        side, classes = self.row.side, self.row.classes
        if side and tuple(images.shape[-2:]) != (side, side):
            height, width = images.shape[-2:]
            raise InputError(f"attack {self.name!r} is written for {side} x {side} pixels only, got {height} x {width}")
        if classes and surrogate is not None and surrogate.num_classes != classes:
            raise InputError(f"attack {self.name!r} is written for {classes} classes only, got {surrogate.num_classes}")

    def make(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        strength: float | None,
        targets: Tensor | None,
        options: dict[str, Any],
    ) -> Tensor:
        """Return the library's result; strength None: the smallest perturbation it finds. options: all parameters."""
        raise NotImplementedError


def moved_into(images: Tensor, clean: Tensor, length: str | None, strength: float) -> Tensor:
    """Return the images with perturbations that fit the budget: clamped for Linf, scaled down for L2 and L1."""
    if length != "l1":
        return project(images, clean, length, strength)
    delta = images - clean
    size = delta.abs().flatten(1).sum(1).clamp_min(1e-12)
    return (clean + delta * (strength / size).clamp_max(1)[:, None, None, None]).clamp(0, 1)


@dataclass(frozen=True)
class Library:
    """A family: `dumb_bench.catalogue.Family`.

    classes: imports the library and returns its attacks by name. version: its fingerprint. rows: the attacks that can
    be used. reasons: those that cannot, with the reason. adapter: the class that makes a plugin of one.
    """

    name: str
    classes: Callable[[str], Mapping[str, Any]]
    version: Callable[[], str]
    rows: Mapping[str, Row]
    reasons: Mapping[str, str]
    adapter: Callable[[str, Any, Row], Foreign]

    def names(self) -> tuple[str, ...]:
        needy = [name for name, row in self.rows.items() if row.needs]
        return tuple(sorted({*self.classes(f"attacks {self.name}.*"), *needy}))

    def refused(self) -> Mapping[str, str]:
        names = self.classes(f"attacks {self.name}.*")
        new = f"new in the installed {self.version()}; its norm and strength are not known here"
        return {name: self.reasons.get(name, new) for name in names if name not in self.rows}

    def load(self, name: str) -> tuple[Callable[..., Any], PluginInfo, str]:
        full = f"{self.name}.{name}"
        classes = self.classes(f"attack {full!r}")
        refused = self.refused()
        if name in refused:
            raise InputError(f"attack {full!r} cannot be used: {refused[name]}")
        row = self.rows.get(name)
        if row is not None and row.needs and importlib.util.find_spec(row.needs) is None:
            raise InputError(f"attack {full!r} needs the package {row.needs}, which is not installed")
        if row is None or name not in classes:
            raise InputError(unknown(f"{self.name} attack", name, self.rows.keys() & classes.keys()))
        call = self.adapter(name, classes[name], row)
        return call, PluginInfo("attacks", full, 1, call.info), self.version()
