"""A short form of benchmarks/fuzz.py, and the faults that its long form has found."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzz import Fuzz, signature
from minigrid import Ended, files_below, mini_grid

import dumb_bench
from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store.sealed import seal
from dumb_bench.store.store import Store


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Fuzz:
    return Fuzz(tmp_path_factory.mktemp("fuzz"), seed=20)


@pytest.mark.parametrize("first", [0, 40])
def test_bad_grids_and_damaged_files_end_in_one_clear_line(fuzz: Fuzz, first: int) -> None:
    cases = {number: fuzz.run(number) for number in range(first, first + 40)}
    faults = [f"case {number}: {signature(fault)}" for number, case in cases.items() for fault in case.faults]
    assert faults == []
    outcomes = {case.outcome for case in cases.values()}
    assert outcomes >= {"planned", "refused", "read"}  # neither everything is refused nor everything let through


def test_the_fuzz_sees_a_traceback_and_a_write_elsewhere(
    fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def bad(*arguments: Any) -> dict[str, Any]:
        (tmp_path / "elsewhere").write_text("x")
        raise KeyError("planted")

    monkeypatch.setattr("dumb_bench.runner.describe.describe_plan", bad)
    faults = fuzz.run(0).faults
    assert "KeyError: 'planted'" in faults[0]
    assert faults[1] == f"plan wrote {tmp_path / 'elsewhere'}"


@pytest.fixture
def copy(mini_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(mini_run.parent, tmp_path / "runs")
    return tmp_path / "runs" / "mini"


def reseal(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    document.pop("seal")
    change(document)
    path.write_bytes(seal(document))


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("per_class = 10", f"{'x' * 9000} = 1\nper_class = 10", "..."),
        ("seed = [0]", f"seed = [{', '.join(['-1'] * 500)}]", "and 480 more"),
        ('"50/50"', '"50\\u0007/\\u001b[31m50"', r"50\x07/\x1b[31m50"),
    ],
    ids=["a long key", "many faults", "letters that a terminal obeys"],
)
def test_a_message_is_short_and_harmless(
    old: str, new: str, told: str, write: Callable[..., Path], command: Callable[..., Ended]
) -> None:
    ended = command("plan", write(mini_grid().replace(old, new, 1)))
    lines = ended.err.rstrip("\n").split("\n")
    assert ended.code == 2 and len(lines) <= 21 and max(map(len, lines)) < 1100
    assert told in lines[-1] and all(line.isprintable() for line in lines)


PLANS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no models": lambda plan: plan.pop("models"),
    "a victim that is not there": lambda plan: plan["groups"][plan["sets"][0]["victims"]].append("x"),
    "a surrogate without models": lambda plan: next(iter(plan["surrogates"].values())).update(members=[]),
    "text for a number": lambda plan: next(iter(plan["models"].values())).update(samples="many"),
    "a column of another type": lambda plan: next(iter(plan["models"].values())).update(seed="zero"),
    "a model without its subset": lambda plan: next(iter(plan["models"].values())).pop("subset"),
    "an index out of range": lambda plan: plan["sets"][0].update(victims=10**6),
}  # fmt: skip


@pytest.mark.parametrize("change", PLANS.values(), ids=PLANS.keys())
def test_a_sealed_document_that_is_no_plan_is_damage(
    change: Callable[[dict[str, Any]], object], copy: Path, command: Callable[..., Ended]
) -> None:
    reseal(copy / "plan.json", change)
    for asked in (("status", copy), ("compact", copy)):
        ended = command(*asked)
        assert ended.code == 2
        assert ended.err.startswith("error: plan.json: is sealed, but is no plan: ")
    ended = command("check", "results", copy)
    assert ended.code == 3 and "is no plan" in ended.out


def test_a_message_in_python_is_harmless_too(copy: Path) -> None:
    reseal(copy / "plan.json", lambda plan: plan["models"].update({"\ufeff\x1b": 1}))
    with pytest.raises(DamagedFileError) as caught:
        dumb_bench.load(copy)
    assert "\\ufeff\\x1b" in str(caught.value) and str(caught.value).isprintable()


def test_sealed_documents_in_each_others_places_are_damage(copy: Path, command: Callable[..., Ended]) -> None:
    plan, manifest = copy / "plan.json", copy / "manifest.json"
    data = plan.read_bytes()
    plan.write_bytes(manifest.read_bytes())
    manifest.write_bytes(data)
    assert command("status", copy).code == command("compact", copy).code == 2
    ended = command("check", "results", copy)
    assert ended.code == 3 and "; 2 damaged" in ended.out


@pytest.mark.parametrize("entry", ["x", 1, None, {"rows": "1", "bytes": 1, "sha256": "0" * 64}, {"sha256": "../x"}])
def test_a_sealed_manifest_of_something_else_is_damage(
    entry: object, copy: Path, command: Callable[..., Ended]
) -> None:
    reseal(copy / "manifest.json", lambda document: document["tables"].update(tests=entry))
    ended = command("check", "results", copy)
    assert ended.code == 3 and "is not the manifest of a result folder" in ended.out
    assert command("compact", copy).code == 0  # the tables are written again from the store
    assert command("check", "results", copy).code == 0


def test_a_segment_and_an_artifact_whose_sealed_documents_say_nonsense_are_put_aside(copy: Path) -> None:
    store = copy.parent / ".store"
    (segment,) = store.glob("segments/*/manifest.json")
    weights = next(store.glob("artifacts/*/*/meta.json"))
    reseal(segment, lambda document: document.update(keys=[1]))
    reseal(weights, lambda document: document.update(files={"a": 1}))
    opened = Store.open(store, create=False)
    damaged = {damage.path for damage in opened.verify()}
    assert damaged == {str(path.relative_to(store)) for path in (segment, weights)}
    assert opened.keys() == frozenset()


@pytest.mark.parametrize("failure", [None, {}, {"unit_key": 1}, {"unit_key": "ab" * 10, "attempts": "three"}])
def test_a_sealed_failure_that_is_none_is_put_aside(failure: object, copy: Path, command: Callable[..., Ended]) -> None:
    place = copy.parent / ".store" / "failures" / f"{'ab' * 10}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(seal({"failure": failure}))
    assert command("status", copy).code == 0
    assert not place.exists()


def test_a_failure_without_words_is_shown(copy: Path, command: Callable[..., Ended]) -> None:
    plan = json.loads((copy / "plan.json").read_text())
    shutil.rmtree(copy.parent / ".store" / "segments")
    store = Store.open(copy.parent / ".store")
    store.put_failure({"unit_key": "ab" * 10, "kind": "attack", "subject": plan["sets"][0]["base"]})
    assert command("status", copy).code == 0


def test_events_that_nobody_wrote_are_skipped(copy: Path, command: Callable[..., Ended]) -> None:
    with (copy / "events.jsonl").open("a") as stream:
        stream.write(
            '{"event":"unit_started"}\n{"event":[]}\n{"event":"unit_started","key":{},"time":"9"}\n{"event":"x","time":{}}\n'
        )
        stream.write('{"event":"unit_done","time":"2000"}\n')
    ended = command("status", copy, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["running"] == []


@pytest.mark.parametrize("linked", ["tiny tables", "quarantine", "parts"])
def test_nothing_is_written_through_a_linked_folder(
    linked: str, copy: Path, tmp_path: Path, command: Callable[..., Ended]
) -> None:
    outside, store = tmp_path / "outside", copy.parent / ".store"
    if linked == "tiny tables":
        shutil.move(copy / "tables", outside)
        (copy / "tables").symlink_to(outside)
    else:
        outside.mkdir()
        shutil.rmtree(store / linked, ignore_errors=True)
        (store / linked).symlink_to(outside)
    before = {path: Path(path).read_bytes() for path in files_below(outside)}
    if linked == "quarantine":
        manifest = next(store.glob("segments/*/manifest.json"))
        manifest.write_bytes(b"torn")
        ended = command("check", "results", copy)
        assert ended.code == 2 and "is a link that leads out" in ended.err
        assert manifest.exists()
    elif linked == "parts":
        with pytest.raises(InputError, match="is a link that leads out"):
            Store.open(store).put("ab" * 10, {})
    else:
        ended = command("compact", copy)
        assert ended.code == 2 and "is a link that leads out" in ended.err
    assert {path: Path(path).read_bytes() for path in files_below(outside)} == before


def test_events_are_not_appended_through_a_link(copy: Path, tmp_path: Path, command: Callable[..., Ended]) -> None:
    outside = tmp_path / "log"
    outside.write_text("mine\n")
    (copy / "events.jsonl").unlink()
    (copy / "events.jsonl").symlink_to(outside)
    grid = copy.parent / "mini.toml"
    ended = command("run", grid, "--results", copy, "--address", "serial", "--no-report")
    assert ended.code == 2 and "events.jsonl" in ended.err
    assert outside.read_text() == "mine\n"


def test_a_store_that_is_itself_a_link_is_a_store(copy: Path, tmp_path: Path, command: Callable[..., Ended]) -> None:
    os.rename(copy.parent, tmp_path / "elsewhere")
    copy.parent.symlink_to(tmp_path / "elsewhere")
    assert command("compact", copy).code == 0
    assert command("check", "results", copy).code == 0
