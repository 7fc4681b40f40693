"""A part is whole and its own, or it is damaged: no third case."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumb_bench.errors import DamagedFileError, InputError, SchemaError
from dumb_bench.store import parts, schema
from dumb_bench.store.parquet import dumps

Make = Callable[..., tuple[str, dict[str, pa.Table]]]


def test_round_trip_and_same_bytes(unit: Make) -> None:
    key, tables = unit(1)
    data = parts.encode(key, tables)
    assert parts.decode(parts.path_of(key), data) == tables
    assert parts.encode(key, dict(reversed(tables.items()))) == data
    some = parts.decode(parts.path_of(key), data, {"tests": ["asr", "test_id"], "models": ["model_id"]})
    assert list(some) == ["tests"]
    assert some["tests"] == tables["tests"].select(["asr", "test_id"])


def test_a_unit_without_rows_is_a_unit(unit: Make) -> None:
    key, _ = unit(1)
    empty = {"tests": schema.TESTS.empty_table()}
    assert parts.decode(parts.path_of(key), parts.encode(key, empty)) == empty
    assert parts.decode(parts.path_of(key), parts.encode(key, {})) == {}


def test_every_random_damage_is_noticed_or_harmless(unit: Make, alter: Callable[..., bytes]) -> None:
    key, tables = unit(2)
    data, path, noticed = parts.encode(key, tables), parts.path_of(key), 0
    for seed in range(1200):
        try:
            assert parts.decode(path, alter(data, random.Random(seed))) == tables
        except DamagedFileError as error:
            noticed += 1
            assert error.path == path and "\n" not in error.reason
    assert noticed > 1000  # the rest are bits nobody looks at, such as a zip's time stamps


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_every_chosen_damage_is_noticed_or_harmless(unit: Make, data: st.DataObject) -> None:
    key, tables = unit(3, rows=1)
    whole = parts.encode(key, tables)
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = data.draw(
        st.sampled_from(
            [whole[:place], whole[place:], whole[:place] + whole[place + 1 :], whole + whole[place:], b""]
            + [whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :] for bit in (1, 16, 128, 255)]
        )
    )
    with contextlib.suppress(DamagedFileError):
        assert parts.decode(parts.path_of(key), broken) == tables


def test_another_units_part_is_damage(unit: Make) -> None:
    key, tables = unit(1)
    with pytest.raises(DamagedFileError, match=f"holds the unit {key}"):
        parts.decode(parts.path_of(unit(2)[0]), parts.encode(key, tables))


def test_a_part_of_a_newer_version_is_not_damage(unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    key, tables = unit(1)
    with monkeypatch.context() as newer:
        newer.setitem(schema.STORED, "tests", schema.TESTS.append(pa.field("colour", pa.string())))
        grown = parts.encode(key, tables)
    for wanted in (None, {"tests": ["test_id"]}):
        with pytest.raises(SchemaError, match="newer"):
            parts.decode(parts.path_of(key), grown, wanted)
    with monkeypatch.context() as newer:
        newer.setattr(parts, "UNIT_TABLES", (*parts.UNIT_TABLES, "moods"))
        newer.setitem(schema.STORED, "moods", schema.PREDICTIONS)
        grown = parts.encode(key, {"moods": tables["predictions"]})
    with pytest.raises(SchemaError, match="newer"):
        parts.decode(parts.path_of(key), grown)


def test_a_part_of_an_older_version_reads_as_null(unit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    key, tables = unit(1)
    older = schema.TESTS.remove(schema.TESTS.get_field_index("asr"))
    with monkeypatch.context() as patch:
        patch.setitem(schema.STORED, "tests", older)
        data = parts.encode(key, {"tests": tables["tests"].drop_columns(["asr"])})
    for wanted in (None, {"tests": ["asr"]}):
        found = parts.decode(parts.path_of(key), data, wanted)["tests"]
        assert found["asr"].null_count == found.num_rows == 3


@pytest.mark.parametrize("key", ["", "xyz", "../../etc/passwd", "AB" * 10, "ab", "0" * 200, "0123456789\n"])
def test_keys_are_lower_hex(key: str) -> None:
    with pytest.raises(InputError, match="unit key"):
        parts.path_of(key)
    with pytest.raises(InputError, match="unit key"):
        parts.encode(key, {})


def test_foreign_files_are_no_parts(unit: Make) -> None:
    key, _ = unit(1)
    assert parts.key_of(parts.path_of(key)) == key
    for path in (f"parts/{key}.part", f"parts/zz/{key}.part", f"parts/{key[:2]}/{key}", "parts/notes.txt"):
        assert parts.key_of(path) is None


def test_what_is_put_must_conform(unit: Make) -> None:
    key, tables = unit(1)
    other, _ = unit(2)
    bad: dict[str, Any] = {
        "tests": tables["tests"].append_column("x", tables["tests"]["asr"]),
        "failures": schema.FAILURES.empty_table(),
        "nonsense": tables["tests"],
        "predictions": tables["predictions"].set_column(0, "test_id", pa.array([1, 2, 3])),
    }
    for name, table in bad.items():
        with pytest.raises(SchemaError):
            parts.encode(key, {name: table})
    with pytest.raises(SchemaError, match="unit_key"):
        parts.encode(other, tables)


def test_a_compressed_or_doubled_member_is_damage(unit: Make) -> None:
    key, tables = unit(1)
    path = parts.path_of(key)
    with zipfile.ZipFile(io.BytesIO(parts.encode(key, tables))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DamagedFileError, match="compressed"):
        parts.decode(path, stream.getvalue())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("clean.parquet", dumps(schema.CLEAN.empty_table(), compact=False))
    with pytest.raises(DamagedFileError, match="sha256"):
        parts.decode(path, stream.getvalue())
