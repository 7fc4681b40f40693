"""Slots that compute nothing: every unit is answered at once with rows that look like real ones.

They exercise the plan, the frontier, the driver, the store, compaction and the result folder as they are; only what a
unit costs by itself is taken out. Kinds of units that are not named here run as they do for real.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import pyarrow as pa

from dumb_bench.models.parts import makeup
from dumb_bench.relation import relate
from dumb_bench.runner.census import Census
from dumb_bench.runner.execute import SlotSettings, Worker
from dumb_bench.runner.units import AttackUnit, CleanUnit, ImagesUnit, ModelUnit, Outcome, TrainUnit, Unit
from dumb_bench.spec import ModelSpec
from dumb_bench.store import schema
from dumb_bench.store.rows import as_table

CLASSES = 2


def table_of(name: str, rows: int, columns: dict[str, Any]) -> pa.Table:
    """Return `rows` rows of a table: arrays as they are, plain values repeated, what is not given null."""
    arrays = []
    for field in schema.STORED[name]:
        value = columns.get(field.name)
        if isinstance(value, pa.Array | pa.ChunkedArray):
            arrays.append(value)
        elif isinstance(value, list | np.ndarray):
            arrays.append(pa.array(value, field.type))
        else:
            arrays.append(pa.repeat(pa.scalar(value, field.type), rows))
    return pa.Table.from_arrays(arrays, schema=schema.STORED[name])


class NoOpWorker(Worker):
    """Answers units at once. Labels are drawn from the unit's key, so that the same unit gives the same rows."""

    def _run(self, unit: Unit) -> dict[str, pa.Table]:
        if isinstance(unit, AttackUnit):
            return self._attack(unit)
        if isinstance(unit, TrainUnit):
            self.state.store.put_artifact(unit.part.id, {"weights.safetensors": b"none"}, {"record": {}})
            return {}
        if isinstance(unit, ModelUnit | CleanUnit):
            return self._model(unit)
        if isinstance(unit, ImagesUnit):
            return {"images": self._images(unit)}
        return super()._run(unit)

    def _images(self, unit: ImagesUnit) -> pa.Table:
        spec = unit.images
        count = CLASSES * spec.per_class
        about = {"unit_key": unit.key, "task": spec.task, "image_source": spec.source.label, "split": spec.split}
        index = np.arange(count)
        names = [f"{number:06d}" for number in index]
        return table_of("images", count, {**about, "index": index, "image_id": names, "label": index % CLASSES})

    def _model(self, unit: ModelUnit | CleanUnit) -> dict[str, pa.Table]:
        spec = unit.model
        columns = {key: value for key, value in spec.columns.items() if key != "id"}
        row = {"model_id": spec.id, "unit_key": unit.key, "task": spec.task, **columns, "epochs": 0, "seconds": 0.0}
        labels = np.arange(100) % CLASSES
        clean = [
            {
                "model_id": spec.id, "unit_key": unit.key, "test_set": item.id(spec.task), "f1": 1.0, "accuracy": 1.0,
                "test_source": item.source.label, "delivery": item.delivery.name, "predictions": labels,
                "logits": np.zeros(100 * CLASSES, np.float16),
            }
            for item in unit.clean
        ]  # fmt: skip
        tables = {"clean": as_table("clean", clean)}
        return tables if isinstance(unit, CleanUnit) else {"models": as_table("models", [row]), **tables}

    def _attack(self, unit: AttackUnit) -> dict[str, pa.Table]:
        draw = np.random.default_rng(int(unit.key, 16))
        images = CLASSES * unit.base.images.per_class
        found: dict[str, list[pa.Table]] = {"attacks": [], "tests": [], "predictions": []}
        for item in unit.wanted:
            spec = item.set
            common = {
                "attack_id": item.attack_id, "unit_key": unit.key, "task": spec.images.task, "attack": spec.attack_name,
                "attack_params": "{}", "attack_library": "dumb_bench", "attack_seed": 0, "norm": "linf",
                "strength": item.strength, "step": item.step, "targeted": False, "schema_version": 1,
                "image_source": spec.images.source.label, "delivery": item.delivery.name,
            }  # fmt: skip
            size = draw.random(images, np.float32)
            own = dict.fromkeys(("linf", "l2", "linf_delivered", "l2_delivered", "ssim"), size.tolist())
            about = {
                "set_id": spec.id, "surrogate_id": spec.surrogate.id if spec.surrogate else None, "n_images": images,
                "set_sha256": f"{draw.integers(2**62):064x}", "seconds": 0.0, "host": "none",
            }  # fmt: skip
            found["attacks"].append(as_table("attacks", [{**common, **own, **about}]))
            found["tests"].append(self._tests(item, common, images))
            rows = len(item.victims)
            ends = pa.array(np.arange(rows + 1, dtype=np.int32) * images)
            labels = pa.array(draw.integers(0, CLASSES, rows * images, np.int16))
            margins = pa.array(draw.standard_normal(rows * images, np.float32).astype(np.float16))
            lists = [pa.ListArray.from_arrays(ends, values) for values in (labels, margins)]
            about = {"test_id": list(item.test_ids), "predictions": lists[0], "margins": lists[1]}
            found["predictions"].append(table_of("predictions", rows, about))
        return {name: pa.concat_tables(tables) for name, tables in found.items()}

    def _tests(self, item: Any, common: dict[str, Any], images: int) -> pa.Table:
        rows, surrogate, ids = len(item.victims), item.set.surrogate, list(item.test_ids)
        control = bool(item.set.control) or item.set.attack_name in ("identity", "sign_noise")
        columns = {
            **common, "test_id": ids, "scored_as": ids, "strength_rule": "grid", "n_images": images, "asr": 0.5,
            "n_victim_correct": images, "n_victim_correct_raw": images, "n_success": images // 2, "copied": False,
            "class_images": [[images // CLASSES] * CLASSES] * rows, "control": control, "numerics": "exact",
            "class_victim_correct": [[images // CLASSES] * CLASSES] * rows,
            "class_success": [[images // CLASSES // 2] * CLASSES] * rows,
        }  # fmt: skip
        for key in item.victims[0].columns:
            name = "victim_params" if key == "params" else f"victim_{key}"
            columns[name] = [victim.columns[key] for victim in item.victims]
        if surrogate is not None:
            columns |= {f"surrogate_{key}": value for key, value in surrogate.columns.items()}
            relations = [self._relation(surrogate.models, victim) for victim in item.victims]
            columns |= {key: [getattr(found, key) for found in relations] for key in relations[0]._fields}
            columns["train_overlap"] = 0.0
        return table_of("tests", rows, columns)

    @lru_cache(maxsize=100_000)  # noqa: B019 - lives as long as its process
    def _relation(self, members: tuple[ModelSpec, ...], victim: ModelSpec) -> Any:
        described = [
            {**model.columns, "weights": makeup(model, self.settings.catalogue).weights} for model in (*members, victim)
        ]
        return relate(described[:-1], described[-1])


class ProcessExecutor:
    """Slots as processes of this machine, one unit at a time each."""

    def __init__(self, settings: SlotSettings, slots: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._slots = []
        for _ in range(slots):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(settings, there), daemon=True)
            process.start()
            self._slots.append((process, here))
        self._idle = deque(connection for _, connection in self._slots)
        self.waited = 0.0

    @property
    def free(self) -> int:
        """The number of idle slots."""
        return len(self._idle)

    def submit(self, unit: Unit, halvings: int = 0) -> None:
        """Send a unit to a slot."""
        del halvings
        self._idle.popleft().send(unit)

    def withdraw(self) -> list[Unit]:
        """Return nothing: a unit starts when it is submitted."""
        return []

    def news(self) -> list[dict[str, object]]:
        """Return nothing: no slot comes or goes."""
        return []

    def publish(self, census: Census) -> None:
        """Nobody watches."""
        del census

    def wait(self, seconds: float) -> list[Outcome]:
        """Return what has ended."""
        started = time.perf_counter()
        busy = [connection for _, connection in self._slots if connection not in self._idle]
        ready = [item for item in wait(busy, seconds) if isinstance(item, Connection)]
        self.waited += time.perf_counter() - started
        self._idle.extend(ready)
        return [connection.recv() for connection in ready]

    def close(self) -> None:
        """End the processes."""
        for process, connection in self._slots:
            connection.send(None)
            process.join()


def _serve(settings: SlotSettings, connection: Connection) -> None:
    worker = NoOpWorker(settings)
    while (unit := connection.recv()) is not None:
        connection.send(worker(unit))
