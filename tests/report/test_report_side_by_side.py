"""Several results side by side: nothing is compared that was not made alike without saying so."""

import csv
import re

import pytest
from synthetic_results import Shape, build

from dumb_bench.cli import main
from dumb_bench.report.side_by_side import generate_all, named, protocol

SMALL = Shape(architectures=("x",), balances=("50/50",), n_images=30, attacks={"pgd": (0.1,)})
OTHER = Shape(architectures=("y",), balances=("50/50",), n_images=40, attacks={"pgd": (0.2,), "cw": (0.1,)}, blur=())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    root = tmp_path_factory.mktemp("two")
    return build(root / "a", SMALL), build(root / "b", OTHER, seed=1)


def test_the_page_names_what_differs(two, tmp_path):
    found = generate_all(two, tmp_path / "out")
    text = found.place.read_text(encoding="utf-8")
    assert any(line.startswith("images a test: ") and "30" in line and "40" in line for line in found.mixed)
    assert "Mixed protocols" in text
    names = [path.parent.name for path in sorted((tmp_path / "out").glob("*/index.html"))]
    assert names == ["synthetic-1", "synthetic-2"]
    for name in names:
        assert f'href="{name}/index.html"' in text
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "studies.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["study"] for row in rows} == set(names)
    assert {row["label"] for row in rows} == {"pgd", "box_blur", "cw"}
    assert (tmp_path / "out" / "figures" / "studies_by_case.pdf").is_file()


def test_results_made_alike_are_not_marked(two, tmp_path):
    again = build(tmp_path / "again", SMALL, seed=7)
    sides = named([two[0], again])
    assert not protocol(sides)["differs"].any()
    page = generate_all([two[0], again], tmp_path / "out")
    assert page.mixed == [] and "Mixed protocols" not in page.place.read_text(encoding="utf-8")


def test_the_same_results_give_the_same_bytes(two, tmp_path):
    pages = [generate_all(two, tmp_path / name).place.read_bytes() for name in ("one", "two")]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("case", "sentence"),
    [("twice", "the same result folder is given twice"), ("tasks", "share no task"), ("none", "no result folder")],
)
def test_what_cannot_be_laid_side_by_side_is_one_line(two, tmp_path, monkeypatch, capsys, case, sentence):
    other = {
        "twice": lambda: two[0],
        "tasks": lambda: build(tmp_path / "t", Shape(architectures=("x",), balances=("50/50",), task="cats")),
        "none": lambda: tmp_path,
    }[case]()
    monkeypatch.setattr("sys.argv", ["dumb-bench", "report", str(two[0]), str(other), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        main()
    message = capsys.readouterr().err
    assert stop.value.code == 2 and sentence in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_hostile_names_become_no_path(tmp_path):
    folders = [build(tmp_path / name, SMALL) for name in ("a", "b")]
    (folders[0] / "grid.toml").write_text('name = "../../evil"\n', encoding="utf-8")
    (folders[1] / "grid.toml").write_text('name = "<script>alert(1)</script>"\n', encoding="utf-8")
    found = generate_all(folders, tmp_path / "out")
    assert sorted(path.parent.name for path in (tmp_path / "out").glob("*/index.html")) == ["study-1", "study-2"]
    assert not re.search("<script>alert", found.place.read_text(encoding="utf-8"))
    assert not list(tmp_path.rglob("evil*"))
