"""Telling that memory ran out: from an exception, and from what the operating system counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_SENTENCES = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|CU\w+_STATUS_ALLOC_FAILED|low on memory",
    re.IGNORECASE,
)

_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: Python's, PyTorch's (on a GPU, or its CPU allocator's), Ray's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError | OSError) and bool(_SENTENCES.search(str(error)))


def oom_kills(counters: tuple[Path, ...] = _COUNTERS) -> int:
    """Return how many processes of this machine (or container) the kernel has killed for memory; 0 where unknown."""
    return sum(number for path in counters for number in _counts(path))


def _counts(path: Path) -> Iterator[int]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.strip().isdecimal():
            yield int(number)
