"""What is computed, as frozen values, and the identity that follows from it.

An identity is a digest of the canonical JSON of a spec *with the fields that equal their default left out*: a new
axis with a default keeps every stored result valid. No host, path, device or order is ever part of a spec.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

ID_LENGTH = 20
"""Hexadecimal characters of an id (80 bits: a collision among 10^6 tests has probability below 10^-12)."""


def canonical(value: Any) -> Any:
    """Return `value` as plain JSON data; dataclass fields that equal their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept: dict[str, Any] = {"type": type(value).__name__}
        for item in dataclasses.fields(value):
            current = getattr(value, item.name)
            default = item.default_factory() if callable(item.default_factory) else item.default
            if current != default:
                kept[item.name] = canonical(current)
        return kept
    if isinstance(value, Mapping):
        return {str(key): canonical(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a spec holds plain data only, got {type(value).__name__}")


def to_json(value: Any) -> str:
    """Return canonical JSON: sorted keys, no spaces, floats in their shortest exact form, no NaN."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the id of a spec: the first 20 hexadecimal characters of the sha256 of its canonical JSON."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:ID_LENGTH]


def id_of_attack(set_id: str, strength: float | None, delivery: str, step: int | None = None) -> str:
    """Return the id of one row of `attacks`: a set at one strength under one delivery, after all steps or after one."""
    text = f"attack|{set_id}|{'' if strength is None else repr(float(strength))}|{delivery}"
    if step is not None:
        text += f"|step {step}"
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def id_of_test(attack_id: str, victim_id: str, surrogate_id: str = "") -> str:
    """Return the id of one row of `tests`; `surrogate_id` only for a surrogate-free row repeated for a surrogate."""
    text = f"test|{attack_id}|{victim_id}|{surrogate_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def id_of_tuned_test(set_id: str, delivery: str, victim_id: str, surrogate_id: str, tuning_id: str) -> str:
    """Return the id of one row of `tests` whose strength was chosen: known before the choice, and whatever it is."""
    text = f"tuned|{set_id}|{delivery}|{victim_id}|{surrogate_id}|{tuning_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class Plugin:
    """A plugin by name, the parameters that differ from its defaults, and the fingerprint of its code."""

    name: str
    params: tuple[tuple[str, Any], ...] = ()
    fingerprint: str = "1"

    @property
    def label(self) -> str:
        """The name with the parameters that differ from the defaults: `small_vgg`, `small_vgg(width=16)`."""
        inner = ", ".join(f"{key}={json.dumps(value)}" for key, value in self.params)
        return f"{self.name}({inner})" if inner else self.name

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters as a dictionary."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self.params}


def delivery_id(delivery: Plugin) -> str:
    """Return what an id holds of a delivery: its name; where its code is not the package's, the fingerprint too."""
    return delivery.name if delivery.fingerprint == "1" else f"{delivery.name}#{delivery.fingerprint}"


POINT = Plugin("point")
NONE = Plugin("none")
EXACT, FAST = "exact", "fast"
"""The values of `numerics`: networks executed as they were trained, or rebuilt for speed."""

UNKNOWN = "unknown"
"""What a model's columns say where nobody knows: of a user's own checkpoint."""


@dataclass(frozen=True)
class ModelSpec:
    """A trained set of weight samples, in either role."""

    task: str
    source: Plugin
    architecture: Plugin
    balance: str
    recipe: Plugin
    seed: int
    subset: str = "all"
    init: str = "random"
    balance_mode: str = "paper"
    defence: Plugin = NONE
    posterior: Plugin = POINT
    samples: int = 1
    draw: int = 0
    """Which weight samples of the posterior: 0 for the first ones, else the number of a random subset of them."""
    checkpoint: str = ""
    """sha256 of a user's own weights (`models.weights.tensors_sha256`), which are not trained; "" for all others."""

    @cached_property
    def id(self) -> str:
        """The model's id."""
        return digest(self)

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The columns `{surrogate,victim}_*` that describe this model (DESIGN: the result schema)."""
        return {
            "source": self.source.label,
            "subset": self.subset,
            "architecture": self.architecture.label,
            "init": self.init,
            "balance": self.balance,
            "balance_mode": self.balance_mode,
            "defence": self.defence.label,
            "posterior": self.posterior.label,
            "samples": self.samples,
            "draw": self.draw,
            "recipe": self.recipe.label,
            "seed": self.seed,
            "id": self.id,
            **({"checkpoint": self.checkpoint} if self.checkpoint else {}),
            "params": to_json(
                {
                    "architecture": self.architecture.as_dict(),
                    "defence": self.defence.as_dict(),
                    "posterior": self.posterior.as_dict(),
                    "recipe": self.recipe.as_dict(),
                    "source": self.source.as_dict(),
                }
            ),
        }

    @property
    def training_key(self) -> tuple[str | int, ...]:
        """What a model's seeds derive from: neither posterior, defence nor which samples, so that a prefix of a chain
        equals a shorter chain and a chain without noise equals a snapshot ensemble.
        """
        return (self.task, self.source.label, self.subset, self.architecture.name, self.init, self.balance, self.seed)


@dataclass(frozen=True)
class SurrogateSpec:
    """What the attacker holds: models (usually one), how their outputs are combined, and a modifier."""

    models: tuple[ModelSpec, ...]
    aggregation: str = "mean_logits"
    modifier: Plugin = NONE

    @cached_property
    def id(self) -> str:
        """The surrogate's id; that of its model where it is just that model."""
        if len(self.models) == 1 and self == SurrogateSpec(self.models):
            return self.models[0].id
        return digest({"models": [model.id for model in self.models], "how": [self.aggregation, self.modifier]})

    @property
    def task(self) -> str:
        """The task of all its models."""
        return self.models[0].task

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The columns `surrogate_*`; where several models differ in one, their values joined by `+`."""
        merged: dict[str, Any] = {}
        for key in dict.fromkeys(key for model in self.models for key in model.columns):
            values = [model.columns.get(key) for model in self.models]
            distinct = list(dict.fromkeys(values))
            merged[key] = distinct[0] if len(distinct) == 1 else "+".join(map(str, distinct))
        merged["samples"] = sum(model.samples for model in self.models)
        merged["seed"] = self.models[0].seed
        merged["aggregation"] = self.aggregation
        merged["modifier"] = self.modifier.label
        merged["id"] = self.id
        return merged


@dataclass(frozen=True)
class ImagesSpec:
    """The images attacked: `per_class` images of each class from one split of one source, chosen once for all."""

    task: str
    source: Plugin
    per_class: int
    split: str = "test"


@dataclass(frozen=True)
class AttackSpec:
    """An attack with its parameters; `chunk` (which images share a call and its seed) is part of the identity."""

    attack: Plugin
    targeted: bool = False
    chunk: int = 64
    seed: int = 0


@dataclass(frozen=True)
class TuneSpec:
    """How a strength is chosen for each surrogate: the best of `over` whose mean SSIM lies strictly above `ssim`.

    reference: by the published rule, the highest success, ties to the largest strength; else the smallest strength
    within one point of the highest. search: `full`, every strength; `pruned`, the same
    choice without the strengths that cannot change it; `bisection`, the largest allowed strength.
    """

    over: tuple[float, ...]
    ssim: float
    search: str = "full"
    reference: bool = False


@dataclass(frozen=True)
class TuningSpec:
    """One choice: this surrogate's strength of this attack, made on images that are never scored."""

    surrogate: SurrogateSpec
    attack: AttackSpec
    tune: TuneSpec
    images: ImagesSpec
    numerics: str = EXACT

    @cached_property
    def id(self) -> str:
        """The choice's id."""
        made = {"surrogate": self.surrogate.id, "attack": self.attack, "tune": self.tune, "images": self.images}
        return digest(made if self.numerics == EXACT else {**made, "numerics": self.numerics})


@dataclass(frozen=True)
class SetSpec:
    """An adversarial set at all its strengths: it knows neither its strengths nor its victims.

    `surrogate` is None for an attack that does not look at one. `control` is `delta_swap` for the set that is derived
    from this attack's own perturbations.
    """

    surrogate: SurrogateSpec | None
    attack: AttackSpec
    images: ImagesSpec
    control: str = ""
    numerics: str = EXACT

    @cached_property
    def id(self) -> str:
        """The set's id."""
        return digest(
            {
                "surrogate": self.surrogate.id if self.surrogate else "",
                "attack": self.attack,
                "images": self.images,
                "control": self.control,
                "numerics": self.numerics,
            }
        )

    @property
    def base(self) -> SetSpec:
        """The set whose perturbations this one is made of: itself, but for a `delta_swap` control."""
        return dataclasses.replace(self, control="") if self.control else self

    @property
    def attack_name(self) -> str:
        """The value of the column `attack`."""
        return self.control or self.attack.attack.name
