"""What a place is: a folder or a bucket prefix. Files have relative names, with `/`, which never leave it."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import NamedTuple

from dumb_bench.errors import InputError


class Entry(NamedTuple):
    """A file of a place: its name, its size in bytes and when it was last written (seconds since 1970, UTC)."""

    path: str
    size: int
    modified: float


def checked(path: str) -> str:
    """Return a relative name as it is.

    Raises:
        InputError: it is empty, absolute, leaves the place, or holds a backslash or a control character.
    """
    steps = path.split("/")
    if any(step in ("", ".", "..") for step in steps) or "\\" in path or ":" in steps[0]:
        raise InputError(f"{path!r} is not a name inside a folder: expected names joined by '/', without '..'.")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise InputError(f"{path!r} holds a control character.")
    return path


def one_line(error: BaseException) -> str:
    """Return an error's message as one short line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:300]


def without_credentials(uri: str) -> str:
    """Return a URI without the `key:secret@` that it may carry; it still opens, with credentials found elsewhere."""
    scheme, colon, rest = uri.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    return f"{scheme}://{rest[len(user) + 1 :]}" if colon and at and ":" in user else uri


def temporary(name: str) -> str:
    """Return a name that no other writer chooses; hidden from listings and from Parquet readers."""
    return f".{name[:80]}.{secrets.token_hex(8)}.tmp"


class Place(ABC):
    """A folder or a bucket prefix. `uri` opens it again; `name` is for messages (no credentials)."""

    uri: str
    name: str
    workers: int
    """How many reads at once are worthwhile."""

    @abstractmethod
    def _prepare(self, create: bool) -> None:
        """Make the place and try a write, or only see that it is there."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return a file's content. Raises FileNotFoundError, or another OSError when the place does not answer."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Write or replace a file, durably and all at once. Raises OSError; then the old content is still there."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether the file is there."""

    @abstractmethod
    def names(self, prefix: str) -> list[str]:
        """Return the names of all files below a folder, in no order; none where there is no such folder."""

    @abstractmethod
    def files(self, prefix: str) -> list[Entry]:
        """Return all files below a folder with their sizes and times, in no order."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file; nothing happens where there is none."""

    @abstractmethod
    def move(self, path: str, target: str) -> None:
        """Move a file, replacing what is at `target`. Raises FileNotFoundError."""

    def prune(self, folder: str) -> None:  # noqa: B027 - a bucket has no folders
        """Remove a folder if it is empty (a writer that needs it makes it again)."""

    def sweep(self, age: float) -> None:  # noqa: B027 - a bucket has no leftovers
        """Delete temporary files that a crash left more than `age` seconds ago."""
