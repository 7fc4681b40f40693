"""Many loose parts become one sorted segment, many small segments one larger; nothing is lost or doubled by a crash.

The order is always: new tables, new manifest (now the units are there twice, and readers take them once), old files
away. Two compactions at once waste work, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from dumb_bench.store import parts, segments
from dumb_bench.store.batch import Batch, merge
from dumb_bench.store.place import Place
from dumb_bench.store.reader import Layout, Reader
from dumb_bench.store.segments import Manifest

MOST_UNITS = 20_000
"""Units in one segment at most: what a single damaged file can cost."""
MOST_BYTES = 64 * 2**20
MOST_ROWS = 100_000
"""Rows of one table in a segment at most, or what a merge holds in memory would be large: they compress well."""
FEW = 8
"""Small segments that are left alone."""
LEFTOVER_AGE = 86_400.0
"""Seconds after which files that no manifest names are taken for the leftovers of a crash."""


def compact(reader: Reader, minimum: int = 1) -> int:
    """Merge loose parts (if there are at least `minimum`), then small segments (if more than a few); return the parts
    merged.

    Raises:
        SchemaError: a newer version wrote a file.
        OSError: the place does not take a file; nothing is lost.
    """
    merged = reader.again(lambda: _merge_parts(reader, minimum))
    reader.again(lambda: _merge_segments(reader))
    _clean(reader.place)
    return merged


def _merge_parts(reader: Reader, minimum: int) -> int:
    layout = reader.layout()
    safe = _held_by_segments(reader, layout)
    for key in sorted(safe.intersection(layout.parts)):
        reader.place.delete(layout.parts[key])
    loose = sorted(key for key in layout.parts if key not in safe)
    if not loose or len(loose) < minimum:
        return 0
    merged = 0
    for chunk in _chunks(reader.units(layout.parts[key] for key in loose)):
        segments.write(reader.place, merge(chunk))
        for batch in chunk:
            reader.place.delete(parts.path_of(batch.keys[0]))
        merged += len(chunk)
    return merged


def _held_by_segments(reader: Reader, layout: Layout) -> set[str]:
    """Return the keys of loose parts that an intact segment holds, too (a crash, or a second writer)."""
    safe: set[str] = set()
    for manifest in layout.segments.values():
        if not layout.parts.keys().isdisjoint(manifest.keys) and reader.segment(manifest, {}, fresh=True):
            safe.update(manifest.keys)
    return safe


def _chunks(units: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Yield units in groups that make one segment each."""
    chunk: list[Batch] = []
    size = rows = 0
    for unit in units:
        chunk.append(unit)
        size += sum(table.nbytes for table in unit.tables.values())
        rows += max((table.num_rows for table in unit.tables.values()), default=0)
        if len(chunk) >= MOST_UNITS or rows >= MOST_ROWS or size >= 2 * MOST_BYTES:  # in memory it is larger
            yield chunk
            chunk, size, rows = [], 0, 0
    if chunk:
        yield chunk


def _merge_segments(reader: Reader) -> None:
    small = [entry for entry in reader.layout().segments.values() if _is_small(entry)]
    group = _group(small)
    if len(group) < 2:
        return
    found: list[Batch] = []
    taken: set[str] = set()
    old: list[Manifest] = []
    for manifest in group:
        batch = reader.segment(manifest, fresh=True)
        if batch:
            found.append(batch.only(set(batch.keys) - taken))
            taken.update(batch.keys)
            old.append(manifest)
    if len(old) < 2:
        return
    new = segments.write(reader.place, merge(found))
    for manifest in old:
        if manifest.id != new.id:
            for path in manifest.paths:
                reader.place.delete(path)
            reader.place.prune(f"{segments.FOLDER}/{manifest.id}")


def _is_small(manifest: Manifest) -> bool:
    return manifest.size < MOST_BYTES and len(manifest.keys) < MOST_UNITS and manifest.rows < MOST_ROWS


def _group(small: Sequence[Manifest]) -> list[Manifest]:
    """Return the segments to merge now: the smallest ones, each at most twice the sum of those before it.

    So a unit is rewritten a logarithmic number of times, whatever the number of compactions.
    """
    if len(small) <= FEW:
        return []
    group: list[Manifest] = []
    units = size = rows = 0
    for manifest in sorted(small, key=lambda entry: (entry.size, entry.id)):
        if group and len(group) > 1 and manifest.size > 2 * size:
            break
        units, size, rows = units + len(manifest.keys), size + manifest.size, rows + manifest.rows
        if units > MOST_UNITS or size > MOST_BYTES or rows > MOST_ROWS:
            break
        group.append(manifest)
    return group


def _clean(place: Place) -> None:
    """Delete the leftovers of crashes: tables of segments without a manifest, and temporary files."""
    found = place.files(segments.FOLDER)
    alive = {segment for entry in found if (segment := segments.id_of(entry.path))}
    limit = time.time() - LEFTOVER_AGE
    for entry in found:
        if entry.path.split("/")[1] not in alive and entry.modified < limit:
            place.delete(entry.path)
            place.prune(entry.path.rpartition("/")[0])
    place.sweep(LEFTOVER_AGE)
