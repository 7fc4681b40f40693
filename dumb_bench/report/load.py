"""From a result folder to frames. Only the columns that the report needs are read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dumb_bench.store.current import CurrentTables

if TYPE_CHECKING:
    import pandas as pd

_MODEL = ("source", "subset", "architecture", "init", "balance", "balance_mode", "defence", "posterior", "samples")
_SURROGATE = (*_MODEL[:8], "samples", "draw", "aggregation", "modifier", "recipe", "seed", "id", "params")

COLUMNS: dict[str, tuple[str, ...]] = {
    "images": ("task", "image_source", "index", "label"),
    "models": (
        "model_id", "task", *_MODEL, "draw", "recipe", "seed", "epochs", "gradients", "seconds", "weights_bytes",
        "train_images", "test_source", "test_delivery", "clean_accuracy", "clean_f1", "own_accuracy", "degenerate",
        "library_versions", "hardware", "finished_at",
    ),
    "attacks": (
        "attack_id", "surrogate_id", "attack", "attack_params", "attack_library", "norm", "strength", "strength_unit",
        "targeted", "step", "image_source", "delivery", "n_images", "linf", "l2", "linf_delivered", "l2_delivered",
        "mean_ssim", "n_surrogate_correct", "n_surrogate_fooled", "budget_violation", "box_violation", "budget_reached",
        "forwards", "backwards", "memory_bytes", "seconds", "library_versions", "hardware", "finished_at",
    ),
    "tests": (
        "test_id", "attack_id", "task", *(f"surrogate_{key}" for key in _SURROGATE), "attack", "attack_params",
        "attack_library", "attack_seed", "norm", "strength", "strength_rule", "targeted", "step", "image_source",
        "delivery", "defence_known", *(f"victim_{key}" for key in (*_MODEL, "recipe", "seed", "id", "params")), "case",
        "white_box", "shared_weights", "n_images", "n_victim_correct", "n_success", "asr",
        "n_target_success", "control", "copied",
    ),
    "tunings": (
        "tuning_id", "surrogate_id", "attack", "attack_params", "image_source", "n_images", "n_surrogate_correct",
        "ssim_above", "reference", "search", "strengths", "mean_ssim", "n_fooled", "strength", "success", "feasible",
        "sets_crafted", "bisection_strength", "bisection_success", "bisection_sets", "forwards", "backwards",
    ),
    "predictions": (),
    "failures": (
        "unit_key", "kind", "unit", "attack", "surrogate_id", "image_source", "error_type", "message", "attempts",
        "tests_missing", "host",
    ),
}  # fmt: skip
"""What the report reads of each table; a column that an older file lacks is null."""

COUNTS = ("models", "adversarial_sets", "tests", "control_tests", "units")


@dataclass(frozen=True)
class Meta:
    """What is known of the run beside its tables; everything may be absent."""

    name: str
    title: str | None = None
    description: str | None = None
    primary: str | None = None
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    grid_text: str = ""


@dataclass(frozen=True)
class Results:
    """The tables of a result folder as frames, and what is known of its run."""

    folder: Path
    images: pd.DataFrame
    models: pd.DataFrame
    attacks: pd.DataFrame
    tunings: pd.DataFrame
    tests: pd.DataFrame
    failures: pd.DataFrame
    meta: Meta
    tables: CurrentTables

    @cached_property
    def final(self) -> Results:
        """The same results without intermediate iterates (`step`) in `attacks` and `tests`."""
        return replace(
            self, attacks=self.attacks[self.attacks["step"].isna()], tests=self.tests[self.tests["step"].isna()]
        )

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The victims' labels of every scored test; read when first asked for."""
        frame: pd.DataFrame = self.tables.read("predictions").to_pandas()
        return frame


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def read_meta(folder: Path, plan: Mapping[str, Any]) -> Meta:
    """Return what `plan.json` and `grid.toml` of a result folder say; what they do not say is left at its default."""
    report = plan.get("report") if isinstance(plan.get("report"), dict) else {}
    counts = plan.get("counts") if isinstance(plan.get("counts"), dict) else {}
    grid = folder / "grid.toml"
    text = grid.read_text(encoding="utf-8", errors="replace") if grid.is_file() and not grid.is_symlink() else ""
    try:
        name = _text(tomllib.loads(text).get("name"))
    except tomllib.TOMLDecodeError:
        name = None
    notes = (report or {}).get("notes") or []
    return Meta(
        name=name or folder.resolve().name,
        title=_text((report or {}).get("title")),
        description=_text((report or {}).get("description")),
        primary=_text((report or {}).get("primary")),
        notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (str(notes),),
        counts={
            key: int(value) for key, value in (counts or {}).items() if key in COUNTS and isinstance(value, int | float)
        },
        grid_text=text,
    )


def load(folder: str | Path, *, everything: bool = False) -> Results:
    """Return the results of a folder, right at any moment, during a run too.

    everything: all columns; else those that the report needs.

    Raises:
        InputError: it is no result folder.
        DamagedFileError: a file of it is torn or altered.
    """
    tables = CurrentTables(str(folder))
    frames = {
        name: tables.read(name, None if everything else columns).to_pandas()
        for name, columns in COLUMNS.items()
        if name != "predictions"
    }
    return Results(Path(folder), meta=read_meta(Path(folder), tables.plan or {}), tables=tables, **frames)
