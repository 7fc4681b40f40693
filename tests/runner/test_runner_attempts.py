"""What happens to a unit that did not end well: counted by cause, bounded, and each unit ends exactly once."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrid import Quiet

from dumb_bench.errors import InputError
from dumb_bench.evaluation import halved, logits_of
from dumb_bench.runner import driver as driving
from dumb_bench.runner.attempts import (
    MAX_NODE_FAULTS,
    NODE_LOST,
    OUT_OF_MEMORY,
    TIMED_OUT,
    WORKER_DIED,
    Attempts,
    Retry,
)
from dumb_bench.runner.census import Census
from dumb_bench.runner.compact_unit import CompactUnit
from dumb_bench.runner.driver import Driver
from dumb_bench.runner.failures import failure_row
from dumb_bench.runner.memory import is_out_of_memory, oom_kills
from dumb_bench.runner.retry import chosen_failures, error_types
from dumb_bench.runner.units import Fault, ImagesUnit, Outcome, Unit
from dumb_bench.spec import ImagesSpec, Plugin
from dumb_bench.store.events import EventLog, read_events
from dumb_bench.store.store import Store


def fault(kind: str, lasting: bool = False) -> Fault:
    return Fault(kind, "why", "", lasting, "")


def retries(*faults: Fault, scores: bool = True) -> list[Retry | None]:
    attempts = Attempts()
    return [attempts.after("a", item, scores=scores) for item in faults]


def test_three_deaths_are_poison_and_each_waits_longer() -> None:
    assert retries(*[fault(WORKER_DIED)] * 3) == [Retry(1, 0), Retry(2, 0), None]
    assert retries(*[fault(TIMED_OUT), fault("OSError"), fault(WORKER_DIED)])[-1] is None
    assert retries(fault("ValueError", lasting=True)) == [None]


def test_a_failure_tells_what_the_tries_before_its_last_one_met() -> None:
    attempts = Attempts()
    for item in (TIMED_OUT, TIMED_OUT, "OSError", WORKER_DIED):
        attempts.after("a", fault(item), scores=True)
    attempts.after("b", fault(WORKER_DIED), scores=True)
    attempts.after("b", fault(WORKER_DIED), scores=True)
    assert attempts.earlier("a") == "TimedOut 2x, OSError 1x"
    assert attempts.earlier("b") == attempts.earlier("unknown") == ""
    row = failure_row("a", UNITS[0], fault(WORKER_DIED), 3, attempts.earlier("a"))
    assert row["message"] == "why (tries before ended with: TimedOut 2x, OSError 1x)"
    assert failure_row("b", UNITS[0], fault(WORKER_DIED), 3)["message"] == "why"


def test_a_node_that_left_is_not_the_units_fault_but_not_for_ever() -> None:
    found = retries(*[fault(NODE_LOST)] * 7, fault(WORKER_DIED), fault(WORKER_DIED), fault(WORKER_DIED))
    assert None not in found[:-1] and found[-1] is None
    lost = retries(*[fault(NODE_LOST)] * MAX_NODE_FAULTS)
    assert lost.index(None) == MAX_NODE_FAULTS - 1
    assert all(item.delay <= 60 for item in lost if item)


def test_memory_that_ran_out_halves_the_batch_to_the_floor_and_no_further() -> None:
    found = retries(*[fault(OUT_OF_MEMORY)] * 5)
    assert [item.halvings for item in found if item] == [1, 2, 3, 4]
    assert found[-1] is None
    assert retries(*[fault(OUT_OF_MEMORY)] * 3, scores=False) == [Retry(1, 0), Retry(2, 0), None]


class Lucky:
    """An executor whose units meet the faults of a script, then end well; holds some of them back at times."""

    def __init__(self, script: dict[str, list[str]], chance: random.Random) -> None:
        self.script, self.chance = script, chance
        self.queue: list[Unit] = []
        self.ends: Counter[str] = Counter()

    @property
    def free(self) -> int:
        return 3 - len(self.queue)

    def submit(self, unit: Unit, halvings: int = 0) -> None:
        del halvings
        assert self.free and unit not in self.queue
        self.queue.append(unit)

    def wait(self, seconds: float) -> list[Outcome]:
        del seconds
        if not self.queue:
            return []
        unit = self.queue.pop(self.chance.randrange(len(self.queue)))
        if isinstance(unit, CompactUnit):
            return [Outcome(unit.key, 0, 0.0, 0.0)]
        left = self.script[unit.key]
        if left:
            return [Outcome(unit.key, 0, 0.0, 0.0, fault(left.pop(0)))]
        self.ends[unit.key] += 1
        return [Outcome(unit.key, 0, 0.0, 0.0)]

    def withdraw(self) -> list[Unit]:
        return []

    def news(self) -> list[dict[str, object]]:
        return []

    def publish(self, census: Census) -> None:
        assert min(census.counts().values()) >= 0

    def close(self) -> None: ...


UNITS = [ImagesUnit(ImagesSpec("digits", Plugin("optdigits"), number)) for number in range(1, 5)]
KINDS = st.lists(st.sampled_from([WORKER_DIED, NODE_LOST, TIMED_OUT, "OSError"]), max_size=6)


@given(st.integers(0, 2**32), st.lists(KINDS, min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_each_unit_is_done_or_failed_once_under_any_faults(seed: int, faults: list[list[str]]) -> None:
    script = {unit.key: list(own) for unit, own in zip(UNITS, faults, strict=True)}
    poison = {key for key, own in script.items() if sum(kind != NODE_LOST for kind in own) >= 3}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        store = Store.open(folder)
        patch.setattr(driving.time, "sleep", lambda seconds: None)
        clock = itertools.count()
        patch.setattr(driving.time, "monotonic", lambda: float(next(clock)))
        executor = Lucky(script, random.Random(seed))
        with EventLog(store.place) as log:
            tally = Driver(store, executor, log, Quiet()).run(UNITS, {})
        assert {row["unit_key"] for row in store.failure_rows()} == poison
        assert tally.failed == len(poison) and sum(tally.done.values()) == len(UNITS) - len(poison)
        assert executor.ends == Counter(unit.key for unit in UNITS if unit.key not in poison)
        failed = [event for event in read_events(store.place) if event["event"] == "unit_failed"]
        assert {event["key"] for event in failed if not event["tried_again"]} == poison


def test_a_store_that_fails_for_a_moment_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving.time, "sleep", lambda seconds: None)
    store, failures = Store.open(tmp_path), iter([OSError(5, "gone")] * 3)
    real = store.put_failure

    def put(row: dict[str, object]) -> None:
        for error in failures:
            raise error
        real(row)

    monkeypatch.setattr(store, "put_failure", put)
    executor = Lucky({UNITS[0].key: [WORKER_DIED] * 3}, random.Random(0))
    with EventLog(store.place) as log:
        Driver(store, executor, log, Quiet()).run(UNITS[:1], {})
    assert [row["error_type"] for row in store.failure_rows()] == [WORKER_DIED]


class Counting(torch.nn.Module):
    """A linear map that notes its batches, behind dropout if asked."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.map, self.dropout, self.batches = torch.nn.Linear(4, 3), dropout, list[int]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(images))
        kept = torch.nn.functional.dropout(images, self.dropout, training=self.dropout > 0)
        return self.map(kept)


def test_halved_batches_give_the_same_logits_but_for_rounding() -> None:
    network, images = Counting(0.0), torch.rand(130, 4)
    whole = logits_of(network, images)
    with halved(3):
        assert torch.allclose(logits_of(network, images), whole, rtol=1e-5, atol=1e-6)
    assert network.batches == [128, 2, 1, *[16] * 8, 2]


def test_a_network_that_draws_keeps_its_batches() -> None:
    network, images = Counting(0.5), torch.rand(130, 4)
    whole = logits_of(network, images)
    with halved(2):
        assert torch.equal(logits_of(network, images), whole)


@pytest.mark.parametrize("error, exhausted", [
    (MemoryError(), True), (torch.OutOfMemoryError("CUDA out of memory"), True),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
    (OSError(12, "Cannot allocate memory"), True), (RuntimeError("shapes differ"), False), (OSError(28, "full"), False),
])  # fmt: skip
def test_memory_that_ran_out_is_told_from_other_errors(error: Exception, exhausted: bool) -> None:
    assert is_out_of_memory(error) is exhausted


def test_the_kernels_count_is_read_from_every_file_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 2\n")
    (tmp_path / "events").write_text("oom 9\noom_kill 1\noom_group_kill 7\n")
    assert oom_kills((tmp_path / "vmstat", tmp_path / "events", tmp_path / "none")) == 3


def test_failures_are_chosen_by_the_type_of_their_error() -> None:
    rows = [
        {"unit_key": key, "error_type": kind} for key, kind in (("a", "OSError"), ("b", TIMED_OUT), ("c", "Blocked"))
    ]
    assert chosen_failures(rows, error_types("OSError, OutOfMemory")) == (["a"], rows[1:])
    assert chosen_failures(rows, True) == (["a", "b", "c"], [])
    assert chosen_failures(rows, False) == ([], rows)
    with pytest.raises(InputError, match=r"unknown error type 'TimeOut'\. Did you mean 'TimedOut'"):
        chosen_failures(rows, error_types("TimeOut"))
    assert chosen_failures([], error_types("TimeOut")) == ([], [])
    with pytest.raises(InputError, match="expected error types with commas between, got 'a,,b'"):
        error_types("a,,b")
