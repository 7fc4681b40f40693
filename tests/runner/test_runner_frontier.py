"""Pure scheduling under random graphs, orders and faults: each task ends exactly once, nothing runs too early."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumb_bench.runner.frontier import Frontier, Task


def graph(chance: random.Random) -> list[Task]:
    tasks: list[Task] = []
    for number in range(chance.randint(1, 25)):
        before = [task.key for task in tasks]
        needs = chance.sample(before, min(len(before), chance.randint(0, 2)))
        wants = chance.sample(before, min(len(before), chance.randint(0, 3)))
        tasks.append(Task(str(number), chance.randint(0, 2), tuple(needs), (*wants, "not a task")))
    return tasks


@given(st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_every_task_ends_once_and_never_before_what_it_waits_for(seed: int) -> None:
    chance = random.Random(seed)
    tasks = graph(chance)
    frontier = Frontier(tasks)
    by_key = {task.key: task for task in tasks}
    running: list[str] = []
    fine: dict[str, bool] = {}
    while not frontier.finished:
        while chance.random() < 0.5 or not running:
            key = frontier.take()
            if key is None:
                break
            task = by_key[key]
            assert key not in fine
            assert all(fine.get(other) is True for other in task.needs)
            assert all(other in fine for other in task.wants if other in by_key)
            running.append(key)
        assert running, "nothing runs, nothing is ready, and not all is settled"
        key = running.pop(chance.randrange(len(running)))
        if chance.random() < 0.15:
            frontier.put_back(key)
            continue
        well = chance.random() < 0.7
        blocked = frontier.settle(key, well=well)
        fine[key] = well
        for other in blocked:
            assert other not in fine and other not in running
            assert any(fine.get(need) is False for need in by_key[other].needs)
            fine[other] = False
    assert fine.keys() == by_key.keys()
    assert frontier.remaining == 0 and frontier.running == 0
    for key, well in fine.items():
        if well:
            assert all(fine[need] for need in by_key[key].needs)


def test_the_lowest_rank_goes_first_then_the_order_given() -> None:
    frontier = Frontier([Task("train 1", 3), Task("train 2", 3), Task("attack", 0, needs=("train 1",))])
    assert frontier.take() == "train 1"
    assert frontier.settle("train 1", well=True) == []
    assert [frontier.take(), frontier.take(), frontier.take()] == ["attack", "train 2", None]


def test_what_only_wants_a_failed_task_still_runs() -> None:
    frontier = Frontier([Task("victim"), Task("attack", 0, wants=("victim",)), Task("other", 0, needs=("victim",))])
    frontier.take()
    assert frontier.settle("victim", well=False) == ["other"]
    assert frontier.take() == "attack"


def test_a_task_that_is_cut_off_in_two_ways_is_settled_once() -> None:
    frontier = Frontier([Task("last", needs=("first", "next")), Task("next", needs=("first",)), Task("first")])
    assert frontier.take() == "first"
    assert sorted(frontier.settle("first", well=False)) == ["last", "next"]
    assert frontier.finished and frontier.remaining == 0


def test_a_key_that_does_not_run_cannot_be_settled() -> None:
    with pytest.raises(KeyError):
        Frontier([Task("a")]).settle("a", well=True)
