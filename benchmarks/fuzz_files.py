"""A finished small run, and damage to its files: of bytes, of names, of links, of contents under a valid seal."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from fuzz_grids import mutate, spoil

TINY = """
name = "tiny"
task = "digits"
[models]
source = "optdigits"
architecture = "small_alexnet"
[surrogates]
seed = 0
[victims]
seed = [0, 1]
[images]
per_class = 4
[training]
recipe = { name = "small", epochs = 1 }
[[attacks]]
name = "pgd"
strength = 0.1
params = { steps = 2 }
record_steps = 1
[[attacks]]
name = "fgsm"
tune = { ssim = 0.4, over = [0.1, 0.2], per_class = 4 }
[[attacks]]
name = "box_blur"
strength = 1.0
"""


class Quiet:
    """A watcher that says nothing."""

    def started(self, units: object) -> None: ...

    def ended(self, unit: object, outcome: object, failed: bool) -> None: ...

    def tick(self) -> None: ...


class Bases(NamedTuple):
    """Folders that each hold `runs/tiny` and `runs/.store`, by how the store is laid out."""

    folders: dict[str, Path]

    def copied(self, chance: random.Random, target: Path) -> Path:
        """Copy one of them to `target`; return its result folder."""
        shutil.copytree(self.folders[chance.choice(sorted(self.folders))], target)
        return target / "tiny"


def build(root: Path) -> Bases:
    """Run the tiny grid once; lay its store out in segments, in loose parts, and with units missing."""
    from dumb_bench.catalogue import Catalogue
    from dumb_bench.runner.run import RunOptions, run_grid
    from dumb_bench.store.batch import without_unit
    from dumb_bench.store.schema import STORED
    from dumb_bench.store.store import Store

    root.mkdir(parents=True, exist_ok=True)
    folders = {name: root / name for name in ("segments", "loose", "partial")}
    if all((folder / "tiny").is_dir() for folder in folders.values()):
        return Bases(folders)
    grid = root / "tiny.toml"
    grid.write_text(TINY)
    first = folders["segments"]
    options = RunOptions(results=str(first / "tiny"), store=str(first / ".store"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    store = Store.open(first / ".store")
    whole = store._reader.batches(None)[0]
    for name in ("loose", "partial"):
        shutil.copytree(first, folders[name])
        shutil.rmtree(folders[name] / ".store" / "segments")
        other = Store.open(folders[name] / ".store")
        for number, key in enumerate(whole.keys):
            if name == "partial" and number % 3 == 1:
                other.put_failure(_failure(key))
                continue
            rows = {table: whole.only([key]) for table in whole.tables}
            other.put(
                key,
                {
                    table: without_unit(table, [batch], STORED[table].names)
                    for table, batch in rows.items()
                    if batch.tables[table].num_rows
                },
            )
    assert _compacted(folders["partial"])
    return Bases(folders)


def _failure(key: str) -> dict[str, Any]:
    return {
        "unit_key": key, "kind": "attack", "unit": "planted", "subject": key, "error_type": "Planted",
        "message": "planted", "attempts": 1, "finished_at": "2020-01-01T00:00:00+00:00",
    }  # fmt: skip


def _compacted(folder: Path) -> dict[str, int]:
    from dumb_bench.store.status import compact_results

    return compact_results(str(folder / "tiny"))


def files_of(root: Path) -> list[Path]:
    """Return every file below a folder, sorted."""
    return sorted(Path(base) / name for base, _, names in os.walk(root) for name in names)


def damage(root: Path, outside: Path, chance: random.Random) -> list[str]:
    """Damage files below `root`; return how. `outside` holds a file that links may point to."""
    kinds = (
        _bits, _bits, _bytes, _cut, _swap, _gone, _rename, _stray, _link, _linked_folder, _garbage, _zip, _resealed,
        _resealed, _resealed, _reseated, _events, _folder,
    )  # fmt: skip
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        kind = chance.choice(kinds)
        kind(root, outside, chance)
        done.append(kind.__name__.removeprefix("_"))
    return done


def _any(root: Path, chance: random.Random, ending: str = "") -> Path:
    found = [path for path in files_of(root) if path.name.endswith(ending) and not path.is_symlink()]
    return chance.choice(found or [root / f"new{ending}"])


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _put(path: Path, data: bytes) -> None:
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _bits(root: Path, outside: Path, chance: random.Random) -> None:
    """Flip one bit, or a few."""
    path = _any(root, chance)
    data = bytearray(_content(path) or b"x")
    for _ in range(chance.choice((1, 1, 5))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    _put(path, bytes(data))


def _bytes(root: Path, outside: Path, chance: random.Random) -> None:
    path = _any(root, chance)
    _put(path, spoil(_content(path), chance))


def _cut(root: Path, outside: Path, chance: random.Random) -> None:
    path = _any(root, chance)
    data = _content(path)
    _put(path, data[: chance.choice((0, 1, len(data) // 2, max(0, len(data) - 1)))])


def _swap(root: Path, outside: Path, chance: random.Random) -> None:
    """Exchange two files, often of one kind."""
    one = _any(root, chance)
    other = _any(root, chance, one.suffix if chance.random() < 0.7 else "")
    first, second = _content(one), _content(other)
    _put(one, second)
    if chance.random() < 0.7:
        _put(other, first)


def _gone(root: Path, outside: Path, chance: random.Random) -> None:
    path = _any(root, chance)
    if chance.random() < 0.7:
        path.unlink(missing_ok=True)
    elif path.parent != root:
        shutil.rmtree(path.parent, ignore_errors=True)


NAMES = (
    "\u202e", "a\nb", "\x1b[31m", "-rf", ".hidden.tmp", "x" * 200, "manifest.json", "part-1.parquet", "meta.json",
    "\x7f",    "ü", "e\u0301", "a b", "..part", "%2e%2e", "plan.json", "C:", "a\\b", "store.json", ".part", "00.part",
    "ffffffff.part",    "deadbeefdeadbeef.part", "q.reason.json", "quarantine", "events.jsonl", "é" * 60,
)  # fmt: skip


def _rename(root: Path, outside: Path, chance: random.Random) -> None:
    path = _any(root, chance)
    target = path.with_name(chance.choice((*NAMES, path.name.upper(), path.name + ".0", path.name[:-1])))
    if path.is_file() and not target.exists() and target != path.parent:
        os.replace(path, target)


def _stray(root: Path, outside: Path, chance: random.Random) -> None:
    """Add a file that nobody wrote, in a folder that is there or not; a copy of another, or junk."""
    folder = chance.choice([path.parent for path in files_of(root)])
    if chance.random() < 0.3:
        folder = folder / chance.choice(NAMES)
    target = folder / chance.choice(NAMES)
    if any(part.is_file() for part in (folder, *folder.parents)) or target.exists():
        return
    try:
        _put(target, _content(_any(root, chance)) if chance.random() < 0.5 else chance.randbytes(50))
    except OSError:
        return


def _link(root: Path, outside: Path, chance: random.Random) -> None:
    """Put a symbolic link in a file's place: to outside, to nothing, to itself, to a folder."""
    path = _any(root, chance)
    if not path.is_file():
        return
    data = _content(path)
    path.unlink()
    match chance.randrange(5):
        case 0:
            path.symlink_to(outside / "nothing")
        case 1:
            path.symlink_to(path)
        case 2:
            path.symlink_to(outside)
        case 3:
            path.symlink_to(outside / "kept.txt")
        case _:
            (outside / "twin").write_bytes(data)
            path.symlink_to(outside / "twin")


def _linked_folder(root: Path, outside: Path, chance: random.Random) -> None:
    """Put a folder outside, and a link to it in its place; or a link where a folder will be made."""
    folder = chance.choice([path.parent for path in files_of(root)])
    if chance.random() < 0.4:
        folder = chance.choice((root / ".store", root / "tiny")) / chance.choice(
            ("quarantine", "staging", "failures", "parts")
        )
    if folder in (root, root / ".store", root / "tiny") or folder.is_symlink():
        return
    target = outside / "moved"
    shutil.rmtree(target, ignore_errors=True)
    if folder.is_dir():
        shutil.move(folder, target)
    elif folder.exists() or not folder.parent.is_dir():
        return
    else:
        target.mkdir()
    folder.symlink_to(target)


def _garbage(root: Path, outside: Path, chance: random.Random) -> None:
    path = _any(root, chance, chance.choice((".parquet", ".json", ".part", "")))
    junk = (
        b"PAR1" + chance.randbytes(60) + b"\x20\x00\x00\x00PAR1", b"PAR1PAR1", b"PK\x05\x06" + b"\0" * 18,
        b"[" * 100_000,
        b"{}", b"[]", b"null", b'"x"', b"1e999", b'{"seal": 1}', b'{"a":' * 5000, b"\xff" * 99, b"\0" * 10_000,
    )  # fmt: skip
    _put(path, chance.choice(junk))


def _zip(root: Path, outside: Path, chance: random.Random) -> None:
    """Write a part's zip again: compressed, with names that climb, doubled, or far larger than it looks."""
    path = _any(root, chance, ".part")
    stream = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in ("manifest.json", "../../evil.parquet", "/evil.parquet", "tests.parquet")[: chance.randint(1, 4)]:
            archive.writestr(name, chance.choice((b"{}", b"\0" * 3_000_000, b"PAR1")))
    _put(path, stream.getvalue())


def _sealed(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(_content(path))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "seal" in document else None


def _resealed(root: Path, outside: Path, chance: random.Random) -> None:
    """Change a sealed document, and seal it again: what a writer with bad intent, or another version, leaves."""
    from dumb_bench.store.sealed import seal

    found = [path for path in files_of(root) if path.suffix == ".json" and path.is_file()]
    named = [path for path in found if path.name == "plan.json"]
    path = chance.choice(named if named and chance.random() < 0.5 else found or [root / "tiny" / "plan.json"])
    document = _sealed(path)
    if document is None:
        return
    document.pop("seal")
    changed = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 2))):
        mutate(changed, chance)
    try:
        _put(path, seal(changed))
    except (ValueError, TypeError, RecursionError):
        return


def _reseated(root: Path, outside: Path, chance: random.Random) -> None:
    """Change a table, and the manifest with it: columns gone, of another type, renamed, rows doubled or none."""
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    from dumb_bench.store.sealed import seal

    path = (
        root
        / "tiny"
        / "tables"
        / chance.choice(("tests", "attacks", "models", "images", "tunings", "failures"))
        / "part-0.parquet"
    )
    manifest = root / "tiny" / "manifest.json"
    document = _sealed(manifest)
    if document is None or not path.is_file():
        return
    try:
        table = pq.read_table(io.BytesIO(_content(path)))
        name = chance.choice(table.column_names)
        match chance.randrange(6):
            case 0:
                table = table.drop_columns([name])
            case 1:
                table = table.slice(0, chance.choice((0, 1)))
            case 2:
                table = pa.concat_tables([table, table])
            case 3:
                table = table.set_column(
                    table.schema.get_field_index(name),
                    table.schema.field(name),
                    pa.nulls(len(table), table.schema.field(name).type),
                )
            case 4:
                table = table.set_column(table.schema.get_field_index(name), name, pa.array(["x"] * len(table)))
            case _:
                table = table.append_column("extra", pa.array([1] * len(table)))
        stream = io.BytesIO()
        pq.write_table(table, stream)
        document.pop("seal")
        entry = document["tables"][path.parent.name]
    except (pa.ArrowException, OSError, KeyError, TypeError):
        return
    data = stream.getvalue()
    entry |= {"rows": table.num_rows, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _put(path, data)
    _put(manifest, seal(document))


def _events(root: Path, outside: Path, chance: random.Random) -> None:
    """Add lines to the events that are JSON, but not what a run writes."""
    path = root / "tiny" / "events.jsonl"
    lines = []
    for line in _content(path).splitlines():
        with contextlib.suppress(ValueError, RecursionError):  # from an earlier damage of the same case
            lines.append(json.loads(line))
    lines = [event for event in lines if isinstance(event, dict)]
    event = copy.deepcopy(chance.choice(lines)) if lines else {"event": "unit_started"}
    mutate(event, chance)
    extra = chance.choice(
        (json.dumps(event, default=str).encode(), b'{"event":"unit_started"}',
         b'{"event":[]}', b"[" * 50_000, b'{"event":"unit_done"}',
         b'{"event":"unit_started","key":{},"unit":[]}', b'{"event":"x","time":{}}', b"\xff\xfe",
         b'{"event":"unit_started","key":"a","unit":1}')
    )  # fmt: skip
    _put(path, _content(path) + extra + b"\n")


def _folder(root: Path, outside: Path, chance: random.Random) -> None:
    """Put a folder in a file's place."""
    path = _any(root, chance)
    if path.is_file():
        path.unlink()
        path.mkdir()
        if chance.random() < 0.3:
            (path / "x").write_bytes(b"x")
