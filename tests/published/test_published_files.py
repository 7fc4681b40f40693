"""Files that are no result files: refused by name, in one line, before anything is written."""

import os

import pytest
from published_excerpt import write_bnn, write_dumb

PLACES = {
    "dumb": (write_dumb, "results/attacks/evaluation/catDog/evaluations_BoxBlur.csv"),
    "bnn": (write_bnn, "X_adv/CIFAR10/PreResNet110/results_dee.csv"),
}


def spoiled(path, how):
    text = path.read_text()
    first, second = text.splitlines()[:2]
    match how:
        case "too large":
            os.truncate(path, 1_000_000_000)  # sparse: nothing is written
        case "NUL":
            path.write_text(text.replace("1", "\0", 1))
        case "no UTF-8":
            path.write_bytes(text.encode().replace(b"a", b"\xff", 1))
        case "a huge cell":
            path.write_text(f"{first}\n{second},{'x' * 200_000}\n")
        case "an open quote":
            path.write_text(f'{first}\n"{second}\n')
        case "a cell too few":
            path.write_text(f"{first}\n{second.rpartition(',')[0]}\n")
        case "no rows":
            path.write_text(f"{first}\n")
        case "a column twice":
            path.write_text(f"{first},{first.split(',')[-1]}\n{second},1\n")


SAID = {
    "too large": "has 1.0 GB; at most 64.0 MB are read", "NUL": "holds a NUL character",
    "no UTF-8": "is not UTF-8 text", "a huge cell": "line 2: is no CSV: field larger than field limit",
    "an open quote": "line 2: is no CSV: ", "a cell too few": "cells, got", "no rows": "holds no rows",
    "a column twice": "line 1: a column is named twice",
}  # fmt: skip


@pytest.mark.parametrize("study", PLACES)
@pytest.mark.parametrize("how", SAID)
def test_a_spoiled_file_is_named(tmp_path, command, study, how):
    make, name = PLACES[study]
    make(tmp_path / "files")
    spoiled(tmp_path / "files" / name, how)
    ended = command("import", study, tmp_path / "files", "--results", tmp_path / "results")
    assert ended.code == 2
    assert SAID[how] in ended.err
    assert name in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("study", PLACES)
@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_a_folder_without_results_is_refused(tmp_path, command, study, folder):
    (tmp_path / "empty").mkdir()
    ended = command("import", study, tmp_path / folder, "--results", tmp_path / "results")
    assert (ended.code, f"{folder}: holds no " in ended.err) == (2, True)


def test_an_unknown_attack_is_named_with_the_known_ones(tmp_path, command):
    write_dumb(tmp_path, attacks=["BIM"])
    place = tmp_path / "results/attacks/evaluation/catDog"
    (place / "evaluations_BIM.csv").rename(place / "evaluations_BIN.csv")
    ended = command("import", "dumb", tmp_path, "--results", tmp_path / "out")
    assert ended.code == 2
    assert "unknown attack 'BIN'. Did you mean 'BIM'? Available: BIM, BoxBlur" in ended.err


def test_a_dumb_file_without_a_column_is_named(tmp_path, command):
    write_dumb(tmp_path, attacks=["BIM"])
    path = tmp_path / "results/attacks/history/catDog/BIM.csv"
    path.write_text(path.read_text().replace("ssim", "similarity", 1))
    ended = command("import", "dumb", tmp_path, "--results", tmp_path / "out")
    assert (ended.code, "history/catDog/BIM.csv, line 1: lacks the column 'ssim'" in ended.err) == (2, True)


def test_hostile_file_names_are_shown_not_run(tmp_path, command):
    write_dumb(tmp_path, attacks=["BIM"])
    place = os.fsencode(tmp_path / "results/attacks/evaluation/catDog")
    for name in (b"<script>alert(1)<!--.csv", b"\xff\x1b[31m.csv"):
        with open(place + b"/" + name, "w") as file:
            file.write("a\n")
    ended = command("import", "dumb", tmp_path, "--results", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert "\\udcff\\x1b[31m.csv" in ended.err
    assert "\x1b" not in ended.err
    ended = command("report", tmp_path / "out", "--out", tmp_path / "page")
    assert ended.code == 0, ended.err
    page = (tmp_path / "page/index.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;!--.csv" in page
    assert "<script>alert" not in page
