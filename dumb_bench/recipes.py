"""How a model is trained: named recipes, each number of which a grid can override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dumb_bench.errors import InputError, unknown
from dumb_bench.spec import Plugin


class Recipe(BaseModel):
    """The numbers of a training run.

    batch: the largest mini-batch. patience: epochs without a gain of `min_delta` in validation F1 before training
    stops. schedule: of the learning rate, `cosine` down to 0 over all epochs. noise: upper end of the standard
    deviation, drawn for each image from U(0, noise), of the Gaussian noise added to training images; 0 is off.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    optimiser: Literal["sgd", "adam"]
    lr: float = Field(gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    batch: int = Field(ge=1, le=65536)
    epochs: int = Field(ge=1, le=100_000)
    patience: int = Field(ge=1, le=100_000)
    min_delta: float = Field(default=1e-4, ge=0, lt=1)
    schedule: Literal["constant", "cosine"] = "constant"
    noise: float = Field(default=0.0, ge=0, le=1)


RECIPES: dict[str, Recipe] = {
    "small": Recipe(optimiser="adam", lr=3e-3, batch=32, epochs=12, patience=12, schedule="cosine", noise=0.25),
    "dumb_2023": Recipe(optimiser="sgd", lr=1e-3, batch=128, epochs=500, patience=25),
}
"""`small` is for the embedded digits; `dumb_2023` is that of Alecci et al., RAID 2023 (for ImageNet weights)."""


def resolve_recipe(name: str, overrides: Mapping[str, Any]) -> Plugin:
    """Return the spec of a recipe: its name and the overrides that differ from the named values.

    Raises:
        InputError: unknown recipe or parameter, or a value out of range.
    """
    named = _named(name).model_dump()
    resolved = _merged(name, overrides)
    changed = {key: value for key, value in resolved.model_dump().items() if value != named[key]}
    return Plugin(name, tuple(sorted(changed.items())))


def recipe_of(plugin: Plugin) -> Recipe:
    """Return the recipe that a spec names, fully resolved.

    Raises:
        InputError: as `resolve_recipe`.
    """
    return _merged(plugin.name, plugin.as_dict())


def _named(name: str) -> Recipe:
    if name not in RECIPES:
        raise InputError(unknown("recipe", name, RECIPES))
    return RECIPES[name]


def _merged(name: str, overrides: Mapping[str, Any]) -> Recipe:
    named = _named(name)
    for key in overrides:
        if key not in Recipe.model_fields:
            raise InputError(f"recipe {name!r}: {unknown('parameter', key, Recipe.model_fields)}")
    try:
        return Recipe(**{**named.model_dump(), **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        message = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"recipe {name!r}: parameter {key!r}: {message}, got {overrides.get(key)!r}") from None
