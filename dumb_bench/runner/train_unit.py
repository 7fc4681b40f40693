"""Units that make models, and their clean predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from dumb_bench.data.tasks import task_named
from dumb_bench.models.cost import total
from dumb_bench.models.fitting import macro_f1
from dumb_bench.models.parts import Share
from dumb_bench.models.training import describe_training, train_part
from dumb_bench.runner.slot_state import SlotState, labels_of
from dumb_bench.runner.stored_parts import LoadedPart
from dumb_bench.runner.units import CleanSet, CleanUnit, ImagesUnit, ModelUnit, TrainUnit
from dumb_bench.spec import UNKNOWN, ModelSpec, Plugin, to_json
from dumb_bench.store.rows import as_table


def run_images(unit: ImagesUnit, state: SlotState) -> dict[str, pa.Table]:
    """List the images of a set."""
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
    """Train a part of a model and store its weights: no rows."""
    train_part(unit.part, state.catalogue, state.parts, device=str(state.device))
    return {}


def run_model(unit: ModelUnit, state: SlotState) -> dict[str, pa.Table]:
    """Describe a trained model."""
    spec = unit.model
    held = state.makeup(spec)
    judging = () if spec.source.name == UNKNOWN else (CleanSet(spec.source, Plugin("float32")),)  # as they are
    rows = clean_rows(spec, (*unit.clean, *judging), unit.key, state)
    clean, own = rows[: len(unit.clean)], rows[len(unit.clean) :]
    columns = {key: value for key, value in spec.columns.items() if key != "id"}
    records = [state.parts.loaded(part).record for part in held.needs]
    shares = [(state.parts.loaded(share.part), share) for share in held.shares]
    classes = len(task_named(spec.task, state.catalogue).classes)
    judged = {"own_accuracy": own[0]["accuracy"], "degenerate": degenerate(own[0], classes)} if own else {}
    trained = {} if spec.checkpoint else describe_training(spec, state.catalogue)
    row = {
        "model_id": spec.id,
        "unit_key": unit.key,
        "task": spec.task,
        **columns,
        "parameters": sum(weight.numel() for weight in shares[0][0].networks[0].parameters()),
        **trained,
        **total(records),
        "init_weights": next((record["init_weights"] for record in records if record.get("init_weights")), None),
        "weights_bytes": sum(part.bytes_of(share) for part, share in shares),
        **judged,
        "weights_sha256": weights_digest(shares),
        **{key: records[-1].get(key) for key in ("library_versions", "hardware", "host", "finished_at")},
    }
    return {"models": as_table("models", [row]), "clean": as_table("clean", clean)}


def weights_digest(shares: Sequence[tuple[LoadedPart, Share]]) -> str:
    """Return what identifies a model's weights: its file's sha256 if that is all of it, else one over all shares."""
    part, share = shares[0]
    if len(shares) == 1 and len(part.networks) == len(share.places):
        return part.sha256
    return hashlib.sha256(to_json([(part.sha256, share.places) for part, share in shares]).encode()).hexdigest()


def run_clean(unit: CleanUnit, state: SlotState) -> dict[str, pa.Table]:
    """Predict the clean test sets that a stored model has not seen yet."""
    return {"clean": as_table("clean", clean_rows(unit.model, unit.clean, unit.key, state))}


def clean_rows(spec: ModelSpec, sets: tuple[CleanSet, ...], key: str, state: SlotState) -> list[dict[str, Any]]:
    """Return a `clean` row for each test set: the whole test split of a source under a delivery."""
    classes = len(task_named(spec.task, state.catalogue).classes)
    rows = []
    unchanged: dict[Plugin, Tensor] = {}
    for source, delivery in sets:
        split = state.test_split(spec.task, source)
        arrived = state.arrived(split.images, delivery.name)
        same = arrived is split.images
        logits = unchanged[source] if same and source in unchanged else state.answer(spec, source, arrived)
        if same:
            unchanged[source] = logits
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
