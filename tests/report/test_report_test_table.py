"""The tests one by one: what the browser gets is what the tables hold."""

import base64
import csv
import json

import numpy as np
import pytest
from synthetic_results import Shape, build

from dumb_bench.report.groups import prepared
from dumb_bench.report.load import load
from dumb_bench.report.rates import wilson
from dumb_bench.report.test_table import columns, embedded, write_tests


@pytest.fixture(scope="module")
def tests(tmp_path_factory):
    shape = Shape(architectures=("x", "</script><b>"), balances=("50/50",), sources=("a", "=cmd()"), n_images=300)
    return prepared(load(build(tmp_path_factory.mktemp("results"), shape)))


def decoded(data):
    """Read the page's data as its script does."""
    found = {}
    for column in json.loads(data)["columns"]:
        codes = np.frombuffer(base64.b64decode(column["data"]), dtype=f"<u{column['bits'] // 8}")
        found[column["name"]] = codes if column["values"] is None else [column["values"][code] for code in codes]
    return found


def keys(frame):
    white = frame["white_box"]
    case = frame["case"].where(~white, "WB")
    names = zip(frame["label"], frame["setting"], case, frame["surrogate_source"], frame["surrogate_seed"],
                frame["victim_architecture"], frame["n_success"], frame["n_victim_correct"], strict=True)  # fmt: skip
    return sorted((a, b, c, d, str(int(e)), f, int(g), int(h)) for a, b, c, d, e, f, g, h in names)


def test_every_test_is_in_the_page(tests):
    table = embedded(tests, columns(tests))
    assert "<" not in table["data"]
    found = decoded(table["data"])
    names = ("attack", "strength", "case", "surrogate source", "surrogate seed", "victim architecture")
    rows = zip(*(found[name] for name in names), found["n_success"], found["n_victim_correct"], strict=True)
    assert sorted((*row[:6], int(row[6]), int(row[7])) for row in rows) == keys(tests)
    assert table["shown"] == table["total"] == len(tests)
    assert max(found["n_victim_correct"]) > 255  # counts of more than a byte


def test_what_does_not_vary_is_no_column(tests):
    names = [column.name for column in columns(tests)]
    assert "surrogate seed" in names and "surrogate balance" not in names and "delivery" not in names


def test_of_too_many_the_declared_contrast_stays(tests):
    most = int(tests["primary"].sum()) + 5
    table = embedded(tests, columns(tests), most)
    found = decoded(table["data"])
    assert (table["shown"], table["total"]) == (most, len(tests))
    primary = tests[tests["primary"]]
    attack, strength = primary["label"].iloc[0], primary["setting"].iloc[0]
    kept = sum((a, s) == (attack, strength) for a, s in zip(found["attack"], found["strength"], strict=True))
    assert kept == len(primary)


def test_strengths_are_in_the_order_of_their_size(tests):
    strength = next(column for column in columns(tests) if column.name == "strength")
    assert strength.values == sorted(strength.values, key=lambda text: float(text or "inf"))


def test_the_file_has_all_rows_with_their_interval(tests, tmp_path):
    write_tests(columns(tests), tmp_path / "tests.csv")
    rows = list(csv.DictReader((tmp_path / "tests.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(tests)
    assert {row["surrogate_source"] for row in rows} == {"a", "'=cmd()"}
    for row, (_, test) in zip(rows, tests.head(50).iterrows(), strict=False):
        low, high = wilson(int(test["n_success"]), int(test["n_victim_correct"]))
        assert float(row["success"]) == pytest.approx(test["asr"], abs=1e-6)
        assert (float(row["low"]), float(row["high"])) == pytest.approx((low, high), abs=1e-6)
