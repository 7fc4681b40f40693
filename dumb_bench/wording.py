"""Quantities as people read them."""

from __future__ import annotations


def printable(line: str, limit: int = 1000) -> str:
    """Return a line without what a terminal would obey (written as escapes), cut to `limit` characters."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line[:limit])
    return text if len(line) <= limit else f"{text[: limit - 3]}..."


def count_text(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def seconds_text(seconds: float) -> str:
    """Return a duration with two significant figures in its natural unit."""
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def bytes_text(size: float) -> str:
    """Return a size in bytes with its decimal unit."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"
