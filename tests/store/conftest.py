"""Units and places for the tests of the store."""

from __future__ import annotations

import random
from collections.abc import Callable

import pyarrow as pa
import pytest
from pyarrow import fs

from dumb_bench.store.objects import ObjectPlace
from dumb_bench.store.ordering import SORT_KEYS
from dumb_bench.store.rows import as_table

Unit = tuple[str, dict[str, pa.Table]]
IMAGES = 6


def make_unit(number: int, rows: int = 3) -> Unit:
    """Return unit `number`: the same number, the same unit."""
    draw = random.Random(number)
    key = f"{draw.getrandbits(80):020x}"
    tests, predictions, images = [], [], []
    for row in range(rows):
        test = f"{key}-{row}"
        tests.append({"test_id": test, "unit_key": key, "attack": "fgsm", "strength": row / 255, "n_images": IMAGES})
        tests[-1] |= {"class_images": [3, 3], "white_box": bool(row % 2), "asr": None if row == 0 else draw.random()}
        labels = [draw.randrange(3) for _ in range(IMAGES)]
        predictions.append({"test_id": test, "predictions": labels, "margins": [draw.gauss(0, 1) for _ in labels]})
    for index in range(IMAGES):
        source = ("stl10", "pets")[number % 2]
        images.append({"unit_key": key, "task": "cat_dog", "image_source": source, "index": index, "label": index % 2})
    images.append(images[0])  # distinct rows are what a reader gets
    named = {"tests": tests, "predictions": predictions, "images": images}
    return key, {name: as_table(name, content) for name, content in named.items()}


def canonical_rows(name: str, table: pa.Table) -> list[dict[str, object]]:
    """Return rows in one order, to compare tables whose order is not specified."""
    return table.sort_by([(key, "ascending") for key in SORT_KEYS[name]]).to_pylist()


@pytest.fixture(scope="session")
def unit() -> Callable[..., Unit]:
    """Make a unit by number."""
    return make_unit


@pytest.fixture(scope="session")
def rows_of() -> Callable[[str, pa.Table], list[dict[str, object]]]:
    """List a table's rows in one order."""
    return canonical_rows


@pytest.fixture
def bucket() -> ObjectPlace:
    """An object store in memory, through the same code as `s3://`."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    memory.makedirs("/bucket/store")
    return ObjectPlace(fs.PyFileSystem(fs.FSSpecHandler(memory)), "bucket/store", "s3://bucket/store")


def altered(data: bytes, draw: random.Random) -> bytes:
    """Return data with one to three bits flipped, or cut short, or with a run of zeros (a lost disk block)."""
    kind = draw.random()
    if kind < 0.15:
        return data[: draw.randrange(len(data))]
    broken = bytearray(data)
    if kind < 0.3:
        start = draw.randrange(len(data))
        broken[start : start + 512] = bytes(len(broken[start : start + 512]))
        return bytes(broken)
    for _ in range(draw.choice((1, 1, 2, 3))):
        broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(broken)


@pytest.fixture(scope="session")
def alter() -> Callable[[bytes, random.Random], bytes]:
    """Damage bytes at random."""
    return altered
