"""Tasks that a grid changes: what differs enters the ids, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from minigrid import mini_grid
from tiny_data import SCRIPT, SMALL

from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.data.images import load_split
from dumb_bench.data.tasks import TASKS, changed_task, task_named
from dumb_bench.errors import InputError
from dumb_bench.grid_file import parse_grid
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.spec import Plugin

BARE = Catalogue()


def planned(text: str, catalogue: Catalogue = BARE) -> Plan:
    return build_plan(parse_grid(text, "grid", catalogue), catalogue)


@pytest.mark.parametrize(
    ("name", "classes", "side", "label", "shape"),
    [
        ("cat_dog", None, None, "cat_dog", (3, 300, 300)),
        ("cat_dog", ["cat", "dog"], 300, "cat_dog", (3, 300, 300)),
        ("cat_dog", None, 224, "cat_dog@224", (3, 224, 224)),
        ("objects9", ["cat", "dog"], 32, "objects9[cat,dog]", (3, 32, 32)),
        ("shapes", ["a disc", "square-2"], 64, "shapes[a disc,square-2]@64", (3, 64, 64)),
    ],
)
def test_a_label_says_what_differs_and_is_read_back(
    name: str, classes: list[str] | None, side: int | None, label: str, shape: tuple[int, int, int]
) -> None:
    task = changed_task(name, classes, side, BARE)
    assert (task.name, task.image_shape, task.base) == (label, shape, name)
    assert task_named(label, BARE) == task
    assert classes is None or task.classes == tuple(classes)


@pytest.mark.parametrize("label", ["cat_dog@", "cat_dog[]", "cat_dog@032", "cat_dog[a,b", "none@32", "cat_dogs"])
def test_what_is_no_label_is_an_unknown_task(label: str) -> None:
    with pytest.raises(InputError, match="unknown task"):
        task_named(label, BARE)


def test_a_table_that_repeats_the_task_changes_no_id() -> None:
    same = planned(mini_grid() + '[tasks.digits]\nclasses = ["127", "056"]\nsize = 32\n')
    plain = planned(mini_grid())
    assert list(same.models) == list(plain.models)
    assert [item.spec.id for item in same.sets] == [item.spec.id for item in plain.sets]


def test_another_size_or_other_classes_change_every_id() -> None:
    text = mini_grid(sources='["cifar10"]', balances='["50/50"]').replace('"digits"', '"cat_dog"')
    plans = [planned(text + f"[tasks.cat_dog]\n{more}\n") for more in
             ("size = 32", "size = 64", 'size = 32\nclasses = ["dog", "cat"]')]  # fmt: skip
    assert [{model.task for model in plan.models.values()} for plan in plans] == [
        {"cat_dog@32"}, {"cat_dog@64"}, {"cat_dog[dog,cat]@32"}
    ]  # fmt: skip
    ids = [set(plan.models) | {item.spec.id for item in plan.sets} for plan in plans]
    assert not ids[0] & ids[1] and not ids[0] & ids[2] and not ids[1] & ids[2]


def test_tasks_have_sources_of_their_own_and_a_role_may_have_others() -> None:
    text = mini_grid(sources='["cifar10"]').replace('"digits"', '["objects9", "ten_digits", "cat_dog"]')
    text = text.replace("50/50", "lt1") + '[tasks.ten_digits]\nsource = ["mnist", "usps"]\n'
    found = {(model.task, model.source.name) for model in planned(text).models.values()}
    assert found == {("objects9", "cifar10"), ("cat_dog", "cifar10"), ("ten_digits", "mnist"), ("ten_digits", "usps")}
    bare = text.replace('source = ["cifar10"]\n', "", 1)
    with pytest.raises(InputError, match=r"grid: tasks.objects9.source: missing; name its sources, or models"):
        planned(bare)
    for task in ("objects9", "cat_dog"):
        bare += f'[tasks.{task}]\nsource = "stl10"\n'
    tasks = {(model.task, model.source.name) for model in planned(bare).models.values()}
    assert tasks == {("objects9", "stl10"), ("cat_dog", "stl10"), ("ten_digits", "mnist"), ("ten_digits", "usps")}
    one = bare.split("[tasks")[0].replace('["objects9", "ten_digits", "cat_dog"]', '"cat_dog"')
    one = one.replace("[victims]", '[victims]\nsource = "pets"') + '[tasks.cat_dog]\nsource = "stl10"\n'
    both = planned(one)
    assert {model.source.name for model in both.victims.values()} == {"pets"}
    assert {item.models[0].source.name for item in both.surrogates.values()} == {"stl10"}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[tasks.cat_dog]\nsize = 32\n", r"tasks: unknown task 'cat_dog'. Available: digits."),
        ("[tasks.digits]\nsize = 4\n", "tasks.digits.size: expected at least 8, got 4"),
        ("[tasks.digits]\nside = 4\n", "tasks.digits: unknown key 'side'. Did you mean 'size'"),
        ('[tasks.digits]\nclasses = ["a"]\n', "tasks.digits.classes: "),
        ('[tasks.digits]\nclasses = ["a", "a"]\n', "tasks.digits.classes: 'a' is given twice"),
        ('[tasks.digits]\nclasses = ["a", "b/../c"]\n', r"tasks.digits.classes\[1\]: "),
        ('[tasks.digits]\nsource = "mnists"\n', "tasks.digits.source: unknown source 'mnists'. Did you mean 'mnist'"),
        ('[tasks.digits]\nsource = "mnist"\n', "does not offer the task 'digits', only ten_digits"),
    ],
)
def test_a_bad_table_is_one_clear_line(table: str, sentence: str) -> None:
    text = mini_grid().replace('source = ["optdigits", "rendered"]\n', "") if "mnist" in table else mini_grid()
    with pytest.raises(InputError, match=f"grid: .*{sentence}") as raised:
        planned(text + table)
    assert "\n" not in str(raised.value)


def test_a_task_of_a_grids_own_needs_classes_and_a_size(tmp_path: Path) -> None:
    text = mini_grid(sources='{ name = "folder", origin = "bing" }', image_source="surrogate").replace(
        '"digits"', '"pairs"'
    )
    with pytest.raises(InputError, match=r"unknown task 'pairs'. .* Or name its classes: \[tasks.pairs\]"):
        planned(text + "[tasks.pairs]\nsize = 32\n")
    with pytest.raises(InputError, match=r"tasks.pairs.size: missing; a task of your own needs the side"):
        planned(text + '[tasks.pairs]\nclasses = ["cat", "dog"]\n')
    SCRIPT.write_tree(tmp_path, ("cat_dog",), SMALL)
    (tmp_path / "cat_dog").rename(tmp_path / "pairs")
    own = Catalogue(data=DataPlace(tmp_path))
    plan = planned(
        text.replace("per_class = 10", "per_class = 4") + '[tasks.pairs]\nclasses = ["cat", "dog"]\nsize = 32\n', own
    )
    (task,) = {model.task for model in plan.models.values()}
    assert task == "pairs[cat,dog]@32"
    assert load_split(own, task, Plugin("folder", (("origin", "bing"),)), "test").images.shape == (8, 3, 32, 32)


def test_the_tasks_of_the_papers_are_there() -> None:
    assert {name: TASKS[name].image_shape[1] for name in ("cat_dog", "bike_motorbike", "man_woman")} == dict.fromkeys(
        ("cat_dog", "bike_motorbike", "man_woman"), 300
    )
    shared = set(TASKS["cifar10"].classes) - {"frog"}
    assert set(TASKS["objects9"].classes) == shared and len(TASKS["imagenet"].classes) == 1000
