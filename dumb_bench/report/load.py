"""From a result folder to frames. Only the columns that the report needs are read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.store.allocators import give_back
from dumb_bench.store.current import CurrentTables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

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
        "mean_l2_delivered", "mean_linf_delivered",
    ),
    "tests": (
        "test_id", "attack_id", "task", *(f"surrogate_{key}" for key in _SURROGATE), "attack", "attack_params",
        "attack_library", "attack_seed", "norm", "strength", "strength_rule", "targeted", "step", "image_source",
        "delivery", "defence_known", *(f"victim_{key}" for key in (*_MODEL, "recipe", "seed", "id", "params")), "case",
        "white_box", "shared_weights", "n_images", "n_victim_correct", "n_success", "asr", "n_target_success",
        "control", "copied", "numerics",
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

NORMS = ("linf", "l2", "linf_delivered", "l2_delivered")
"""Per-image lists of `attacks`; the report holds the largest of each row, under the same name."""

ENCODED = ("tests",)

COUNTS = ("models", "adversarial_sets", "tests", "control_tests", "units")


@dataclass(frozen=True)
class Meta:
    """What is known of the run beside its tables; everything may be absent.

    part: which of the tests these are, as a sentence, where some were chosen afterwards.
    """

    name: str
    title: str | None = None
    description: str | None = None
    primary: str | None = None
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    grid_text: str = ""
    part: str = ""

    @property
    def declared(self) -> str | None:
        """The contrast that was declared before the run; of a part that was chosen after it, none."""
        return None if self.part else self.primary


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
    def published(self) -> bool:
        """Whether these are published results of others, imported (`numerics` of `tests`)."""
        return "numerics" in self.tests and bool((self.tests["numerics"] == "published").any())

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
        name: tables.read(name).to_pandas() if everything else _frame(tables, name)
        for name in COLUMNS
        if name != "predictions"
    }
    return Results(Path(folder), meta=read_meta(Path(folder), tables.plan or {}), tables=tables, **frames)


def _frame(tables: CurrentTables, name: str) -> pd.DataFrame:
    """Return the columns that the report reads: text of many rows shared, lists of norms as maxima."""
    if name == "attacks":
        return _largest_norms(tables)
    if name not in ENCODED:
        frame: pd.DataFrame = tables.read(name, COLUMNS[name]).to_pandas()
        return frame
    return _shared_text(tables.read(name, COLUMNS[name], encoded=True))


def _largest_norms(tables: CurrentTables) -> pd.DataFrame:
    """Return the columns of `attacks` with the largest of each list of norms in place of the list."""
    import pandas as pd

    frames = []
    for piece in tables.pieces("attacks", COLUMNS["attacks"]):
        frame = piece.drop_columns(list(NORMS)).to_pandas()
        frames.append(frame.assign(**{name: largest(piece.column(name)) for name in NORMS}))
    empty = tables.read("attacks", COLUMNS["attacks"]).to_pandas() if not frames else pd.DataFrame()
    return pd.concat(frames, ignore_index=True) if frames else empty


def largest(lists: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the largest entry of each list (N,); NaN for null, an empty list or one with NaN in it."""
    import pyarrow as pa

    array = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = array.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    found = np.full(len(array), np.nan)
    filled = lengths > 0
    if filled.any():
        starts = np.concatenate([[0], np.cumsum(lengths[filled])[:-1]])
        found[filled] = np.maximum.reduceat(values, starts)
    return found


def _shared_text(table: pa.Table) -> pd.DataFrame:
    """Return a frame in which equal text of a column is one object: 8 bytes a row, whatever its length.

    The table is emptied column by column, so that both never lie in memory whole.
    """
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name in table.column_names:
        series = table.select([name]).to_pandas()[name].copy()
        if isinstance(series.dtype, pd.CategoricalDtype):
            values = np.append(series.cat.categories.to_numpy(dtype=object), np.nan)  # code -1: the last
            series = pd.Series(values[series.cat.codes.to_numpy()], dtype=object)
        columns[name] = series
        table = table.drop_columns([name])
    give_back()
    return pd.DataFrame(columns, copy=False)
