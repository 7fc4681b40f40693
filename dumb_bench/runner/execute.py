"""One unit run to its end inside a slot: work, write, and turn whatever goes wrong into a fault."""

from __future__ import annotations

import gc
import os
import re
import time
import traceback
from dataclasses import dataclass

import pyarrow as pa
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import AttackError, DamagedFileError, InputError
from dumb_bench.evaluation import halved
from dumb_bench.models.arithmetic import arithmetic
from dumb_bench.redaction import without_secrets
from dumb_bench.runner.attack_unit import run_attack
from dumb_bench.runner.attempts import OUT_OF_MEMORY
from dumb_bench.runner.compact_unit import CompactUnit, run_compact
from dumb_bench.runner.machine import host
from dumb_bench.runner.memory import is_out_of_memory
from dumb_bench.runner.slot_state import SlotState
from dumb_bench.runner.train_unit import run_clean, run_images, run_model, run_train
from dumb_bench.runner.tune_unit import run_tune
from dumb_bench.runner.units import (
    AttackUnit,
    CleanUnit,
    Computed,
    Fault,
    ImagesUnit,
    ModelUnit,
    Outcome,
    TrainUnit,
    TuneUnit,
    Unit,
)
from dumb_bench.store.store import Store

PASSING = (OSError, MemoryError, DamagedFileError)
"""Errors that may not come again, as memory that ran out; all others of a seeded computation would."""


@dataclass(frozen=True)
class SlotSettings:
    """What a slot needs to start: plain data that travels to another process."""

    store: str
    catalogue: Catalogue
    device: str


class Worker:
    """Runs units one after the other, with one torch thread, so that the bits do not depend on the machine's cores."""

    def __init__(self, settings: SlotSettings) -> None:
        torch.set_num_threads(1)
        self.settings = settings
        self.state = SlotState(Store.open(settings.store), settings.catalogue, settings.device)

    def __call__(self, unit: Unit, halvings: int = 0) -> Outcome:
        """Run a unit, its batches of execution halved so often, and store its rows; raises no ordinary exception."""
        started, cpu = time.perf_counter(), time.process_time()
        tests = 0
        fault = compacted = None
        try:
            if isinstance(unit, CompactUnit):
                compacted = run_compact(unit, self.state.store)
            else:
                with halved(halvings), arithmetic(self.state.device, tf32=False):
                    tables = self._run(unit)
                if tables:
                    self.state.store.put(unit.key, tables)
            tests = unit.tests if isinstance(unit, AttackUnit) else 0
        except Exception as error:
            fault = fault_of(error)
        if fault and fault.type == OUT_OF_MEMORY:
            self._forget()
        return Outcome(unit.key, tests, time.perf_counter() - started, time.process_time() - cpu, fault, compacted)

    def _forget(self) -> None:
        """Let go of all that was kept warm: it may be what fills the memory."""
        self.state = SlotState(self.state.store, self.settings.catalogue, self.settings.device)
        gc.collect()
        if self.state.device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(self, unit: Computed) -> dict[str, pa.Table]:
        if isinstance(unit, ImagesUnit):
            return run_images(unit, self.state)
        if isinstance(unit, TrainUnit):
            return run_train(unit, self.state)
        if isinstance(unit, ModelUnit):
            return run_model(unit, self.state)
        if isinstance(unit, CleanUnit):
            return run_clean(unit, self.state)
        if isinstance(unit, TuneUnit):
            return run_tune(unit, self.state)
        return run_attack(unit, self.state)


def fault_of(error: Exception) -> Fault:
    """Describe an exception: its type, one cleaned line, and the traceback."""
    lines = "".join(traceback.format_exception(error))
    exhausted = is_out_of_memory(error)
    lasting = not exhausted and not isinstance(error, PASSING)
    damaged = error.path if isinstance(error, DamagedFileError) else ""
    name = OUT_OF_MEMORY if exhausted else type(error).__name__
    known = isinstance(error, AttackError | InputError | DamagedFileError)
    return Fault(
        name,
        clean_text(str(error) or type(error).__name__, 2000),
        "" if known else clean_text(lines, 8000),
        lasting,
        host(),
        damaged,
    )


def clean_text(text: str, limit: int) -> str:
    """Return text without secrets, control characters and terminal codes, the home folder written `~`, cut to size."""
    text = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text[: 4 * limit])
    text = "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())
    text = without_secrets(text).replace(os.path.expanduser("~") + os.sep, "~" + os.sep)
    return text if len(text) <= limit else text[: limit - 3] + "..."
