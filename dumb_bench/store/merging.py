"""Several result folders made one, self-contained: rows by id; one id with other content is refused, never chosen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dumb_bench.errors import InputError, shown
from dumb_bench.store.filesystem import LocalPlace, place_at
from dumb_bench.store.folders import COUNTED, Counts, Folder, mixed_protocol
from dumb_bench.store.ids import Bytes
from dumb_bench.store.joined import KEYS, Side
from dumb_bench.store.merged_plan import grid_texts, merged_plan
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.schema import TABLES
from dumb_bench.store.sealed import seal
from dumb_bench.store.sorting import fair_bounds
from dumb_bench.store.status import PLAN
from dumb_bench.store.unions import Difference, MergedModels, union

_SAMPLED = 16
"""One in so many keys tells how rows are spread: sorted pieces are cut into ranges by them."""


class Merged(NamedTuple):
    """What was merged: rows of each table, rows that several folders had, and what was taken from the first of them.

    kept: `table.column` -> rows in common that differ there (times, hosts, versions). mixed: lines on the protocol.
    """

    rows: dict[str, int]
    common: dict[str, int]
    kept: dict[str, int]
    mixed: list[str]


def merge_folders(uris: list[str], out: str) -> Merged:
    """Write the union of result folders into a new one. Everything is compared before anything is written.

    Raises:
        InputError: fewer than two folders, `out` is not empty, or two folders have one id with other content: each
            table's first such row is named.
        DamagedFileError: a file of a folder is torn or altered.
    """
    if len(uris) < 2:
        raise InputError("merge: expected two result folders or more")
    _refuse_taken(out)
    folders = [Folder(uri) for uri in uris]
    counts, common = Counts(), dict.fromkeys(TABLES, 0)
    kept: dict[str, int] = {}
    bounds: dict[str, Bytes] = {}
    faults: list[str] = []
    for name in TABLES:
        seen = [(MergedModels if name == "models" else Difference)(name) for _ in folders[1:]]
        keys = []
        for side in _united(name, folders, seen):
            counts.add(name, side.rows)
            keys.append(side.keys[::_SAMPLED])
        if len(KEYS[name]) == 1 and any(map(len, keys)):
            bounds[name] = fair_bounds(np.concatenate(keys))
        common[name] = sum(difference.common for difference in seen)
        faults += _faults(folders, seen)
        for difference in seen:
            for column, rows in difference.columns.items():
                kept[f"{name}.{column}"] = kept.get(f"{name}.{column}", 0) + rows
    if faults:
        raise InputError("\n".join(faults))
    planned = {key: counts.rows[key] + sum(folder.missing[key] for folder in folders) for key in COUNTED}
    plan = merged_plan(folders, planned)
    folder = ResultFolder.open(out)
    texts = grid_texts(folders, plan["name"])
    for path, text in texts.items():
        folder.write_text(path, text)
    tables = {name: _rows(_united(name, folders)) for name in TABLES}
    folder.write_tables(tables, plan_digest=plan["digest"], bounds=bounds)
    folder.place.write(PLAN, seal({**plan, "files": _hashes(texts)}))
    return Merged(folder.rows(), common, kept, mixed_protocol(folders))


def _refuse_taken(out: str) -> None:
    try:
        place = place_at(out, create=False)
    except InputError:
        return
    held = (
        bool(os.listdir(place.root)) if isinstance(place, LocalPlace) else place.names("tables") or place.exists(PLAN)
    )
    if held:
        raise InputError(f"{place.name}: is not empty; expected a new folder for the merged results")


def _united(name: str, folders: list[Folder], seen: list[Difference] | None = None) -> Iterator[Side]:
    """Yield the union of a table of all folders; with `seen` (one a folder after the first), note what differs."""
    noted = seen is not None
    first, *others = folders
    left = first.sides(name, count=noted)
    lacking = first.lacking(name)
    for place, folder in enumerate(others):
        own = folder.lacking(name)
        difference = seen[place] if seen is not None else None
        right = folder.sides(name, count=noted)
        left = union(name, left, right, seen=difference, skipped=frozenset(lacking | own))
        lacking &= own
    return left


def _rows(sides: Iterator[Side]) -> Iterator[pa.Table]:
    for side in sides:
        yield side.rows


def _faults(folders: list[Folder], seen: list[Difference]) -> list[str]:
    """Return a sentence for each folder that contradicts those before it."""
    found = []
    for place, difference in enumerate(seen, 1):
        fault = difference.conflict
        if fault is None:
            continue
        before = " + ".join(folder.name for folder in folders[:place])
        more = f" ({difference.conflicts:,} such rows in all)" if difference.conflicts > 1 else ""
        found.append(
            f"{difference.name} {fault.key}: {fault.column} is {shown(fault.first)} in {before} and "
            f"{shown(fault.second)} in {folders[place].name}{more}; nothing was merged"
        )
    return found


def _hashes(texts: dict[str, str]) -> dict[str, str]:
    import hashlib

    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
