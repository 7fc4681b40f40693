"""The harness itself, in this process: a real run of the grid with the serial executor and a store of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.weights import from_bytes
from dumb_bench.runner import attack_unit, execute, made_set, run, slot_state, train_unit, tune_unit
from dumb_bench.runner.run import RunOptions, run_grid
from dumb_bench.runner.slot_state import SlotState
from dumb_bench.runner.stored_parts import WEIGHTS, StoredParts
from dumb_bench.runner.units import Outcome, Unit, kind_of
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.store import Store

from .clock import Clock
from .success import DisagreementError, Table, from_rows


class Ran(NamedTuple):
    """One run. weights: of every model that it trained. units: CPU seconds of all units of a kind, as they say."""

    weights: dict[str, Mapping[str, Tensor]]
    tests: Table
    units: dict[str, float]


class _Watcher:
    def __init__(self, between: Callable[[], None]) -> None:
        self.units: dict[str, float] = {}
        self._between = between

    def started(self, units: Sequence[Unit]) -> None: ...

    def ended(self, unit: Unit, outcome: Outcome, failed: bool) -> None:
        if failed:
            raise DisagreementError(f"the harness failed at {unit.label}: {outcome.error}")
        kind = kind_of(unit)
        self.units[kind] = self.units.get(kind, 0.0) + outcome.cpu_seconds
        self._between()

    def tick(self) -> None: ...


_CALLS: tuple[tuple[Any, str, str], ...] = (
    (train_unit, "train_part", "training"),
    (SlotState, "answer", "scoring"), (SlotState, "scored", "scoring"), (SlotState, "own_logits", "scoring"),
    (StoredParts, "loaded", "models read"), (StoredParts, "fast", "models read"),
    (SlotState, "deliver", "delivery, norms"), (attack_unit, "linf", "delivery, norms"),
    (attack_unit, "l2", "delivery, norms"), (made_set, "linf", "delivery, norms"),
    (made_set, "l2", "delivery, norms"), (attack_unit, "delta_swap", "crafting"),
    (attack_unit, "ssim", "SSIM"), (tune_unit, "ssim", "SSIM"),
    (Store, "put", "store"), (Store, "put_artifact", "store"), (Store, "get_artifact", "store"),
    (Store, "local_artifact", "store"),
    (execute, "run_compact", "store"), (run, "read_index", "store"), (run, "Assembly", "store"),
    (ResultFolder, "write_tables", "store"),
    (run, "build_plan", "plan"), (run, "plan_document", "plan"), (run, "outstanding", "plan"),
)  # fmt: skip
_STEPS = ((slot_state, "craft", "crafting"),)


@contextmanager
def _watched(clock: Clock) -> Iterator[None]:
    """Count the harness's stages meanwhile."""
    found = [(owner, name, getattr(owner, name)) for owner, name, _ in (*_CALLS, *_STEPS)]
    wrap: Callable[..., Any]
    for wrap, watched in ((clock.watching, _CALLS), (clock.watching_steps, _STEPS)):
        for owner, name, stage in watched:
            setattr(owner, name, wrap(stage, getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, call in found:
            setattr(owner, name, call)


def run_harness(
    grid: Path, catalogue: Catalogue, folder: Path, clock: Clock, between: Callable[[], None] = lambda: None
) -> Ran:
    """Run a grid into an empty folder: `results` and `store`. between: called after every unit.

    Raises:
        DisagreementError: a unit failed, or the run was interrupted.
    """
    options = RunOptions(str(folder / "results"), str(folder / "store"), address="serial")
    watcher = _Watcher(between)
    with _watched(clock), clock.running():
        summary = run_grid(grid, catalogue, options, watcher, lambda line: None)
    if summary.exit_code:
        raise DisagreementError(f"the harness ended with code {summary.exit_code}")
    store = Store.open(options.store)
    columns = ["surrogate_id", "attack", "attack_params", "strength", "image_source", "delivery", "victim_id"]
    counts = ["n_images", "n_victim_correct", "n_success"]
    rows = store.read("tests", columns=[*columns, *counts]).to_pylist()
    return Ran(_weights(folder / "results", store), from_rows(rows), watcher.units)


def _weights(results: Path, store: Store) -> dict[str, Mapping[str, Tensor]]:
    """Return the stored weights of every model: of point models, whose id is that of their part."""
    models = store.read("models", columns=["model_id"]).column("model_id").to_pylist()
    return {name: from_bytes(store.get_artifact(name)[0][WEIGHTS]).states[0] for name in models}
