"""One flipped bit anywhere in a finished store and its result folder: named as damage, or of no effect on any table.

`DUMB_BENCH_FLIPS=97 pytest tests/test_bit_flips.py -s` runs more of them and says where they fell.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from dumb_bench.errors import DamagedFileError, InputError
from dumb_bench.store.current import CurrentTables
from dumb_bench.store.schema import TABLES
from dumb_bench.store.status import check_folder
from dumb_bench.store.store import Store

FLIPS = int(os.environ.get("DUMB_BENCH_FLIPS", "16"))
STORED = ("tests", "predictions", "attacks", "models", "clean", "images")


@pytest.fixture(scope="module")
def whole(mini_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with every kind of file: segments, loose parts, weights, a failure, tables, plan, events."""
    folder = tmp_path_factory.mktemp("whole") / "runs"
    shutil.copytree(mini_run.parent, folder)
    store = Store.open(folder / ".store")
    for key in sorted(store.keys())[:4]:
        store.put(key, {name: table for name in STORED if (table := store.read(name, keys=[key])).num_rows})
    store.put_failure({"unit_key": "ab" * 10, "message": "why", "attempts": 1})
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def in_order(table: pa.Table) -> list[bytes]:
    return sorted(repr(row).encode() for row in table.to_pylist())


def stored(store: Store) -> dict[str, list[bytes]]:
    found = {name: in_order(table) for name, table in store.read_many(dict.fromkeys(STORED)).items()}
    return {**found, "failures": in_order(store.failures())}


def weights(store: Store, folder: Path) -> list[object]:
    """Return each artifact's content, or that it is damaged."""
    found: list[object] = []
    for path in sorted((folder / ".store" / "artifacts").glob("*/*")):
        try:
            found.append(store.get_artifact(path.name))
        except DamagedFileError as error:
            found.append(error.path)
    return found


def shown(folder: Path) -> dict[str, list[bytes]] | str:
    """Return what a reader of the results gets, or the error that stops it."""
    try:
        tables = CurrentTables(str(folder / "mini"))
        return {name: in_order(tables.read(name)) for name in TABLES}
    except (DamagedFileError, InputError) as error:
        return str(error)


def test_no_flipped_bit_is_silently_wrong_data(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [path.relative_to(whole) for path in files_of(whole) if path.parent != whole]  # not the grid file
    truth = Store.open(whole / ".store", create=False)
    units, contents, tables = stored(truth), weights(truth, whole), shown(whole)
    assert isinstance(tables, dict) and len(names) > 25 and check_folder(str(whole / "mini"))[0] == []
    verdicts: Counter[tuple[str, str]] = Counter()
    for seed in range(FLIPS):
        draw = random.Random(f"flip {seed}")
        name = draw.choice([path for path in names if (whole / path).stat().st_size])
        data = bytearray((whole / name).read_bytes())
        place = draw.randrange(len(data))
        data[place] ^= 1 << draw.randrange(8)
        copies = [tmp_path / f"{seed}-{purpose}" for purpose in ("check", "read", "show")]
        for copy in copies:
            shutil.copytree(whole, copy)
            (copy / name).write_bytes(data)
        about = f"seed {seed}: {name}, byte {place}"

        problems = check_folder(str(copies[0] / "mini"))[0]
        assert not problems or any(str(name).rpartition("/")[2] in line for line in problems), about
        store = Store.open(copies[1] / ".store", create=False)
        found, held = stored(store), weights(store, copies[1])
        silent = (found == units or store.damaged) and all(
            one == other or isinstance(one, str) for one, other in zip(held, contents, strict=True)
        )
        assert silent, about
        seen = shown(copies[2])
        assert seen == tables or isinstance(seen, str), about
        if not problems:
            assert (found, held, seen) == (units, contents, tables), about
        verdicts[str(name.parts[1] if name.parts[0] == ".store" else name), "named" if problems else "harmless"] += 1
        for copy in copies:
            shutil.rmtree(copy)
    assert sum(number for (_, verdict), number in verdicts.items() if verdict == "named") > FLIPS / 2
    with capsys.disabled():
        for (where, verdict), number in sorted(verdicts.items()) if FLIPS > 16 else ():
            sys.stdout.write(f"{number:4} {verdict:9} {where}\n")
