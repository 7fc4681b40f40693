"""Artifacts: what is read is what was put, or an error says that it is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.store import Store

NAME = "0123456789abcdef0123"
FILES = {"weights.safetensors": bytes(range(256)) * 4, "empty": b""}
META = {"epochs": 12, "loss": [0.5, 0.25], "library": {"torch": "2.6"}}


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store.open(tmp_path / "store")
    return Store(request.getfixturevalue("bucket"))


def read(store: Store) -> tuple[dict[str, bytes], dict[str, object]] | None:
    """Return the artifact as both ways of reading it give it, None where both find it damaged."""
    try:
        here = store.local_artifact(NAME)
        mapped = None if here is None else ({key: path.read_bytes() for key, path in here[0].items()}, here[1])
    except DamagedFileError:
        with pytest.raises(DamagedFileError):
            store.get_artifact(NAME)
        return None
    assert (here is None) == (not isinstance(store.place, LocalPlace))
    try:
        found = store.get_artifact(NAME)
    except DamagedFileError:
        assert here is None, "only one of both ways found the damage"
        return None
    assert mapped in (None, found)
    return found


def test_round_trip(store: Store) -> None:
    assert not store.has_artifact(NAME)
    meta = store.put_artifact(NAME, FILES, META)
    assert store.has_artifact(NAME)
    assert read(store) == (FILES, meta)
    assert {key: meta[key] for key in META} == META
    assert meta["files"]["weights.safetensors"]["size"] == 1024
    assert len(meta["files"]["empty"]["sha256"]) == 64
    assert store.verify() == []
    store.put_artifact(NAME, {"other": b"1"}, {})
    assert store.get_artifact(NAME)[0] == {"other": b"1"}


def test_random_damage_is_noticed_or_harmless(store: Store, alter: Callable[..., bytes]) -> None:
    meta = store.put_artifact(NAME, FILES, META)
    paths = [path for path in sorted(store.place.names("artifacts")) if not path.endswith("empty")]
    noticed = 0
    for seed in range(200):
        draw = random.Random(seed)
        path = draw.choice(paths)
        whole = store.place.read(path)
        store.place.write(path, alter(whole, draw))
        found = read(store)
        assert found in (None, (FILES, meta))
        noticed += found is None
        store.place.write(path, whole)
    assert noticed > 150


def test_missing_files_are_damage(store: Store) -> None:
    with pytest.raises(DamagedFileError, match="no such artifact"):
        store.get_artifact(NAME)
    store.put_artifact(NAME, FILES, META)
    (path,) = (path for path in store.place.names("artifacts") if path.endswith("safetensors"))
    store.place.delete(path)
    with pytest.raises(DamagedFileError, match="missing"):
        store.get_artifact(NAME)
    assert read(store) is None
    damage = store.verify()
    assert [entry.path for entry in damage] == [path] and not store.has_artifact(NAME)
    assert store.verify() == [] and store.place.names("artifacts") == []


def test_a_swapped_artifact_is_damage(store: Store) -> None:
    other = "f" * 20
    store.put_artifact(NAME, FILES, META)
    store.put_artifact(other, {"x": b"1"}, {})
    store.place.write(f"artifacts/ff/{other}/meta.json", store.place.read(f"artifacts/01/{NAME}/meta.json"))
    with pytest.raises(DamagedFileError, match="another artifact"):
        store.get_artifact(other)


def test_dropped_ones_are_kept_aside(store: Store) -> None:
    for _ in range(2):
        store.put_artifact(NAME, {"x": b"1"}, {})
        store.drop_artifact(NAME)
        assert not store.has_artifact(NAME)
    assert len(store.place.names("quarantine")) == 6  # meta, file and reason, twice
    store.drop_artifact(NAME)


def test_refusals(store: Store) -> None:
    for name in ("..", "../x", "a/b", "", "a\nb"):
        with pytest.raises(InputError):
            store.put_artifact(NAME, {name: b""}, {})
    for meta in ({"files": 1}, {"artifact": 1}, {"seal": 1}, {"loss": float("nan")}):
        with pytest.raises(ValueError, match=r"reserved|NaN|nan|JSON"):
            store.put_artifact(NAME, FILES, meta)
    with pytest.raises(TypeError):
        store.put_artifact(NAME, FILES, {"x": object()})
    assert not store.has_artifact(NAME)
