"""The public result schema: explicit Arrow types, plain strings, versioned. Only nullable columns are ever added."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

_text, _real, _count, _flag = pa.string(), pa.float64(), pa.int32(), pa.bool_()
_labels, _halves, _singles = pa.list_(pa.int16()), pa.list_(pa.float16()), pa.list_(pa.float32())
_reals, _counts = pa.list_(_real), pa.list_(_count)

_MODEL_COLUMNS: dict[str, pa.DataType] = {
    "source": _text,
    "subset": _text,
    "architecture": _text,
    "init": _text,
    "balance": _text,
    "balance_mode": _text,
    "defence": _text,
    "posterior": _text,
    "samples": _count,
    "draw": _count,
    "recipe": _text,
    "seed": pa.int64(),
    "id": _text,
    "params": _text,
}

IMAGES = pa.schema(
    {
        "unit_key": _text,
        "task": _text,
        "image_source": _text,
        "split": _text,
        "index": _count,
        "image_id": _text,
        "label": pa.int16(),
        "sha256": _text,
        "target": pa.int16(),
        "schema_version": _count,
    }
)

MODELS = pa.schema(
    {
        "model_id": _text,
        "unit_key": _text,
        "task": _text,
        **{key: kind for key, kind in _MODEL_COLUMNS.items() if key != "id"},
        "recipe_params": _text,
        "epochs": _count,
        "gradients": pa.int64(),
        "selected_epoch": _count,
        "seconds": _real,
        "parameters": pa.int64(),
        "weights_bytes": pa.int64(),
        "train_images": _count,
        "train_counts": _counts,
        "train_ids_sha256": _text,
        "curve_epoch": _counts,
        "curve_loss": _reals,
        "curve_validation_loss": _reals,
        "curve_validation_f1": _reals,
        "test_source": pa.list_(_text),
        "test_delivery": pa.list_(_text),
        "clean_accuracy": _reals,
        "clean_f1": _reals,
        "clean_predictions": pa.list_(_labels),
        "clean_logits": pa.list_(_halves),
        "own_accuracy": _real,
        "degenerate": _text,
        "weights_sha256": _text,
        "init_weights": _text,
        "checkpoint": _text,
        "library_versions": _text,
        "hardware": _text,
        "host": _text,
        "finished_at": _text,
        "schema_version": _count,
    }
)
"""One row a model. `test_source`, `test_delivery`, `clean_*` are lists of equal length, one entry a clean test set.
Of a user's own checkpoint `checkpoint` is the sha256, and what only training could say is null.
`degenerate` is null for a healthy model, else the sentence that says why it is not. `clean_logits` holds each test
set's logits flattened, (N * K,). Both hold the whole test split; their first entries follow `images.index`."""

CLEAN = pa.schema(
    {
        "model_id": _text,
        "unit_key": _text,
        "test_set": _text,
        "test_source": _text,
        "delivery": _text,
        "accuracy": _real,
        "f1": _real,
        "predictions": _labels,
        "logits": _halves,
    }
)
"""Kept in the store only: a model's clean predictions on one test set; folded into `models` in a result folder."""

ATTACKS = pa.schema(
    {
        "attack_id": _text,
        "set_id": _text,
        "unit_key": _text,
        "task": _text,
        "surrogate_id": _text,
        "attack": _text,
        "attack_params": _text,
        "attack_library": _text,
        "attack_seed": pa.int64(),
        "norm": _text,
        "strength": _real,
        "step": _count,
        "strength_unit": _text,
        "targeted": _flag,
        "image_source": _text,
        "delivery": _text,
        "n_images": _count,
        "linf": _singles,
        "l2": _singles,
        "linf_delivered": _singles,
        "l2_delivered": _singles,
        "ssim": _singles,
        "mean_linf": _real,
        "mean_l2": _real,
        "mean_linf_delivered": _real,
        "mean_l2_delivered": _real,
        "mean_ssim": _real,
        "surrogate_predictions": _labels,
        "surrogate_margins": _halves,
        "surrogate_loss": _real,
        "n_surrogate_correct": _count,
        "n_surrogate_fooled": _count,
        "first_fooling_step": _labels,
        "budget_violation": _real,
        "box_violation": _real,
        "budget_reached": _flag,
        "set_sha256": _text,
        "forwards": pa.int64(),
        "backwards": pa.int64(),
        "memory_bytes": pa.int64(),
        "seconds": _real,
        "library_versions": _text,
        "hardware": _text,
        "host": _text,
        "finished_at": _text,
        "schema_version": _count,
    }
)
"""One row a (surrogate, attack, strength, image source, delivery). Per-image lists follow `images.index`."""

TESTS = pa.schema(
    {
        "test_id": _text,
        "scored_as": _text,
        "attack_id": _text,
        "unit_key": _text,
        "task": _text,
        **{
            f"surrogate_{key}": _MODEL_COLUMNS.get(key, _text)
            for key in (*list(_MODEL_COLUMNS)[:8], "samples", "draw", "aggregation", "modifier", "recipe", "seed", "id")
        },
        "attack": _text,
        "attack_params": _text,
        "attack_library": _text,
        "attack_seed": pa.int64(),
        "norm": _text,
        "strength": _real,
        "strength_rule": _text,
        "targeted": _flag,
        "step": _count,
        "image_source": _text,
        "delivery": _text,
        "defence_known": _flag,
        **{f"victim_{key}": kind for key, kind in _MODEL_COLUMNS.items() if key != "params"},
        "surrogate_checkpoint": _text,
        "victim_checkpoint": _text,
        "case": _text,
        "white_box": _flag,
        "shared_weights": _real,
        "same_lineage": _flag,
        "same_init": _flag,
        "train_overlap": _real,
        "n_images": _count,
        "n_victim_correct": _count,
        "n_victim_correct_raw": _count,
        "n_success": _count,
        "n_surrogate_fooled": _count,
        "asr": _real,
        "n_target_success": _count,
        "class_images": _counts,
        "class_victim_correct": _counts,
        "class_success": _counts,
        "control": _flag,
        "copied": _flag,
        "surrogate_params": _text,
        "victim_params": _text,
        "numerics": _text,
        "scoring_batch": _count,
        "n_rescored": _count,
        "schema_version": _count,
    }
)
"""One row a test. `asr` = n_success / n_victim_correct, null when that is 0. `scored_as` is the id under which
`predictions` holds the labels: the row's own `test_id`, but for a `copied` row of a surrogate-free attack."""

TUNINGS = pa.schema(
    {
        "tuning_id": _text,
        "unit_key": _text,
        "task": _text,
        "surrogate_id": _text,
        "attack": _text,
        "attack_params": _text,
        "attack_library": _text,
        "attack_seed": pa.int64(),
        "norm": _text,
        "targeted": _flag,
        "image_source": _text,
        "split": _text,
        "delivery": _text,
        "n_images": _count,
        "n_surrogate_correct": _count,
        "ssim_above": _real,
        "reference": _flag,
        "search": _text,
        "numerics": _text,
        "strengths": _reals,
        "mean_ssim": _reals,
        "n_fooled": _counts,
        "strength": _real,
        "success": _real,
        "feasible": _flag,
        "sets_crafted": _count,
        "bisection_strength": _real,
        "bisection_success": _real,
        "bisection_sets": _count,
        "forwards": pa.int64(),
        "backwards": pa.int64(),
        "seconds": _real,
        "library_versions": _text,
        "hardware": _text,
        "host": _text,
        "finished_at": _text,
        "schema_version": _count,
    }
)
"""One row a strength chosen for a surrogate. `strengths`, `mean_ssim`, `n_fooled` have an entry a strength measured;
`strength` is null and `feasible` false where none keeps the SSIM above `ssim_above`."""

PREDICTIONS = pa.schema({"test_id": _text, "predictions": _labels, "margins": _halves})
"""One row a scored test, in the order of `images.index`: the victim's label, its true logit minus the best other."""

FAILURES = pa.schema(
    {
        "unit_key": _text,
        "kind": _text,
        "unit": _text,
        "subject": _text,
        "attack": _text,
        "surrogate_id": _text,
        "image_source": _text,
        "error_type": _text,
        "message": _text,
        "traceback": _text,
        "attempts": _count,
        "tests_missing": _count,
        "host": _text,
        "finished_at": _text,
        "schema_version": _count,
    }
)

TABLES: dict[str, pa.Schema] = {
    "images": IMAGES,
    "models": MODELS,
    "attacks": ATTACKS,
    "tunings": TUNINGS,
    "tests": TESTS,
    "predictions": PREDICTIONS,
    "failures": FAILURES,
}
"""The public tables of a result folder."""

STORED: dict[str, pa.Schema] = {**TABLES, "clean": CLEAN}
"""The tables of a store."""
