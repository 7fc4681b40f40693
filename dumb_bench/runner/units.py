"""The units of work: what one task of an executor computes, and the key under which it is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from dumb_bench.models.parts import Part
from dumb_bench.runner.compact_unit import Compacted, CompactUnit
from dumb_bench.spec import (
    EXACT,
    ImagesSpec,
    ModelSpec,
    Plugin,
    SetSpec,
    SurrogateSpec,
    TuningSpec,
    delivery_id,
    digest,
    id_of_attack,
    id_of_test,
)


class CleanSet(NamedTuple):
    """A clean test set: the test split of a source, under a delivery."""

    source: Plugin
    delivery: Plugin

    def id(self, task: str) -> str:
        """The id of the test set."""
        return digest({"task": task, "source": self.source, "delivery": delivery_id(self.delivery)})


@dataclass(frozen=True)
class ImagesUnit:
    """The list of images of one image set: `images` rows."""

    images: ImagesSpec
    targets: bool = False

    @cached_property
    def key(self) -> str:
        """The unit's key."""
        asked = {"targets": True} if self.targets else {}
        return digest({"kind": "images", "images": self.images, **asked})

    @property
    def subject(self) -> str:
        """What a failure of this unit is about."""
        return self.key

    @property
    def label(self) -> str:
        """A line for people."""
        return f"images of {self.images.source.label} ({self.images.task}, {self.images.per_class} a class)"


@dataclass(frozen=True)
class TrainUnit:
    """A part of the training of one or more models: weights. needs: ids of parts that must be stored before."""

    part: Part
    needs: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """The unit's key."""
        return digest({"kind": "train", "model": self.part.id})

    @property
    def subject(self) -> str:
        """What a failure of this unit is about."""
        return self.part.id

    @property
    def label(self) -> str:
        """A line for people."""
        number = f", part {self.part.number + 1}" if self.part.number else ""
        return f"training {model_label(self.part.spec)}{number}"


@dataclass(frozen=True)
class ModelUnit:
    """A trained model's `models` row, and its clean predictions."""

    model: ModelSpec
    clean: tuple[CleanSet, ...]

    @cached_property
    def key(self) -> str:
        """The unit's key; which test sets are asked for does not change it."""
        return digest({"kind": "model", "model": self.model.id})

    @property
    def subject(self) -> str:
        """What a failure of this unit is about."""
        return self.model.id

    @property
    def label(self) -> str:
        """A line for people."""
        return f"model {model_label(self.model)}"


@dataclass(frozen=True)
class CleanUnit:
    """Clean predictions of a stored model on test sets that were not asked for when it was trained."""

    model: ModelSpec
    clean: tuple[CleanSet, ...]

    @cached_property
    def key(self) -> str:
        """The unit's key."""
        return digest(
            {"kind": "clean", "model": self.model.id, "sets": sorted(item.id(self.model.task) for item in self.clean)}
        )

    @property
    def subject(self) -> str:
        """What a failure of this unit is about."""
        return f"clean-{self.model.id}"

    @property
    def label(self) -> str:
        """A line for people."""
        return f"clean predictions of {model_label(self.model)}"


@dataclass(frozen=True)
class TuneUnit:
    """The choice of a strength: `tunings` rows. Several surrogates share one sweep if the attack looks at none."""

    tunings: tuple[TuningSpec, ...]
    free: bool = False

    @cached_property
    def key(self) -> str:
        """The unit's key."""
        return digest({"kind": "tune", "tunings": [item.id for item in self.tunings]})

    @cached_property
    def subject(self) -> str:
        """What a failure of this unit is about: the sweep."""
        first, own = self.tunings[0], "" if self.free else self.tunings[0].surrogate.id
        how = {} if first.numerics == EXACT else {"numerics": first.numerics}
        return digest({"surrogate": own, "attack": first.attack, "tune": first.tune, "images": first.images, **how})

    @property
    def label(self) -> str:
        """A line for people."""
        first = self.tunings[0]
        who = surrogate_label(first.surrogate) if len(self.tunings) == 1 else f"{len(self.tunings)} surrogates"
        return f"strength of {first.attack.attack.label} for {who}, images of {first.images.source.label}"


@dataclass(frozen=True)
class Wanted:
    """Rows of one adversarial set at one strength under one delivery: one for every victim named.

    step: of the images after that step; None of those after the last.
    """

    set: SetSpec
    strength: float | None
    delivery: Plugin
    victims: tuple[ModelSpec, ...]
    step: int | None = None

    @cached_property
    def attack_id(self) -> str:
        """The id of the `attacks` row."""
        return id_of_attack(self.set.id, self.strength, delivery_id(self.delivery), self.step)

    @property
    def final_id(self) -> str:
        """The id of the `attacks` row of the images after the last step."""
        return id_of_attack(self.set.id, self.strength, delivery_id(self.delivery))

    @property
    def test_ids(self) -> tuple[str, ...]:
        """The ids of the `tests` rows, in the order of the victims. Not kept: a million of them are large."""
        return tuple(id_of_test(self.attack_id, victim.id) for victim in self.victims)


@dataclass(frozen=True)
class AttackUnit:
    """One attack on one surrogate and image source: crafted once, delivered, scored on the victims still missing.

    `expected` holds, for the attack ids whose set was made before, the sha256 of its images, which the set crafted
    again must match, and whether the `attacks` row is stored too. `keep`: what is kept of the images; not in the key.
    """

    base: SetSpec
    wanted: tuple[Wanted, ...]
    expected: tuple[tuple[str, str, bool], ...] = ()
    keep: str = "none"

    @cached_property
    def key(self) -> str:
        """The unit's key: the set and the rows asked for."""
        return digest(
            {
                "kind": "attack",
                "set": self.base.id,
                "rows": digest(sorted(id for item in self.wanted for id in item.test_ids)),
            }
        )

    @property
    def subject(self) -> str:
        """What a failure of this unit is about."""
        return self.base.id

    @property
    def label(self) -> str:
        """A line for people."""
        surrogate = self.base.surrogate
        on = f" on {surrogate_label(surrogate)}" if surrogate else ""
        return f"attack {self.base.attack.attack.label}{on}, images of {self.base.images.source.label}"

    @property
    def tests(self) -> int:
        """The number of `tests` rows that the unit scores."""
        return sum(len(item.victims) for item in self.wanted)

    @property
    def victims(self) -> dict[str, ModelSpec]:
        """Every victim, by id, in a stable order."""
        return {victim.id: victim for item in self.wanted for victim in item.victims}

    def without(self, lost: frozenset[str]) -> AttackUnit:
        """Return the unit without the victims that could not be trained."""
        if not lost & self.victims.keys():
            return self
        kept = [replace(item, victims=tuple(v for v in item.victims if v.id not in lost)) for item in self.wanted]
        return AttackUnit(self.base, tuple(item for item in kept if item.victims), self.expected, self.keep)


Computed = ImagesUnit | TrainUnit | ModelUnit | CleanUnit | TuneUnit | AttackUnit
Unit = Computed | CompactUnit

KIND_NAMES: dict[type, str] = {
    ImagesUnit: "images",
    TrainUnit: "train",
    ModelUnit: "model",
    CleanUnit: "clean",
    TuneUnit: "tune",
    AttackUnit: "attack",
    CompactUnit: "compact",
}


def kind_of(unit: Unit) -> str:
    """Return `images`, `train`, `model`, `clean`, `tune`, `attack` or `compact`."""
    return KIND_NAMES[type(unit)]


def model_label(model: ModelSpec) -> str:
    """Return a model in a few words."""
    if model.checkpoint:
        return f"{model.architecture.label} / checkpoint {model.checkpoint[:12]}"
    how = "" if model.posterior.name == "point" else f" / {model.posterior.label}"
    how += f" / {model.samples} samples" if model.samples > 1 else ""
    how += f" / {model.defence.label}" if model.defence.name != "none" else ""
    return f"{model.architecture.label} / {model.source.label} / {model.balance}{how} / seed {model.seed}"


def surrogate_label(surrogate: SurrogateSpec) -> str:
    """Return a surrogate in a few words."""
    modifier = "" if surrogate.modifier.name == "none" else f", {surrogate.modifier.label}"
    return " + ".join(model_label(model) for model in surrogate.models) + modifier


class Outcome(NamedTuple):
    """How a unit ended. tests: rows scored. seconds: wall time in the slot. error: None when it is done.

    compacted: what a compaction did.
    """

    key: str
    tests: int
    seconds: float
    cpu_seconds: float
    error: Fault | None = None
    compacted: Compacted | None = None


class Fault(NamedTuple):
    """Why a unit did not end well. lasting: the same again would fail the same way, so it is not retried."""

    type: str
    message: str
    traceback: str
    lasting: bool
    host: str
    damaged: str = ""
