"""The cache of a bucket's files: right bytes or none, within its size, whoever else uses or damages it."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store.cache import Cache, cache_folder, cache_for
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.objects import ObjectPlace
from dumb_bench.store.store import Store

NAME = "0123456789abcdef0123"
WEIGHTS = {"weights": bytes(range(256)) * 16}


def named(data: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(data).hexdigest(), data


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def reads(bucket: ObjectPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is read of the bucket, while the cache is on."""
    monkeypatch.setenv("DUMB_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DUMB_BENCH_CACHE_GB", "1")
    seen: list[str] = []
    read = ObjectPlace.read

    def noted(place: ObjectPlace, path: str) -> bytes:
        seen.append(path.rpartition(".")[2])
        return read(place, path)

    monkeypatch.setattr(ObjectPlace, "read", noted)
    return seen


def test_weights_of_a_bucket_are_read_once(bucket: ObjectPlace, reads: list[str]) -> None:
    Store(bucket).put_artifact(NAME, WEIGHTS, {"epochs": 1})
    reads.clear()
    for _ in range(3):
        assert Store(bucket).get_artifact(NAME)[0] == WEIGHTS
    assert reads == ["json", "weights", "json", "json"]  # the meta is always the store's


def test_a_damaged_cache_is_never_believed_and_mends_itself(
    bucket: ObjectPlace, reads: list[str], tmp_path: Path, alter: Callable[..., bytes]
) -> None:
    store = Store(bucket)
    store.put_artifact(NAME, WEIGHTS, {})
    store.get_artifact(NAME)
    (kept,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    for seed in range(30):
        broken = alter(kept.read_bytes(), random.Random(seed))
        kept.write_bytes(broken)
        reads.clear()
        assert store.get_artifact(NAME)[0] == WEIGHTS
        assert reads == (["json"] if broken == WEIGHTS["weights"] else ["json", "weights"])
        assert kept.read_bytes() == WEIGHTS["weights"]


def test_checks_look_at_the_store_and_not_at_the_cache(bucket: ObjectPlace, reads: list[str]) -> None:
    store = Store(bucket)
    store.put_artifact(NAME, WEIGHTS, {})
    store.get_artifact(NAME)
    (path,) = (path for path in bucket.names("artifacts") if path.endswith(".weights"))
    bucket.write(path, b"altered")
    assert [damage.path for damage in store.verify()] == [path]
    with pytest.raises(DamagedFileError, match="no such artifact"):
        store.get_artifact(NAME)


def test_a_cache_that_cannot_be_written_is_done_without(
    bucket: ObjectPlace, reads: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    store = Store(bucket)
    store.put_artifact(NAME, WEIGHTS, {})
    for _ in range(2):
        assert store.get_artifact(NAME)[0] == WEIGHTS


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    items = [named(bytes([number]) * 300) for number in range(4)]
    for age, (name, data) in enumerate(items[:3]):
        cache.put(name, data)
        os.utime(tmp_path / "weights" / name[:2] / name, (1000 + age,) * 2)
    assert cache.get(items[0][0]) == items[0][1]  # used just now
    cache.put(*items[3])
    assert [cache.get(name) is not None for name, _ in items] == [True, False, True, True]
    assert size_of(tmp_path) == 900
    cache.put(*named(bytes(1001)))  # larger than all: it drives nothing out
    assert size_of(tmp_path) == 900


def test_names_are_hashes_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 1000)
    (tmp_path / "secret").write_bytes(b"x")
    for name in ("../secret", "", "AB" * 32, "0" * 63, "../" + "0" * 61):
        cache.put(name, b"x")
        assert cache.get(name) is None
    assert not (tmp_path / "cache").exists()


def test_many_writers_and_readers_of_a_full_cache(tmp_path: Path) -> None:
    items = [named(random.Random(number).randbytes(200)) for number in range(12)]
    problems: list[str] = []

    def use(seed: int) -> None:
        draw, cache = random.Random(seed), Cache(tmp_path, 1200)
        for _ in range(60):
            name, data = draw.choice(items)
            found = cache.get(name)
            if found is None:
                cache.put(name, data)
            elif found != data:
                problems.append(name)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Cache(tmp_path, 1200).put(*named(b"last"))
    assert problems == [] and size_of(tmp_path) <= 1200
    assert list(tmp_path.rglob("*.tmp")) == []


def test_where_it_is(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUMB_BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dumb_bench"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "dumb_bench"
    monkeypatch.setenv("DUMB_BENCH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("DUMB_BENCH_CACHE_GB")
    assert cache_for(bucket) is not None and cache_for(LocalPlace(tmp_path)) is None
    for wrong in ("many", "-1", "nan", "inf"):
        monkeypatch.setenv("DUMB_BENCH_CACHE_GB", wrong)
        with pytest.raises(InputError, match="DUMB_BENCH_CACHE_GB: expected gigabytes"):
            cache_for(bucket)
    monkeypatch.setenv("DUMB_BENCH_CACHE_GB", "0")
    assert cache_for(bucket) is None
