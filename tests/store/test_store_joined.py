"""Two sorted tables side by side: every row once, every common key met, every difference seen."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumb_bench.errors import DamagedFileError
from dumb_bench.store.ids import as_bytes
from dumb_bench.store.joined import Side, differing, keyed, parameters_differ, side_by_side
from dumb_bench.store.sorting import RANGES, SortedParts, fair_bounds

keys = st.lists(st.integers(0, 60).map(lambda number: f"{number:03d}"), unique=True, max_size=40).map(sorted)


@given(left=keys, right=keys, cuts=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_two_sorted_streams_meet_in_every_common_key(left, right, cuts):
    def stream(names, size):
        for start in range(0, len(names), size):
            some = names[start : start + size]
            yield Side(as_bytes(some), pa.table({"test_id": some}))

    seen, common = [], []
    for pair in side_by_side("predictions", stream(left, cuts[0]), stream(right, cuts[1])):
        assert pair.left.keys[pair.left_places].tolist() == pair.right.keys[pair.right_places].tolist()
        common += pair.left.keys[pair.left_places].tolist()
        seen += sorted([*pair.left.keys.tolist(), *pair.right.keys[pair.right_only].tolist()])
    assert [key.decode() for key in seen] == sorted({*left, *right})
    assert [key.decode() for key in common] == sorted({*left} & {*right})


def test_unsorted_tables_are_damage():
    pieces = [pa.table({"test_id": ["b", "c"]}), pa.table({"test_id": ["a"]})]
    with pytest.raises(DamagedFileError, match="not sorted by test_id"):
        list(keyed("predictions", iter(pieces), "here"))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1.0, float("nan"), None, 2.0], [1.0, float("nan"), None, 3.0], [False, False, False, True]),
        (["a", None, "b"], ["a", "a", "b"], [False, True, False]),
        ([[1], [], None, [2, 3]], [[1], None, None, [2, 4]], [False, True, False, True]),
        ([[1, 2], [3]], [[1], [2, 3]], [True, True]),
        ([[[1, 2], [3]], [[4]]], [[[1, 2], [3]], [[5]]], [False, True]),
        ([[float("nan"), 1.0], [0.5]], [[float("nan"), 1.0], [0.25]], [False, True]),
        ([True, False], [True, True], [False, True]),
    ],
)
def test_what_differs(left, right, expected):
    assert differing(pa.array(left), pa.array(right)).tolist() == expected
    assert np.array_equal(differing(pa.array(right), pa.array(left)), expected)


def test_parameters_are_compared_where_both_sides_know_them():
    left = pa.chunked_array([['{"a": 1}', '{"a": 1}', '{"a": 1}', None, "broken", "[1]"]])
    right = pa.chunked_array([['{"a": 1, "b": 2}', '{"a": 2}', '{"a": 1}', '{"a": 1}', "{}", "[2]"]])
    assert parameters_differ(left, right).tolist() == [False, True, False, True, True, True]


def test_rows_that_come_sorted_are_cut_into_fair_ranges():
    ids = [f"{number:05d}" for number in range(6400)]
    bounds = fair_bounds(as_bytes(ids))
    sizes = np.diff([0, *np.searchsorted(as_bytes(ids), bounds), len(ids)])
    assert (len(sizes), sizes.min(), sizes.max()) == (RANGES, 100, 100)
    tables = [pa.table({"test_id": ids[start : start + 800]}) for start in range(0, 6400, 800)]
    with SortedParts("predictions", held_bytes=1, bounds=bounds) as rows:
        for table in tables:
            rows.add(table)
        found = [name for part in rows.parts() for name in part.column("test_id").to_pylist()]
    assert found == ids
