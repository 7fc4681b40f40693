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
    stops. schedule: of the learning rate, `cosine` down to 0 over all epochs, `steps` times `decay` after every
    `decay_epochs`. noise: upper end of the standard deviation, drawn for each image from U(0, noise), of the Gaussian
    noise added to training images; 0 is off. augment: `crop_flip` shifts each training image by up to 4 pixels, zeros
    moving in, and mirrors every second one. trainable: all weights, or the last layer alone (feature extraction).
    precision: of the passes in training, weights stay fp32; `tf32` is fp32 where there is no GPU. channels_last: their
    memory layout. fused: the optimiser steps in one kernel of PyTorch's, whose last bits differ.
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
    schedule: Literal["constant", "cosine", "steps"] = "constant"
    decay: float = Field(default=0.1, gt=0, lt=1)
    decay_epochs: int = Field(default=75, ge=1, le=100_000)
    noise: float = Field(default=0.0, ge=0, le=1)
    augment: Literal["none", "crop_flip"] = "none"
    trainable: Literal["all", "head"] = "all"
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    fused: bool = False


RECIPES: dict[str, Recipe] = {
    "small": Recipe(optimiser="adam", lr=3e-3, batch=32, epochs=12, patience=12, schedule="cosine", noise=0.25),
    "dumb_2023": Recipe(optimiser="sgd", lr=1e-3, batch=128, epochs=500, patience=25),
    "gubri_cifar10_dnn": Recipe(
        optimiser="adam", lr=1e-2, weight_decay=1e-4 / 128, batch=128, epochs=250, patience=250,
        schedule="steps", decay=0.1, decay_epochs=75, augment="crop_flip",
    ),
    "gubri_cifar10_csgld": Recipe(
        optimiser="sgd", lr=0.5, momentum=0.0, weight_decay=3e-4, batch=64, epochs=250, patience=250,
        schedule="cosine", augment="crop_flip",
    ),
}  # fmt: skip
"""`small` is for the embedded digits; `dumb_2023` is that of Alecci et al., RAID 2023 (for ImageNet weights).

The two of Gubri et al., UAI 2022, on CIFAR-10 are from the public code of the paper. `gubri_cifar10_dnn`: single
networks, ensembles and victims. There the loss is summed over the mini-batch of 128, so that the weight decay beside a
mean loss is a 128th of its 1e-4 (Adam's epsilon, too, weighs 128 times as much here). `gubri_cifar10_csgld`: plain SGD
without momentum from .5; the chain's own cycles are `cycle_epochs = 50` of `csgld`, and 250 epochs are what its five
cost, so that a single network under this recipe costs as much. Weight decay is 3e-4 for PreResNets, 5e-4 for others:
`weight_decay = 5e-4`. Unlike there, the epoch of the best validation F1 is kept, and 45,000 images train, not 50,000.
"""


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
