"""Files of a bucket kept on this machine: named by the sha256 of their content, which is checked whenever one is read.

Whatever is wrong with the cache, the store is asked instead. Any number of processes may share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

from dumb_bench.errors import InputError
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.place import Place

FOLDER_VARIABLE = "DUMB_BENCH_CACHE"
SIZE_VARIABLE = "DUMB_BENCH_CACHE_GB"
DEFAULT_GB = 10.0
"""Size of the cache; 0 switches it off."""

_FOLDER = "weights"
_NAME = re.compile(r"[0-9a-f]{64}")
_LEFTOVER_AGE = 3_600.0


class Cache:
    """Content by sha256 in a local folder, of at most so many bytes; what was used longest ago goes first."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._place = LocalPlace(folder)
        self._limit = limit

    def get(self, sha256: str) -> bytes | None:
        """Return the content, or None where it is not here or not what it should be (then it is deleted)."""
        if not _NAME.fullmatch(sha256):
            return None
        name = _path(sha256)
        with contextlib.suppress(OSError):
            data = self._place.read(name)
            if hashlib.sha256(data).hexdigest() == sha256:
                with contextlib.suppress(OSError):
                    os.utime(self._place.path(name))
                return data
            self._place.delete(name)
        return None

    def put(self, sha256: str, data: bytes) -> None:
        """Keep a content, making room first. A content that cannot be kept is not kept."""
        if not _NAME.fullmatch(sha256) or len(data) > self._limit:
            return
        with contextlib.suppress(OSError):
            self._make_room(len(data))
            self._place.write(_path(sha256), data)

    def _make_room(self, size: int) -> None:
        entries = sorted(self._place.files(_FOLDER), key=lambda entry: entry.modified)
        excess = sum(entry.size for entry in entries) + size - self._limit
        for entry in entries:
            if excess <= 0:
                break
            self._place.delete(entry.path)
            excess -= entry.size
        self._place.sweep(_LEFTOVER_AGE)


def _path(sha256: str) -> str:
    return f"{_FOLDER}/{sha256[:2]}/{sha256}"


def cache_for(place: Place) -> Cache | None:
    """Return the cache of this machine's user for a bucket; None for a local place, or where it is switched off.

    Raises:
        InputError: `DUMB_BENCH_CACHE_GB` is no number of gigabytes.
    """
    if isinstance(place, LocalPlace):
        return None
    text = os.environ.get(SIZE_VARIABLE, "") or str(DEFAULT_GB)
    try:
        limit = int(float(text) * 2**30)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise InputError(f"{SIZE_VARIABLE}: expected gigabytes, 0 or more, got {text!r}.")
    folder = cache_folder()
    return Cache(folder, limit) if limit and folder else None


def cache_folder() -> Path | None:
    """Return `$DUMB_BENCH_CACHE`, else `dumb_bench` in the user's cache folder; None where there is no home."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if shared.startswith("/"):  # the standard: a relative path is ignored
        return Path(shared) / "dumb_bench"
    try:
        return Path.home() / ".cache" / "dumb_bench"
    except RuntimeError:
        return None
