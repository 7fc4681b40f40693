"""Compaction on a slot: when it is due, what it reports, that nobody waits for it and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from minigrid import Quiet

from dumb_bench.runner import compact_unit
from dumb_bench.runner.compact_unit import CompactUnit, Upkeep, run_compact
from dumb_bench.runner.driver import Driver, Tally
from dumb_bench.runner.serial import SerialExecutor
from dumb_bench.runner.units import Fault, ImagesUnit, Outcome, Unit, kind_of
from dumb_bench.spec import ImagesSpec, Plugin
from dumb_bench.store import parts
from dumb_bench.store.events import EventLog, read_events
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.lease import Lease
from dumb_bench.store.store import Store


def units(count: int) -> list[Unit]:
    return [ImagesUnit(ImagesSpec("digits", Plugin("optdigits"), number)) for number in range(1, count + 1)]


class Slot:
    """Stores each unit as an empty part, and compacts when told to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.loose: list[int] = []
        self.before: Callable[[], Any] = lambda: None

    def __call__(self, unit: Unit, halvings: int = 0) -> Outcome:
        if not isinstance(unit, CompactUnit):
            self.store.put(unit.key, {})
            return Outcome(unit.key, 0, 0.0, 1.0)
        self.loose.append(len(self.store.place.names("parts")))
        self.before()
        return Outcome(unit.key, 0, 0.5, 0.25, compacted=run_compact(unit, self.store))


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    return Slot(Store.open(tmp_path / "store"))


def drive(slot: Slot, work: Callable[..., Outcome], count: int, tmp_path: Path) -> tuple[Tally, Store, list[Any]]:
    """Return the tally, the driver's own store object, and the events that speak of compaction."""
    store, place = Store.open(slot.store.uri), LocalPlace(tmp_path / "results")
    (tmp_path / "results").mkdir()
    with EventLog(place) as log:
        tally = Driver(store, SerialExecutor(work), log, Quiet()).run(units(count), {})
    return tally, store, [event for event in read_events(place) if event["event"].startswith("compact")]


def test_parts_are_merged_on_the_way_and_at_the_end(
    slot: Slot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact_unit.Upkeep.__init__, "__defaults__", (4,))
    tally, store, events = drive(slot, slot, 10, tmp_path)
    assert slot.loose == [4, 4, 2]
    assert store.keys() == {unit.key for unit in units(10)} and store.place.names("parts") == []
    assert [event["event"] for event in events] == ["compaction_started", "compacted"] * 3
    assert [event["parts"] for event in events[1::2]] == [4, 4, 2]
    assert events[1]["cpu_seconds"] == 0.25
    assert tally.cpu_seconds == {"images": 10.0, "compact": 0.75}  # apart
    assert (tally.done, tally.failed) == ({"images": 10}, 0)


def test_a_round_without_new_units_compacts_nothing() -> None:
    upkeep = Upkeep(2)
    assert not upkeep.due and not upkeep.left
    upkeep.count()
    assert upkeep.left and not upkeep.due
    upkeep.count()
    assert upkeep.due
    assert kind_of(upkeep.start()) == "compact"
    upkeep.count()
    upkeep.count()
    assert not upkeep.due  # one at a time
    upkeep.end()
    assert upkeep.due


def test_damage_that_a_slot_meets_reaches_the_driver(slot: Slot, tmp_path: Path) -> None:
    torn = parts.path_of(units(1)[0].key)
    slot.before = lambda: slot.store.place.write(torn, b"PK")
    _, store, _ = drive(slot, slot, 3, tmp_path)
    assert [damage.path for damage in store.damaged] == [torn]
    assert len(store.keys()) == 2 and store.place.exists(f"quarantine/{torn}")


def test_a_compaction_that_fails_fails_no_unit(slot: Slot, tmp_path: Path) -> None:
    def work(unit: Unit, halvings: int = 0) -> Outcome:
        if isinstance(unit, CompactUnit):
            return Outcome(unit.key, 0, 0.0, 0.0, Fault("OSError", "the disk is full", "", False, "host"))
        return slot(unit)

    tally, store, events = drive(slot, work, 3, tmp_path)
    assert [event["event"] for event in events] == ["compaction_started", "compaction_failed"]
    assert events[1]["message"] == "the disk is full"
    assert (tally.failed, len(store.keys()), store.failure_rows()) == (0, 3, [])


def test_two_compactions_at_once_are_one(slot: Slot) -> None:
    for unit in units(3):
        slot(unit)
    with Lease(slot.store.place, "compact"):
        assert run_compact(CompactUnit(), slot.store).parts == 0
        assert len(slot.store.place.names("parts")) == 3
    assert run_compact(CompactUnit(minimum=4), slot.store).parts == 0
    assert run_compact(CompactUnit(), slot.store).parts == 3
    assert slot.store.place.names("leases") == []
