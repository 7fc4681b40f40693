"""What happened when, one JSON object a line: `events.jsonl` in a folder, numbered files in `events/` of a bucket."""

from __future__ import annotations

import json
import os
import secrets
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from dumb_bench.redaction import without_secrets
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.place import Place

FILE = "events.jsonl"
FOLDER = "events"
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_EVERY = 60.0
_MOST = 1_000


class EventLog:
    """An append-only log; `append` is visible to readers at once (in a bucket: after a minute, or `flush`)."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._local = place.path(FILE) if isinstance(place, LocalPlace) else None
        self._pending: list[str] = []
        self._written = time.monotonic()
        self._number = 0
        # Names sort by time; the random end keeps two runs that start together apart.
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}"

    def append(self, event: str, **fields: Any) -> None:
        """Note an event with its UTC time. What JSON cannot hold is written as text. Raises OSError.

        A `message` is written without secrets.
        """
        if "message" in fields:
            fields["message"] = without_secrets(str(fields["message"]))
        self._pending.append(
            _line({"time": datetime.now(UTC).isoformat(timespec="microseconds"), "event": event, **fields})
        )
        waited = time.monotonic() - self._written
        if self._local is not None or len(self._pending) >= _MOST or waited >= _EVERY:
            self.flush()

    def flush(self) -> None:
        """Hand what is pending to the place. Raises OSError."""
        if not self._pending:
            return
        data = "".join(self._pending).encode()
        if self._local is not None:
            _append(str(self._local), data)
        else:
            self.place.write(f"{FOLDER}/{self._run}-{self._number:06d}.jsonl", data)
            self._number += 1
        self._pending.clear()
        self._written = time.monotonic()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flush()


def read_events(place: Place) -> list[dict[str, Any]]:
    """Return all events, oldest first; lines that are torn are skipped."""
    paths = [FILE] if place.exists(FILE) else []
    paths += sorted(path for path in place.names(FOLDER) if path.endswith(".jsonl"))
    found = []
    for line in b"\n".join(place.read(path) for path in paths).split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if (
            isinstance(event, dict)
            and {"event", "time"} <= event.keys()
            and all(isinstance(event.get(key, ""), str) for key in ("event", "time", "key", "unit"))
        ):
            found.append(event)
    return sorted(found, key=lambda event: str(event["time"]))  # files of two logs may overlap in time


def _append(path: str, data: bytes) -> None:
    """Append whole lines in one write; a line that a crash tore off before is closed first."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _FLAGS, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size:
            os.lseek(handle, size - 1, os.SEEK_SET)
            if os.read(handle, 1) != b"\n":
                data = b"\n" + data
        while data:
            data = data[os.write(handle, data) :]
    finally:
        os.close(handle)


def _line(event: dict[str, Any]) -> str:
    try:
        return json.dumps(event, default=str, allow_nan=False) + "\n"
    except (ValueError, TypeError):  # NaN, or keys that are no text
        return json.dumps({key: str(value) for key, value in event.items()}) + "\n"
