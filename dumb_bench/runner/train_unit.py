"""Units that make models, and their clean predictions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from dumb_bench.data.tasks import task_named
from dumb_bench.evaluation import mean_logits_of
from dumb_bench.models.fitting import macro_f1
from dumb_bench.models.training import train_model
from dumb_bench.models.weights import to_bytes
from dumb_bench.runner.slot_state import WEIGHTS, SlotState, hardware, host, labels_of, library_versions
from dumb_bench.runner.units import CleanSet, CleanUnit, ImagesUnit, TrainUnit
from dumb_bench.spec import ModelSpec, Plugin
from dumb_bench.store.rows import as_table


def run_images(unit: ImagesUnit, state: SlotState) -> dict[str, pa.Table]:
    """List the images of a set."""
    import hashlib

    spec = unit.images
    split = state.image_set(spec)
    levels = (split.images.cpu() * 255).round().byte().numpy()
    rows = [
        {
            "unit_key": unit.key,
            "task": spec.task,
            "image_source": spec.source.label,
            "split": spec.split,
            "index": index,
            "image_id": name,
            "label": int(split.truth[index]),
            "target": int(split.targets[index]) if unit.targets else None,
            "sha256": hashlib.sha256(np.ascontiguousarray(levels[index]).tobytes()).hexdigest(),
        }
        for index, name in enumerate(split.ids)
    ]
    return {"images": as_table("images", rows)}


def run_train(unit: TrainUnit, state: SlotState) -> dict[str, pa.Table]:
    """Train a model, store its weights, and describe it."""
    spec = unit.model
    trained = train_model(spec, state.catalogue, device=str(state.device))
    meta = state.store.put_artifact(spec.id, {WEIGHTS: to_bytes(trained.samples)}, {"model": spec.id})
    clean = clean_rows(spec, unit.clean, unit.key, state)
    columns = {key: value for key, value in spec.columns.items() if key != "id"}
    (own,) = clean_rows(spec, (CleanSet(spec.source, Plugin("float32")),), unit.key, state)  # as they are
    row = {
        "model_id": spec.id,
        "unit_key": unit.key,
        "task": spec.task,
        **columns,
        **trained.record,
        "own_accuracy": own["accuracy"],
        "degenerate": degenerate(own, len(task_named(spec.task, state.catalogue).classes)),
        "weights_sha256": meta["files"][WEIGHTS]["sha256"],
        "library_versions": library_versions(),
        "hardware": hardware(str(state.device)),
        "host": host(),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {"models": as_table("models", [row]), "clean": as_table("clean", clean)}


def run_clean(unit: CleanUnit, state: SlotState) -> dict[str, pa.Table]:
    """Predict the clean test sets that a stored model has not seen yet."""
    return {"clean": as_table("clean", clean_rows(unit.model, unit.clean, unit.key, state))}


def clean_rows(spec: ModelSpec, sets: tuple[CleanSet, ...], key: str, state: SlotState) -> list[dict[str, Any]]:
    """Return a `clean` row for each test set: the whole test split of a source under a delivery."""
    networks = state.model(spec)
    classes = len(task_named(spec.task, state.catalogue).classes)
    rows = []
    for source, delivery in sets:
        split = state.test_split(spec.task, source)
        logits = mean_logits_of(networks, state.deliver(split.images, delivery.name))
        labels = labels_of(logits)
        f1 = macro_f1(logits.argmax(1), split.labels, classes)
        rows.append(
            {
                "model_id": spec.id,
                "unit_key": key,
                "test_set": CleanSet(source, delivery).id(spec.task),
                "test_source": source.label,
                "delivery": delivery.name,
                "accuracy": float((labels == split.truth).mean()),
                "f1": float(f1),
                "predictions": labels.tolist(),
                "logits": logits.cpu().numpy().astype(np.float16).ravel(),
            }
        )
    return rows


def degenerate(clean: dict[str, Any], classes: int) -> str | None:
    """Return why a model is of no use, judged on its own source's clean test images; None for a healthy one.

    One class only; or an accuracy below the middle between chance and 1 (.75 for two classes, .55 for ten).
    """
    if len(set(clean["predictions"])) == 1:
        return f"answers class {clean['predictions'][0]} for every clean test image of its own source"
    least = (1 / classes + 1) / 2
    if clean["accuracy"] < least:
        return f"clean accuracy {clean['accuracy']:.3f} on its own source, below {least:.2f}"
    return None
