"""Who is at work here: a small file that its owner refreshes. It warns, and keeps nobody out.

`leases/<kind>-<start>-<random>.json`, one for each owner, so that no two write the same file. Ages are told by the
clock of the place (the times of its files), so that the clocks of two machines need not agree.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple

from dumb_bench.errors import DamagedFileError
from dumb_bench.store.place import Place
from dumb_bench.store.sealed import seal, unseal

FOLDER = "leases"
REFRESH = 60.0
"""Seconds between two refreshments."""
STALE = 300.0
"""Seconds without one after which the owner is taken for dead."""


class Owner(NamedTuple):
    """Who holds a lease: host, process, and since when (UTC)."""

    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lease:
    """A sign that this process does something (`driver`, `compact`) at a place; use it as a context manager.

    A place that does not take the file is no error: then there is only no sign.
    """

    def __init__(self, place: Place, kind: str) -> None:
        started = datetime.now(UTC)
        self.place = place
        self._kind = kind
        self._path = f"{FOLDER}/{kind}-{started:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.json"
        self._owner = Owner(socket.gethostname(), os.getpid(), started.isoformat(timespec="seconds"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {kind}", daemon=True)

    def __enter__(self) -> Lease:
        self._sign()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self.place.delete(self._path)
            self.place.prune(FOLDER)

    def _keep(self) -> None:
        while not self._ended.wait(REFRESH):
            self._sign()

    def _sign(self) -> None:
        with contextlib.suppress(OSError):
            self.place.write(self._path, seal(self._owner._asdict()))

    def others(self, *, earlier: bool = False) -> list[Owner]:
        """Return who else holds a fresh lease of this kind here (only those who came `earlier`), the oldest first.

        Leases that are stale, or of a process of this machine that is gone, do not count, and are removed.
        """
        try:
            entries = {entry.path: entry for entry in self.place.files(FOLDER)}
        except OSError:
            return []
        own = entries.pop(self._path, None)
        found = []
        for path, entry in sorted(entries.items()):
            if not path.startswith(f"{FOLDER}/{self._kind}-"):
                continue
            try:
                owner = self._read(path)
            except OSError:
                continue
            if owner is None or (own and own.modified - entry.modified > STALE) or _gone(owner):
                with contextlib.suppress(OSError):
                    self.place.delete(path)
            elif not earlier or path < self._path:
                found.append(owner)
        return found

    def _read(self, path: str) -> Owner | None:
        try:
            document = unseal(path, self.place.read(path))
            return Owner(_plain(document["host"]), int(document["pid"]), _plain(document["since"]))
        except (DamagedFileError, KeyError, TypeError, ValueError):
            return None


def _plain(text: object) -> str:
    """Return what another process wrote as a short text that is safe on a terminal."""
    return "".join(letter for letter in str(text) if letter.isprintable())[:100]


def _gone(owner: Owner) -> bool:
    """Whether the owner was a process of this machine and has ended."""
    if owner.host != socket.gethostname() or os.name == "nt":
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
