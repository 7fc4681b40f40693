"""Rows of the public tables for what a study published: one adversarial set, and its outcomes on victims."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from dumb_bench.published.attacks import Known
from dumb_bench.published.studies import NUMERICS, Study
from dumb_bench.relation import relate
from dumb_bench.spec import (
    AttackSpec,
    ImagesSpec,
    ModelSpec,
    Plugin,
    SetSpec,
    SurrogateSpec,
    id_of_attack,
    id_of_test,
    to_json,
)
from dumb_bench.wording import printable

Columns = dict[str, Any]


def published(name: str, **params: Any) -> Plugin:
    """Return a plugin by name whose ids are apart from those of this package's own runs."""
    return Plugin(name, tuple(sorted(params.items())), NUMERICS)


class Outcome(NamedTuple):
    """What one victim made of a set. asr: as published where the counts could not be recovered (None)."""

    n_images: int
    n_victim_correct: int | None
    n_success: int | None
    asr: float
    n_victim_correct_raw: int | None = None
    class_images: list[int] | None = None
    class_victim_correct: list[int] | None = None
    class_success: list[int] | None = None


@dataclass(frozen=True)
class Made:
    """One adversarial set as a study made it: a surrogate, an attack at a strength, the images of a source.

    rule: `tuned` where the strength was chosen for the surrogate. seed: tells replicates apart (`attack_seed`).
    """

    study: Study
    surrogate: SurrogateSpec
    attack: Known
    strength: float | None
    image_source: Plugin
    rule: str = "grid"
    seed: int = 0

    @cached_property
    def set_id(self) -> str:
        """The id of the set."""
        attack = AttackSpec(published(self.attack.name, params=to_json(self.attack.params)), seed=self.seed)
        images = ImagesSpec(self.surrogate.task, self.image_source, self.study.per_class)
        return SetSpec(self.surrogate, attack, images, numerics=NUMERICS).id

    @cached_property
    def attack_id(self) -> str:
        """The id of the row of `attacks`."""
        return id_of_attack(self.set_id, self.strength, self.study.delivery)

    @cached_property
    def _shared(self) -> Columns:
        return {
            "attack_id": self.attack_id, "unit_key": NUMERICS, "task": self.surrogate.task, "attack": self.attack.name,
            "attack_params": to_json(self.attack.params), "attack_library": self.study.library,
            "attack_seed": self.seed, "norm": self.attack.norm, "strength": self.strength, "targeted": False,
            "image_source": self.image_source.label, "delivery": self.study.delivery,
        }  # fmt: skip

    def attack_row(self, **measured: Any) -> Columns:
        """Return the row of `attacks`; `measured`: its columns that the study published."""
        about = {"set_id": self.set_id, "surrogate_id": self.surrogate.id, "strength_unit": self.attack.unit}
        return {**self._shared, **about, **measured}

    def test_row(self, victim: ModelSpec, outcome: Outcome, n_surrogate_fooled: int | None) -> Columns:
        """Return the row of `tests` of one victim."""
        test_id = id_of_test(self.attack_id, victim.id)
        relation = relate([model.columns for model in self.surrogate.models], victim.columns)
        return {
            **self._shared, "test_id": test_id, "scored_as": test_id, "strength_rule": self.rule,
            **{f"surrogate_{key}": value for key, value in self.surrogate.columns.items()},
            **{f"victim_{key}": value for key, value in victim.columns.items()},
            **relation._asdict(), **outcome._asdict(), "n_surrogate_fooled": n_surrogate_fooled,
            "control": False, "copied": self.attack.free, "numerics": NUMERICS,
        }  # fmt: skip

    def planned(self, victims: int, surrogates: int) -> Columns:
        """Return the set as a plan document names it; victims, surrogates: numbers of its groups."""
        return {
            "id": self.set_id, "base": self.set_id, "task": self.surrogate.task, "attack": self.attack.name,
            "control": False, "image_source": self.image_source.label, "strengths": [self.strength],
            "victims": victims, "surrogates": surrogates, "free": False,
        }  # fmt: skip


def model_row(model: ModelSpec, **known: Any) -> Columns:
    """Return a model's row of `models`; `known`: its columns that the study published."""
    columns = {key: value for key, value in model.columns.items() if key != "id"}
    return {"model_id": model.id, "unit_key": NUMERICS, "task": model.task, **columns, **known}


@dataclass
class Imported:
    """What an importer found: rows of the public tables, what a plan needs of them, and what is to be said.

    notes: sentences for the page. missing: files that are not there or were not read. said: lines for who imports.
    """

    study: Study
    description: str = ""
    models: dict[str, ModelSpec] = field(default_factory=dict)
    sets: list[tuple[Made, tuple[str, ...]]] = field(default_factory=list)
    rows: dict[str, list[Columns]] = field(
        default_factory=lambda: {"tests": [], "attacks": [], "tunings": [], "models": []}
    )
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def note_missing(self) -> None:
        """Say on the page which files are not in the results."""
        if self.missing:
            self.notes.append(printable(f"of the files, {'; '.join(self.missing)}", 4000) + ".")
