"""Result folders merged and compared: what is the same counts once, what contradicts is named, nothing is lost."""

import copy
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from labelled_results import CLEAN, rows_of, write
from synthetic_results import Shape, build

from dumb_bench.errors import InputError
from dumb_bench.report.load import load
from dumb_bench.report.per_image import per_image
from dumb_bench.store.current import CurrentTables
from dumb_bench.store.merging import merge_folders
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.schema import TABLES
from dumb_bench.store.sealed import seal, unseal

TRUTH = {"optdigits": [0, 1, 0, 1], "rendered": [1, 0, 1]}
CLEAN_LABELS = {(name, source): labels for name in "svw" for source, labels in TRUTH.items()}
ATTACKED = {("s", name, source): labels[::-1] for name in "svw" for source, labels in TRUTH.items()}
OWN = {("s", source): labels[::-1] for source, labels in TRUTH.items()}


def everything():
    return rows_of(TRUTH, CLEAN_LABELS, ATTACKED, OWN)


def tables_of(folder):
    return {name: ResultFolder.open(str(folder), create=False).read_table(name) for name in TABLES}


def halves(rows):
    """Every row in one half or in both."""
    first = {name: [row for place, row in enumerate(entries) if place % 3] for name, entries in rows.items()}
    second = {name: [row for place, row in enumerate(entries) if place % 3 < 2] for name, entries in rows.items()}
    return copy.deepcopy(first), copy.deepcopy(second)


def merged(tmp_path, *parts):
    folders = [str(write(tmp_path / f"part{number}", rows)) for number, rows in enumerate(parts)]
    return merge_folders(folders, str(tmp_path / "out")), tmp_path / "out"


def test_halves_make_the_whole_again(tmp_path):
    rows = everything()
    found, out = merged(tmp_path, *halves(rows))
    whole = tables_of(write(tmp_path / "whole", rows))
    for name, table in tables_of(out).items():
        assert table.equals(whole[name]), name
        assert found.rows[name] == table.num_rows
        assert found.common[name] == len(range(1, table.num_rows, 3))
    assert found.kept == {}
    assert (
        per_image(load(out), load(out).tests).known.sum()
        == per_image(load(tmp_path / "whole"), load(tmp_path / "whole").tests).known.sum()
    )


def test_three_folders(tmp_path):
    rows = everything()
    parts = [{name: entries[place::3] for name, entries in rows.items()} for place in range(3)]
    found, out = merged(tmp_path, *parts, rows)
    whole = tables_of(tmp_path / "part3")
    assert all(table.equals(whole[name]) for name, table in tables_of(out).items())
    assert found.common["tests"] == len(rows["tests"])


@pytest.mark.parametrize(
    ("table", "column", "value", "named"),
    [
        ("tests", "n_success", 77, "tests pgd optdigits > s < s: n_success is 4 in <A> and 77 in <B>"),
        ("tests", "asr", None, "tests pgd optdigits > s < s: asr is 1.0 in <A> and None in <B>"),
        ("tests", "class_success", [2, 1], "tests pgd optdigits > s < s: class_success[1] is 2 in <A> and 1 in <B>"),
        ("predictions", "predictions", [1, 0, 1, 1], "predictions[3] is 0 in <A> and 1 in <B>"),
        ("attacks", "linf", [0.1, 0.1, 0.1], "attacks pgd optdigits < s: linf is [0.1"),
        ("models", "own_accuracy", 0.5, "models v: own_accuracy is 1.0 in <A> and 0.5 in <B>"),
        ("models", "recipe_params", '{"epochs": 3}', "models v: recipe_params is '{\"epochs\": 2}' in <A>"),
        ("images", "label", 3, "images digits/optdigits/test/images optdigits/1: label is 1 in <A> and 3 in <B>"),
    ],
)
def test_one_id_with_other_content_is_named_and_nothing_written(tmp_path, table, column, value, named):
    rows = everything()
    other = copy.deepcopy(rows)
    place = {"models": 1, "images": 1, "attacks": 0}.get(table)
    if place is None:
        place = next(at for at, row in enumerate(rows[table]) if row["test_id"] == "pgd optdigits > s < s")
    other[table][place][column] = value
    with pytest.raises(InputError) as error:
        merged(tmp_path, rows, other)
    text = str(error.value)
    assert named.replace("<A>", str(tmp_path / "part0")).replace("<B>", str(tmp_path / "part1")) in text
    assert len(text.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_every_table_that_contradicts_is_named(tmp_path):
    rows, other = everything(), everything()
    for row in other["tests"]:
        row["n_images"] = 9
    other["models"][0]["own_accuracy"] = 0.1
    with pytest.raises(InputError) as error:
        merged(tmp_path, rows, other)
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == ["models", "tests"]
    assert f"({len(rows['tests'])} such rows in all)" in lines[1]


def test_times_hosts_and_versions_come_from_the_first(tmp_path):
    rows, other = everything(), everything()
    for row in other["models"]:
        row |= {"seconds": 9.0, "host": "elsewhere", "library_versions": '{"torch": "9"}', "unit_key": "other"}
    other["attacks"][0]["finished_at"] = "later"
    found, out = merged(tmp_path, rows, other)
    assert found.kept == {
        "models.unit_key": 3, "models.seconds": 3, "models.library_versions": 3, "models.host": 3,
        "attacks.finished_at": 1,
    }  # fmt: skip
    assert tables_of(out)["models"].equals(tables_of(tmp_path / "part0")["models"])


def test_a_newer_version_may_know_more_parameters(tmp_path):
    rows, other = everything(), everything()
    other["models"][0]["recipe_params"] = '{"channels_last": false, "epochs": 2}'
    found, _ = merged(tmp_path, rows, other)
    assert found.kept == {}


def test_clean_test_sets_are_joined_and_must_agree(tmp_path):
    rows, other = everything(), everything()
    for row in rows["models"]:
        row |= {name: row.get(name, [])[:1] or None for name in CLEAN}
    for row in other["models"]:
        row |= {name: row[name][::-1] for name in CLEAN if name in row}
    _, out = merged(tmp_path / "a", rows, other)
    whole = tables_of(write(tmp_path / "whole", everything()))["models"]
    for name in CLEAN[:2] + CLEAN[4:5]:
        assert tables_of(out)["models"].column(name).equals(whole.column(name))
    other["models"][2]["clean_predictions"][1] = [0, 0, 0, 0]  # of optdigits, which both have
    with pytest.raises(InputError, match=r"models w: clean_predictions"):
        merged(tmp_path / "b", rows, other)


def test_margins_that_one_grid_left_out_are_filled_in(tmp_path):
    rows, other = everything(), everything()
    for row in other["predictions"]:
        row["margins"] = [0.5] * len(row["predictions"])
    found, out = merged(tmp_path, {**rows, "predictions": rows["predictions"][1:]}, other)
    assert tables_of(out)["predictions"].equals(tables_of(tmp_path / "part1")["predictions"])
    assert found.kept == {}


def test_a_column_that_an_older_file_lacks_is_filled_in(tmp_path):
    rows, other = everything(), everything()
    for row in other["tests"]:
        row["scoring_batch"] = 64
        row["train_overlap"] = 0.25
    older = write(tmp_path / "older", rows)
    path = older / "tables" / "tests" / "part-0.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["train_overlap"]), path)
    manifest = unseal("manifest.json", (older / "manifest.json").read_bytes())
    data = path.read_bytes()
    manifest["tests"] = manifest["tables"]["tests"] | {"bytes": len(data), "sha256": _sha256(data)}
    manifest["tables"]["tests"] = manifest.pop("tests")
    (older / "manifest.json").write_bytes(seal(manifest))
    found = merge_folders([str(older), str(write(tmp_path / "newer", other))], str(tmp_path / "out"))
    assert found.kept == {"tests.scoring_batch": len(rows["tests"])}
    assert tables_of(tmp_path / "out")["tests"].column("train_overlap").to_pylist() == [0.25] * len(rows["tests"])


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_mixed_protocols_are_listed(tmp_path):
    labels = {("x", "rendered"): [1, 0, 1]}
    other = rows_of({"rendered": TRUTH["rendered"]}, labels, {}, labels)
    other["models"][0]["recipe"] = "paper"
    for row in other["tests"]:
        row |= {"delivery": "jpeg75", "test_id": f"{row['test_id']} as jpeg"}
    found, _ = merged(tmp_path, everything(), other)
    a, b = tmp_path / "part0", tmp_path / "part1"
    assert found.mixed[0] == f"recipe: small in {a}; paper in {b}"
    assert found.mixed[1:] == [
        f"images: 3 of rendered, 4 of optdigits in {a}; 3 of rendered in {b}",
        f"delivery: uint8 in {a}; jpeg75 in {b}",
    ]


def test_merged_folders_through_the_command_line(tmp_path, command):
    first = build(tmp_path / "first", Shape(seeds=(0,), failures=1))
    second = build(tmp_path / "second", Shape(seeds=(1,), blur=()), seed=1)
    out = tmp_path / "out"
    ended = command("merge", first, second, "--results", out)
    assert ended.code == 0, ended.err
    rows = {name: table.num_rows for name, table in tables_of(out).items()}
    assert f"tests: {rows['tests']:,} rows" in ended.out
    ended = command("status", out, "--json")
    assert json.loads(ended.out)["tests"] == json.loads(ended.out)["tests_done"] == rows["tests"]
    assert json.loads(ended.out)["models"] == json.loads(ended.out)["models_done"] == 24
    assert command("check", "results", out).code == 0
    before = (out / "manifest.json").read_bytes()
    for refused in (("compact", out), ("merge", first, second, "--results", out), ("merge", first, "--results", "x")):
        ended = command(*refused)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert (out / "manifest.json").read_bytes() == before
    results = load(out)
    assert results.meta.name == "synthetic"
    assert results.meta.counts["models"] == 24
    assert len(results.failures) == 1
    assert "grid-1.toml" in results.meta.grid_text
    assert (out / "grid-2.toml").read_text() == (second / "grid.toml").read_text()
    (out / "grid.toml").write_text("altered")
    assert command("check", "results", out).code == 3


def test_rows_that_a_plan_counts_and_nobody_has_are_missing(tmp_path, command):
    whole = build(tmp_path / "whole", Shape(seeds=(0,)))
    plan = unseal("plan.json", (whole / "plan.json").read_bytes())
    plan["counts"]["tests"] += 5
    (whole / "plan.json").write_bytes(seal(plan))
    assert command("merge", whole, whole, "--results", tmp_path / "out").code == 0
    found = json.loads(command("status", tmp_path / "out", "--json").out)
    assert found["tests"] - found["tests_done"] == 10  # an upper bound: each folder lacks them


def test_compare_through_the_command_line(tmp_path, command):
    rows, other = everything(), everything()
    for row in other["models"]:
        row["seconds"] = 7.0
    a, b = write(tmp_path / "a", rows), write(tmp_path / "b", other)
    ended = command("compare", a, b)
    assert ended.code == 0
    assert "  not counted: seconds (3)" in ended.out.splitlines()
    assert "pgd @ 0.1 C1: 0.5000 in A, 0.5000 in B, +0.0000 (4 and 4 tests)" in ended.out
    test = next(row for row in other["tests"] if row["test_id"] == "pgd optdigits > v < s")
    test |= {"n_success": 2, "asr": 0.5}
    del other["predictions"][0]
    ended = command("compare", a, write(tmp_path / "c", other))
    assert ended.code == 3
    assert "predictions: 11 rows in both, 1 only in A" in ended.out
    assert "  differ: n_success (1), asr (1)" in ended.out
    assert "  for example pgd optdigits > v < s: n_success is 4 in A, 2 in B" in ended.out
    assert "-0.1250" in ended.out
    found = json.loads(command("compare", a, tmp_path / "c", "--json").out)
    assert not found["equal"]
    assert found["tables"]["tests"]["differ"] == {"n_success": 1, "asr": 1}
    assert [row["case"] for row in found["success"]] == ["C1", "WB"]
    assert found["success"][0]["difference"] == pytest.approx(-0.125)
    assert command("compare", a, tmp_path / "nowhere").code == 2


def test_equal_names_of_other_settings_are_not_compared(tmp_path, command):
    rows, other = everything(), everything()
    for row in other["tests"]:
        row |= {"attack_params": '{"steps": 20}', "test_id": f"{row['test_id']} longer"}
    found = json.loads(command("compare", write(tmp_path / "a", rows), write(tmp_path / "b", other), "--json").out)
    assert found["success"] == []


def test_a_run_under_way_is_read_from_its_store(tmp_path, mini_run):
    for name in ("mini", ".store"):
        shutil.copytree(mini_run.parent / name, tmp_path / name)
    under_way = tmp_path / "mini"
    shutil.rmtree(under_way / "tables")
    (under_way / "manifest.json").unlink()
    assert not CurrentTables(str(under_way)).complete
    whole, part = load(mini_run), load(under_way)
    flags = [per_image(found, found.tests.sort_values("test_id")) for found in (whole, part)]
    assert flags[0].surrogate_fooled.any()
    assert flags[0].success.sum(axis=1).tolist() == whole.tests.sort_values("test_id")["n_success"].tolist()
    assert all(np.array_equal(*pair) for pair in zip(*flags, strict=True))
    found = merge_folders([str(under_way), str(mini_run)], str(tmp_path / "out"))
    assert found.common == found.rows
    for name, table in tables_of(tmp_path / "out").items():
        assert table.equals(ResultFolder.open(str(mini_run)).read_table(name)), name


def test_the_command_needs_no_torch(tmp_path):
    a, b = write(tmp_path / "a", everything()), write(tmp_path / "b", everything())
    code = (
        "import sys; from dumb_bench.report.comparison import comparison;"
        "from dumb_bench.store.merging import merge_folders;"
        f"comparison({str(a)!r}, {str(b)!r}); merge_folders([{str(a)!r}, {str(b)!r}], {str(tmp_path / 'c')!r});"
        "sys.exit(any(name in sys.modules for name in ('torch', 'ray')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (Path(tmp_path) / "c" / "plan.json").is_file()
