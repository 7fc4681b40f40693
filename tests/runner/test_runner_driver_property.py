"""The driver under random units, completion orders and faults: nothing runs too early, twice, or not at all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumb_bench.models.parts import Part
from dumb_bench.runner import driver as driver_module
from dumb_bench.runner.attempts import MAX_ATTEMPTS
from dumb_bench.runner.census import DONE, FAILED, RUNNING, Census
from dumb_bench.runner.compact_unit import CompactUnit
from dumb_bench.runner.driver import Driver, Tally
from dumb_bench.runner.units import (
    AttackUnit,
    CleanUnit,
    Fault,
    ImagesUnit,
    ModelUnit,
    Outcome,
    TrainUnit,
    TuneUnit,
    Unit,
    Wanted,
    kind_of,
)
from dumb_bench.spec import (
    AttackSpec,
    ImagesSpec,
    ModelSpec,
    Plugin,
    SetSpec,
    SurrogateSpec,
    TuneSpec,
    TuningSpec,
)

SOURCE, DELIVERY, CHAIN = Plugin("optdigits"), Plugin("uint8"), Plugin("csgld")
IMAGES = ImagesSpec("digits", SOURCE, 4)
PARTS = dict[str, tuple[str, ...]]


class World:
    """Random units, and what happens to each: its faults in turn, drawn beforehand, then success."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.units: list[Unit] = []
        self.parts: PARTS = {}
        self._models()
        self._others()
        self.chance.shuffle(self.units)
        self.faults = {unit.key: self._faults() for unit in self.units}

    def _faults(self) -> list[str]:
        kind = self.chance.choices(("none", "passing", "lasting", "damaged", "poison"), (12, 3, 2, 2, 1))[0]
        many = self.chance.randint(1, MAX_ATTEMPTS - 1)
        return {"none": [], "passing": ["passing"] * many, "poison": ["died"] * MAX_ATTEMPTS}.get(kind, [kind])

    def _models(self) -> None:
        self.models: list[ModelSpec] = []
        pools: dict[int, list[Part]] = {}
        for number in range(self.chance.randint(1, 5)):
            spec = ModelSpec("digits", SOURCE, Plugin("small_vgg"), "50/50", Plugin("small"), number, posterior=CHAIN)
            run = self.chance.choice([number, *pools])  # models may share the parts of one run
            first = ModelSpec("digits", SOURCE, Plugin("small_vgg"), "50/50", Plugin("small"), run, posterior=CHAIN)
            parts = pools.setdefault(run, [])
            while len(parts) < self.chance.randint(1, 3):
                parts.append(Part(first, len(parts)))
            self.models.append(spec)
            self.parts[spec.id] = tuple(part.id for part in parts)
        stored = self.chance.random() < 0.3
        for parts in pools.values():
            for number, part in enumerate(parts):
                if stored and number == 0:
                    continue  # trained before
                self.units.append(TrainUnit(part, tuple(before.id for before in parts[:number][-1:])))

    def _others(self) -> None:
        chance = self.chance
        self.units.append(ImagesUnit(IMAGES))
        for model in self.models:
            if chance.random() < 0.8:
                self.units.append(ModelUnit(model, ()) if chance.random() < 0.8 else CleanUnit(model, ()))
        for number in range(chance.randint(0, 5)):
            members = tuple(chance.sample(self.models, min(len(self.models), chance.randint(1, 2))))
            surrogate = SurrogateSpec(members) if chance.random() < 0.8 else None
            attack = AttackSpec(Plugin("fgsm"), seed=number)
            if surrogate and chance.random() < 0.3:
                self.units.append(TuneUnit((TuningSpec(surrogate, attack, TuneSpec((0.1, 0.2), 0.4), IMAGES),)))
            spec = SetSpec(surrogate, attack, IMAGES)
            victims = tuple(chance.sample(self.models, chance.randint(1, len(self.models))))
            self.units.append(AttackUnit(spec, (Wanted(spec, 0.1, DELIVERY, victims),)))

    def needs(self, unit: Unit) -> set[str]:
        """The keys of the trainings without which a unit cannot run."""
        trained = {item.part.id: item.key for item in self.units if isinstance(item, TrainUnit)}
        models: list[ModelSpec] = []
        if isinstance(unit, TrainUnit):
            return {trained[name] for name in unit.needs if name in trained}
        if isinstance(unit, ModelUnit | CleanUnit):
            models = [unit.model]
        elif isinstance(unit, TuneUnit):
            models = list(unit.tunings[0].surrogate.models)
        elif isinstance(unit, AttackUnit) and unit.base.surrogate:
            models = list(unit.base.surrogate.models)
        return {trained[part] for model in models for part in self.parts[model.id] if part in trained}

    def wants(self, unit: Unit) -> set[str]:
        """The keys of the trainings that must have ended, well or not, before an attack is scored."""
        trained = {item.part.id: item.key for item in self.units if isinstance(item, TrainUnit)}
        victims = unit.victims if isinstance(unit, AttackUnit) else {}
        return {trained[part] for model in victims for part in self.parts[model] if part in trained}


class Slots:
    """An executor whose units end in any order, as the world has it; counts what it is given."""

    def __init__(self, world: World, check: Any) -> None:
        self.world, self.check = world, check
        self.most = world.chance.randint(1, 4)
        self.running: dict[str, tuple[str, Unit]] = {}
        self.attempts: Counter[str] = Counter()
        self.after: Any = lambda ended: None
        self.seen: dict[tuple[str, str], int] = {}

    @property
    def free(self) -> int:
        return self.most - len(self.running)

    def submit(self, unit: Unit, halvings: int = 0) -> None:
        assert self.free > 0 and halvings == 0
        if isinstance(unit, CompactUnit):
            self.running[unit.key] = (unit.key, unit)
            return
        key = self.check.begins(unit)
        self.attempts[key] += 1
        assert unit.key not in self.running
        self.running[unit.key] = (key, unit)

    def wait(self, seconds: float) -> list[Outcome]:
        chance = self.world.chance
        ended = []
        for name in chance.sample(sorted(self.running), chance.randint(0, len(self.running))):
            key, unit = self.running.pop(name)
            if isinstance(unit, CompactUnit):
                ended.append(Outcome(name, 0, 0.1, 0.1))
                continue
            number = self.attempts[key] - 1
            faults = self.world.faults[key]
            kind = faults[number] if number < len(faults) else ""
            ended.append(Outcome(name, unit.tests if isinstance(unit, AttackUnit) else 0, 0.1, 0.1, self._fault(kind)))
            self.check.ends(key, kind)
        self.after(ended)
        return ended

    def withdraw(self) -> list[Unit]:
        return []  # a unit starts when it is submitted

    def news(self) -> list[dict[str, object]]:
        return []

    def publish(self, census: Census) -> None:
        counts = census.counts()
        under_way = Counter(kind_of(unit) for _, unit in self.running.values() if not isinstance(unit, CompactUnit))
        assert min(counts.values()) >= 0
        assert {kind: count for (kind, status), count in counts.items() if status == RUNNING and count} == under_way
        assert sum(counts.values()) == len(self.world.units)
        self.seen = counts

    @staticmethod
    def _fault(kind: str) -> Fault | None:
        damaged = "0" * 20 if kind == "damaged" else ""
        return Fault(kind, kind, "", kind == "lasting", "host", damaged) if kind else None

    def close(self) -> None: ...


class Records:
    """A store, a log and a watcher in one: what the driver tells them, and whether it may."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys = {unit.key for unit in world.units}
        self.by_subject = {unit.subject: unit.key for unit in world.units if isinstance(unit, AttackUnit)}
        self.needs = {unit.key: world.needs(unit) for unit in world.units}
        self.wants = {unit.key: world.wants(unit) for unit in world.units}
        self.running: set[str] = set()
        self.done: set[str] = set()
        self.failed: set[str] = set()
        self.given: dict[str, Unit] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.dropped: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.slots: Slots

    def begins(self, unit: Unit) -> str:
        """A unit is submitted; return the key of the unit that was asked for."""
        key = unit.key if unit.key in self.keys else self.by_subject[unit.subject]
        assert key not in self.running | self.done | self.failed, "submitted twice"
        assert self.needs[key] <= self.done, "submitted before what it needs"
        assert self.wants[key] <= self.done | self.failed | self._cut_off(), "submitted before its victims are settled"
        self.running.add(key)
        self.given[key] = unit
        return key

    def ends(self, key: str, kind: str) -> None:
        self.running.remove(key)
        attempts = MAX_ATTEMPTS if kind == "died" else 0
        if not kind:
            self.done.add(key)
        elif kind in ("lasting", "damaged") or (attempts and self.attempts_of(key) == attempts):
            self.failed.add(key)

    def attempts_of(self, key: str) -> int:
        return self.slots.attempts[key]

    def _cut_off(self) -> set[str]:
        """The units that can never run, because something they need has failed."""
        lost: set[str] = set()
        while more := {key for key in self.keys - lost if self.needs[key] & (self.failed | lost)}:
            lost |= more
        return lost

    def put_failure(self, row: dict[str, Any]) -> None:
        assert row["unit_key"] not in self.rows, "failed twice"
        self.rows[row["unit_key"]] = row

    def drop_failures(self, keys: list[str]) -> None:
        self.dropped.update(keys)

    def drop_artifact(self, name: str, reason: str) -> None: ...

    def append(self, event: str, **fields: Any) -> None: ...

    def started(self, units: Sequence[Unit]) -> None:
        assert {unit.key for unit in units} == self.keys

    def ended(self, unit: Unit, outcome: Outcome, failed: bool) -> None:
        self.told[unit.key if unit.key in self.keys else self.by_subject[unit.subject]] += 1

    def tick(self) -> None: ...


class Clock:
    """Time that passes only where the driver sleeps; and a little at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.05
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def no_waiting() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver_module, "time", Clock())
        yield


def drive(world: World, stop_after: int | None = None) -> tuple[Records, Slots, Tally]:
    records = Records(world)
    records.slots = slots = Slots(world, records)
    driver = Driver(records, slots, records, records)  # type: ignore[arg-type]
    if stop_after is not None:
        seen: list[Outcome] = []

        def stop(ended: list[Outcome]) -> None:
            seen.extend(ended)
            driver._interrupt.asked |= len(seen) >= stop_after

        slots.after = stop
    with no_waiting():
        return records, slots, driver.run(world.units, world.parts)


def lost_models(world: World, records: Records) -> set[str]:
    """The models that cannot be had: a part failed for good (damage of another part is no failure of its own)."""
    trained = {unit.part.id: unit.key for unit in world.units if isinstance(unit, TrainUnit)}
    gone = {key for key in records.failed if world.faults[key] != ["damaged"]}
    while more := {key for key in records.keys - gone if records.needs[key] & gone and key in trained.values()}:
        gone |= more
    return {model for model, parts in world.parts.items() if any(trained.get(part) in gone for part in parts)}


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_each_unit_ends_done_failed_or_blocked_exactly_once(seed: int) -> None:
    world = World(seed)
    records, slots, tally = drive(world)
    by_key = {unit.key: unit for unit in world.units}
    blocked = records._cut_off()
    assert not slots.running and not records.running
    unscored = {
        key
        for key, unit in by_key.items()
        if isinstance(unit, AttackUnit)
        and key not in records.given
        and key not in blocked
        and unit.victims.keys() <= lost_models(world, records)
    }
    assert records.done | records.failed | blocked | unscored == records.keys
    assert not records.done & (records.failed | blocked)
    assert tally.done.total() == len(records.done) and not tally.interrupted
    standing = Counter()
    for (_, status), count in slots.seen.items():
        standing[status] += count
    assert +standing == +Counter({DONE: len(records.done), FAILED: len(records.keys - records.done)})
    assert records.dropped == Counter(dict.fromkeys(records.done, 1))
    for key, attempts in slots.attempts.items():
        faults = world.faults[key]
        assert attempts == (len(faults) + 1 if key in records.done else len(faults)) <= MAX_ATTEMPTS
    # A row for each unit that failed and for each that waited for it in vain: but trainings and models, whose first
    # tells it, and what met damage, too: that goes round again.
    own = {key for key in records.failed if world.faults[key] != ["damaged"]}
    vain = {key for key in blocked if below(key, records, own)}
    vain -= {key for key in vain if isinstance(by_key[key], TrainUnit | ModelUnit)}
    assert own | {key for key in vain if not below(key, records, records.failed - own)} <= records.rows.keys()
    assert records.rows.keys() <= own | vain
    assert tally.failed == len(records.rows)
    for key, row in records.rows.items():
        assert (row["error_type"] == "Blocked") == (key in blocked)
        assert row["attempts"] == (0 if key in blocked else slots.attempts[key])
    assert records.told == Counter(dict.fromkeys(records.done | records.rows.keys(), 1))


def below(key: str, records: Records, failed: set[str]) -> bool:
    return any(need in failed or below(need, records, failed) for need in records.needs[key])


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_an_attack_is_scored_on_exactly_the_victims_that_could_be_had(seed: int) -> None:
    world = World(seed)
    records, _, tally = drive(world)
    lost = lost_models(world, records)
    scored = 0
    for unit in world.units:
        if isinstance(unit, AttackUnit) and unit.key in records.done:
            given = records.given[unit.key]
            assert isinstance(given, AttackUnit)
            assert given.victims.keys() == unit.victims.keys() - lost
            scored += given.tests
    assert tally.tests == scored


@given(st.integers(0, 2**32), st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_an_interrupt_lets_what_runs_end_and_starts_nothing(seed: int, after: int) -> None:
    world = World(seed)
    records, slots, tally = drive(world, stop_after=after)
    assert not slots.running and not records.running
    if tally.interrupted:
        again = [unit for unit in world.units if unit.key not in records.done]
        assert again
    started = records.done | records.failed | set(slots.attempts)
    assert records.given.keys() == started
    assert tally.done.total() == len(records.done)
    assert records.told.keys() == records.done | records.rows.keys()
