"""What a command did: its ending, its words, and every place on the disk that it changed."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

WRITES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "shutil.rmtree",
)
"""Audit events of changes to a folder's entries; a link named by them is changed itself, not what it points to."""

CACHES = ("__pycache__", "matplotlib", "fontconfig")
"""What Python and its libraries keep for themselves."""


PATIENCE = 240.0
"""Seconds that a command may take, on a machine that others use too."""


class Ended(NamedTuple):
    """How a command ended. fault: what must never be, None where all was well. seconds: wall time."""

    code: int
    out: str
    err: str
    fault: str | None
    seconds: float


class TooSlowError(BaseException):
    """A command took longer than its time."""


class Writes:
    """Every path that this process changes, as an audit hook sees it; there is one for the life of the process."""

    def __init__(self) -> None:
        self.watching = False
        self.seen: set[str] = set()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and self._changes(mode, flags):
                self.seen.add(os.path.realpath(os.fsdecode(path)))
        elif event in WRITES:
            for path in arguments[:2]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._note(os.fsdecode(path))

    @staticmethod
    def _changes(mode: Any, flags: Any) -> bool:
        if isinstance(mode, str):
            return any(letter in mode for letter in "wax+")
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def _note(self, path: str) -> None:
        self.seen.add(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Forget what was seen, and look meanwhile."""
        self.seen = set()
        self.watching = True
        try:
            yield
        finally:
            self.watching = False

    def outside(self, allowed: tuple[Path, ...]) -> list[str]:
        """Return the changed paths that lie in no allowed folder."""
        roots = tuple(f"{os.path.realpath(folder)}{os.sep}" for folder in allowed)
        return sorted(
            path
            for path in self.seen
            if not f"{path}{os.sep}".startswith((*roots, "/dev/null", "/dev/tty", "/proc/"))
            and not any(name in path for name in CACHES)
        )


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError after some seconds (in the main thread)."""

    def late(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def command(*arguments: object, codes: tuple[int, ...], seconds: float = PATIENCE) -> Ended:
    """Call the command line in this process; codes: the endings that are allowed."""
    from dumb_bench.cli import main

    return called(lambda: _main(main, arguments), codes, seconds)


def _main(main: Callable[[], None], arguments: tuple[object, ...]) -> int:
    before, sys.argv = sys.argv, ["dumb-bench", *map(str, arguments)]
    try:
        main()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1 if ending.code else 0
    finally:
        sys.argv = before
    return 0


def called(call: Callable[[], int], codes: tuple[int, ...], seconds: float) -> Ended:
    """Call something that returns an exit code; whatever it raises is a fault."""
    out, err = io.StringIO(), io.StringIO()
    code, fault = 1, None
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), limited(seconds):
            code = call()
    except TooSlowError:
        fault = f"not done after {seconds:g} s\n{traceback.format_exc()}"
    except BaseException:
        fault = traceback.format_exc()
    spent = time.perf_counter() - started
    words = err.getvalue()
    if fault is None and code not in codes:
        fault = f"exit code {code}: {words}"
    if fault is None and code == 2:
        fault = _bad_words(words)
    return Ended(code, out.getvalue(), words, fault, spent)


def _bad_words(words: str) -> str | None:
    """Return what is wrong with the lines that an exit with code 2 prints."""
    lines = words.rstrip("\n").split("\n")
    if not all(line.startswith("error: ") and len(line) > 8 for line in lines):
        return f"not lines that begin with `error:`: {words[:2000]!r}"
    odd = {letter for line in lines for letter in line if not letter.isprintable()}
    if odd:
        return f"letters in a message that a terminal may obey: {sorted(odd)}: {words[:2000]!r}"
    longest = max(map(len, lines))
    return f"a line of {longest} letters: {words[:300]!r}" if longest > 3_000 or len(lines) > 300 else None
