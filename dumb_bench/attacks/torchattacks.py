"""The package torchattacks (Kim, 2020; arXiv:2010.01950) as the family `torchattacks.<Name>`.

Attacks and parameters have the library's names and defaults, with these exceptions. The strength of a grid is the
library's strength parameter. A step size (`alpha`; `lr` of SPSA) follows the strength unless it is given, see `Step`.
`norm` is `linf` or `l2`. Seeds are drawn from the generator; the number of classes is at most the surrogate's.
A budget of 0 gives the clean images without asking the library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from torch import Tensor

from dumb_bench.attacks.base import AttackInfo, Surrogate, as_float
from dumb_bench.attacks.torchattacks_call import attacked
from dumb_bench.attacks.torchattacks_table import REFUSED, ROWS, TYPES, Positive, Row
from dumb_bench.catalogue import PluginInfo
from dumb_bench.errors import InputError, unknown

LIBRARY = "torchattacks"
FILLED_IN = frozenset({"self", "model", "verbose", "seed"})
"""Arguments of the library's constructors that are not a grid's to set."""

MOST_VALUES = 12_288
"""The largest C * H * W of JSMA, which compares all pairs of values: about 5 GB."""


def _installed() -> str:
    try:
        return f"{LIBRARY} {version(LIBRARY)}"
    except PackageNotFoundError:
        raise InputError(f"attacks {LIBRARY}.*: the package is not installed; pip install {LIBRARY}") from None


def _refusal(reason: str) -> Any:
    def check(value: Any) -> Any:
        raise PydanticCustomError("refused", "{reason}", {"reason": reason})

    return Annotated[Any, BeforeValidator(check)]


def _signature(constructor: Callable[..., Any], row: Row) -> tuple[inspect.Signature, float | None]:
    """Return the signature that a grid's parameters are checked against, and the library's default strength."""
    items = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("surrogate", "images", "labels", "strength")
    ]
    items += [
        inspect.Parameter("generator", inspect.Parameter.KEYWORD_ONLY),
        inspect.Parameter("targets", inspect.Parameter.KEYWORD_ONLY, default=None),
    ]
    strength = None
    for name, item in inspect.signature(constructor).parameters.items():
        default, wanted = item.default, row.types.get(name, TYPES.get(name, type(item.default)))
        if name == row.strength:
            strength = float(default)
            continue
        if name in FILLED_IN:
            continue
        if name in row.refused:
            default, wanted = row.refused[name].partition(":")[0], _refusal(row.refused[name])
        elif row.step is not None and name == row.step.name:
            default, wanted = None, Positive | None
        elif name == "norm":
            default = default.lower()
        items.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=wanted))
    return inspect.Signature(items), strength


class TorchAttack:
    """One attack of torchattacks under this package's contract; `__signature__` holds its parameters."""

    def __init__(self, name: str, row: Row) -> None:
        import torchattacks

        self.name = name
        self.row = row
        self.__doc__ = row.summary
        self.__signature__, default = _signature(getattr(torchattacks, name).__init__, row)
        budgeted = row.norm is not None and row.strength is not None and row.minimum == 0
        self.info = AttackInfo(
            norm=row.norm,
            strength=row.strength,
            unit=row.unit if row.strength else "",
            default_strengths=() if default is None else (default,),
            minimum=row.minimum,
            maximum=row.maximum,
            targeted=row.targeted,
            min_classes=row.min_classes,
            min_channels=row.min_channels,
            uses=row.uses,
            stochastic=row.stochastic,
            reaches_budget=row.reaches_budget,
            batch_independent=row.batch_independent,
            zero_is_identity=budgeted if row.identity_at_0 is None else row.identity_at_0,
            path=None,
            library=LIBRARY,
            paper=row.paper,
        )

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
            InputError: a strength that is no whole number, too few classes for a loss, or images too large.
        """
        row = self.row
        if row.norm is not None and strength == 0:
            return images.clone()
        options = self._options(surrogate, strength, generator, targets, params)
        if row.next_class:
            self._check_size(images)
            if targets is None and surrogate is not None:
                targets = (labels + 1) % surrogate.num_classes
        if not row.single:
            return self._run(surrogate, images, labels, targets, options)
        seeds = torch.randint(2**31, (len(images),), generator=generator, device=images.device).tolist()
        pieces = []
        for number, seed in enumerate(seeds):
            np.random.seed(seed)
            part = slice(number, number + 1)
            aimed = None if targets is None else targets[part]
            pieces.append(self._run(surrogate, images[part], labels[part], aimed, options))
        return torch.cat(pieces)

    def _run(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        options: dict[str, Any],
    ) -> Tensor:
        row = self.row
        found = attacked(self.name, surrogate, images, labels, targets, options, gradient=row.gradient, truth=row.truth)
        return found.clamp(0, 1) if row.clamp else found

    def _options(
        self,
        surrogate: Surrogate | None,
        strength: float | None,
        generator: torch.Generator,
        targets: Tensor | None,
        params: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the constructor's arguments."""
        row = self.row
        options = {name: value for name, value in params.items() if name not in row.refused}
        if row.strength is not None:
            size = as_float(strength)
            if row.whole and size != int(size):
                raise InputError(
                    f"attack '{LIBRARY}.{self.name}': {row.strength}: expected a whole number, got {size:g}"
                )
            options[row.strength] = int(size) if row.whole else size
        if row.step is not None and options[row.step.name] is None:
            options[row.step.name] = row.step.size(as_float(strength), options.get(row.step.steps, 1))
        if "norm" in options:
            options["norm"] = options["norm"].capitalize()
        if row.seed:
            options["seed"] = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        if surrogate is not None and row.classes:
            options["n_classes"] = min(options["n_classes"], surrogate.num_classes)
        if surrogate is not None and options.get("loss") == "dlr":
            needed = 3 if targets is None else 4
            if surrogate.num_classes < needed:
                raise InputError(
                    f"attack '{LIBRARY}.{self.name}': parameter 'loss': 'dlr' compares {needed} classes, "
                    f"the surrogate has {surrogate.num_classes}"
                )
        return options

    def _check_size(self, images: Tensor) -> None:
        values = images[0].numel()
        if values > MOST_VALUES:
            raise InputError(
                f"attack '{LIBRARY}.{self.name}': compares all pairs of an image's values, so at most {MOST_VALUES} of "
                f"them (3 x 64 x 64), got {values}"
            )


class TorchAttacks:
    """The family, as `dumb_bench.catalogue.Family` wants it."""

    def names(self) -> tuple[str, ...]:
        _installed()
        return tuple(sorted([*ROWS, *REFUSED]))

    def refused(self) -> Mapping[str, str]:
        return REFUSED

    def load(self, name: str) -> tuple[Callable[..., Any], PluginInfo, str]:
        installed = _installed()
        if name in REFUSED:
            raise InputError(f"attack '{LIBRARY}.{name}' cannot be used: {REFUSED[name]}")
        if name not in ROWS:
            raise InputError(unknown(f"{LIBRARY} attack", name, ROWS))
        call = TorchAttack(name, ROWS[name])
        return call, PluginInfo("attacks", f"{LIBRARY}.{name}", 1, call.info), installed


FAMILY = TorchAttacks()
