"""One small interface over a local folder and an object store (`s3://`, `gs://`), durable and never half-written.

Names inside a place are relative, with `/`; they never leave it. A local write is a temporary file in the same folder,
fsync, rename, fsync of the folder; on an object store it is one PUT, which is atomic by itself.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dumb_bench.errors import InputError
from dumb_bench.store.place import Entry, Place, checked, one_line, temporary

OBJECT_STORES = ("s3", "gs")
_MOST_KNOWN = 10_000


class LocalPlace(Place):
    """A folder of this machine (or of a network file system with atomic renames)."""

    workers = 1

    def __init__(self, root: Path) -> None:
        with contextlib.suppress(RuntimeError):
            root = root.expanduser()
        self.root = root.absolute()
        self.uri = self.name = str(self.root)
        self._known: set[str] = set()

    def path(self, path: str) -> Path:
        """Return the real path of a name.

        Raises:
            InputError: it is no name inside a folder, or a link leads out of this one.
        """
        target = self.root / checked(path)
        folder = os.path.dirname(target)
        if folder not in self._known or os.path.islink(target):
            root = os.path.realpath(self.root)
            if os.path.commonpath((root, os.path.realpath(target))) != root:
                raise InputError(f"{self.name}: {path} is a link that leads out of this folder; it is not followed.")
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(folder)
        return target

    def _prepare(self, create: bool) -> None:
        if not create:
            if not stat.S_ISDIR(self.root.stat().st_mode):
                raise NotADirectoryError(0, "not a folder")
            return
        _make(self.root)
        probe = self.root / temporary("probe")
        probe.touch()
        probe.unlink()

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Raises FileNotFoundError, OSError."""
        return self.path(path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Write a temporary file beside, make it durable, rename it. Raises OSError."""
        target = self.path(path)
        beside = target.with_name(temporary(target.name))
        try:
            with _create(beside) as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        _sync(target.parent)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self.path(path).is_file()

    def names(self, prefix: str) -> list[str]:
        """Return the names of all files below a folder, without looking at the files."""
        cut = len(str(self.root)) + 1
        return [entry.path[cut:].replace(os.sep, "/") for entry in _walk(self.path(prefix)) if not _is_left(entry)]

    def files(self, prefix: str) -> list[Entry]:
        """Return all files below a folder."""
        cut = len(str(self.root)) + 1
        found = []
        for entry in _walk(self.path(prefix)):
            with contextlib.suppress(FileNotFoundError):
                if not _is_left(entry):
                    about = entry.stat()
                    found.append(Entry(entry.path[cut:].replace(os.sep, "/"), about.st_size, about.st_mtime))
        return found

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(path))

    def move(self, path: str, target: str) -> None:
        """Rename a file, making the folder of `target`."""
        old, new = self.path(path), self.path(target)
        if not old.is_file():
            raise FileNotFoundError(2, "no such file", str(old))
        _make(new.parent)
        os.replace(old, new)
        _sync(new.parent)
        _sync(old.parent)

    def prune(self, folder: str) -> None:
        """Remove a folder if it is empty."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path(folder))

    def sweep(self, age: float) -> None:
        """Delete temporary files older than `age` seconds."""
        limit = time.time() - age
        for entry in _walk(self.root):
            with contextlib.suppress(OSError):
                if _is_left(entry) and entry.stat().st_mtime < limit:
                    os.unlink(entry.path)


def _is_left(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") and entry.name.endswith(".tmp")


def _create(path: Path) -> Any:
    """Open a new file, making its folder when that is missing (or was pruned a moment ago)."""
    try:
        return open(path, "xb")
    except FileNotFoundError:
        _make(path.parent)
        return open(path, "xb")


def _make(folder: Path) -> None:
    """Make a folder and its parents, durably."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    if not folder.is_dir():
        raise NotADirectoryError(20, f"{folder} is a file, not a folder")
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Make a rename in a folder durable, where the file system knows how."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (22, 95):  # EINVAL, ENOTSUP: some network file systems
            raise
    finally:
        os.close(handle)


def _walk(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield the files below a folder; folders that vanish meanwhile are skipped."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(entry.path)
                elif entry.is_file():
                    yield entry
    except (FileNotFoundError, NotADirectoryError):
        return


def place_at(where: str | os.PathLike[str], *, create: bool = True) -> Place:
    """Open a local path, `file://`, `s3://` or `gs://` place; with `create` it is made, and must be writable.

    Raises:
        InputError: it does not exist (without `create`), or cannot be created or written.
    """
    text = os.fspath(where)
    scheme, colon, rest = text.partition("://")
    if not text or "\0" in text:
        raise InputError(f"expected a folder or a URI, got {text!r}.")
    if not colon:
        place: Place = LocalPlace(Path(text))
    elif scheme == "file":
        place = LocalPlace(Path(urllib.parse.unquote(rest)))
    elif scheme in OBJECT_STORES:
        from dumb_bench.store.objects import ObjectPlace

        place = ObjectPlace.from_uri(text)
    else:
        raise InputError(f"{scheme}:// is not supported. Available: a local path, file://, s3://, gs://.")
    try:
        place._prepare(create)
    except (OSError, ValueError) as error:
        what = "written" if create else "read"
        raise InputError(f"{place.name}: cannot be {what}: {one_line(error)}.") from error
    return place
