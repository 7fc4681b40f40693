"""Large results that are no tables (weights, adversarial sets): named files under an id, verified whenever read.

`artifacts/<first two>/<id>/<hash>.<file name>` first, the sealed `meta.json` last: an artifact exists if and only if
its `meta.json` does. Files are stored under their content's hash, so that two writers of one id never mix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store.cache import Cache
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.parts import checked_key
from dumb_bench.store.place import Place, checked
from dumb_bench.store.quarantine import Damage, quarantine
from dumb_bench.store.sealed import seal, unseal

FOLDER = "artifacts"
_META = "meta.json"
_FILES = "files"
_NAME = "artifact"


def put(place: Place, name: str, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Store an artifact and return its meta: the given one and, under `files`, each file's `sha256` and `size`.

    Raises:
        InputError: the name is no id, or a file's name is not a plain one.
        ValueError, TypeError: the meta is not plain JSON data, or uses a reserved key.
        OSError: the place does not take a file; the artifact is not there, or still the former one.
    """
    base = _base(name)
    if meta.keys() & {_FILES, _NAME}:
        raise ValueError(f"the keys {_FILES!r} and {_NAME!r} of an artifact's meta are reserved")
    about = {key: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for key, data in files.items()}
    document = seal({**meta, _NAME: name, _FILES: about})  # before any write: it may be refused
    for key, data in files.items():
        place.write(_path(base, key, str(about[key]["sha256"])), data)
    place.write(f"{base}/{_META}", document)
    return _meta(place, name)


def get(place: Place, name: str, cache: Cache | None = None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return an artifact's files and its meta as `put` returned it, verified; files from the cache if they are there.

    Raises:
        DamagedFileError: there is none, a file is missing, or a hash differs.
        InputError: the name is no id.
    """
    meta, base, files = _meta(place, name), _base(name), {}
    for key, promised in meta[_FILES].items():
        cached = cache.get(promised["sha256"]) if cache else None
        if cached is not None:
            files[key] = cached
            continue
        path = _path(base, key, promised["sha256"])
        with _naming(path):
            data = place.read(path)
        _verify(path, hashlib.sha256(data), promised)
        files[key] = data
        if cache:
            cache.put(promised["sha256"], data)
    return files, meta


def local(place: LocalPlace, name: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Return where an artifact's files lie on this machine, each read and verified, and its meta.

    Raises:
        DamagedFileError, InputError: as `get`.
    """
    meta, base, files = _meta(place, name), _base(name), {}
    for key, promised in meta[_FILES].items():
        path = _path(base, key, promised["sha256"])
        with _naming(path), place.path(path).open("rb") as stream:
            _verify(path, hashlib.file_digest(stream, "sha256"), promised)
        files[key] = place.path(path)
    return files, meta


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Call a file that is missing by its name."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedFileError(path, "is missing, but the artifact's meta.json names it") from error


def _verify(path: str, found: hashlib._Hash, promised: Mapping[str, Any]) -> None:
    if found.hexdigest() != promised["sha256"]:
        raise DamagedFileError(path, "torn or altered: its sha256 differs from meta.json")


def has(place: Place, name: str) -> bool:
    """Whether the artifact is there (not whether it is intact)."""
    return place.exists(f"{_base(name)}/{_META}")


def drop(place: Place, name: str, reason: str) -> None:
    """Put an artifact in quarantine: it is no longer there."""
    base = _base(name)
    meta = f"{base}/{_META}"
    others = [path for path in place.names(base) if path != meta]
    quarantine(place, Damage(meta, reason), [meta, *others])


def every(place: Place) -> list[str]:
    """Return the names of all artifacts, sorted."""
    return sorted(path.split("/")[-2] for path in place.names(FOLDER) if path.endswith(f"/{_META}"))


def _base(name: str) -> str:
    return f"{FOLDER}/{checked_key(name, 'name of an artifact')[:2]}/{name}"


def _path(base: str, key: str, sha256: str) -> str:
    if "/" in key:
        raise InputError(f"{key!r} is not a plain file name.")
    return checked(f"{base}/{sha256[:16]}.{checked(key)}")


def _meta(place: Place, name: str) -> dict[str, Any]:
    path = f"{_base(name)}/{_META}"
    try:
        meta = unseal(path, place.read(path))
    except FileNotFoundError as error:
        raise DamagedFileError(path, "there is no such artifact") from error
    if meta.pop(_NAME, None) != name:
        raise DamagedFileError(path, "is the meta.json of another artifact")
    files = meta.get(_FILES)
    if not isinstance(files, dict) or not all(
        "/" not in key and isinstance(entry, dict) and isinstance(entry.get("sha256"), str)
        for key, entry in files.items()
    ):
        raise DamagedFileError(path, "is sealed, but does not name the artifact's files")
    return meta
