"""A folder of a few images in CIFAR-10's own format, and a source that reads it through torchvision's reader."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from dumb_bench.data.tasks import TASKS

FOLDER = "cifar-10-batches-py"
CLASSES = TASKS["cifar10"].classes
PER_CLASS = {"train": 8, "validation": 2, "tuning": 2, "test": 4}

PLUGIN = """
from torchvision.datasets import CIFAR10

from dumb_bench.data.base import source
from dumb_bench.data.cifar10 import read_split


class Tiny(CIFAR10):
    train_list = {train!r}
    test_list = {test!r}
    meta = {meta!r}
    url, tgz_md5 = {url!r}, {tgz_md5!r}


PER_CLASS = {per_class!r}
COUNTS = {{"cifar10": {{split: (count,) * 10 for split, count in PER_CLASS.items()}}}}


@source("tiny_cifar", tasks=("cifar10",), origin="test", counts={counts})
def tiny_cifar(task, split, *, root=None, download=False):
    \"\"\"A few images.\"\"\"
    return read_split(Tiny, split, root, PER_CLASS, download=download, name="tiny_cifar")
"""

GRID = """
name = "tiny"
task = "cifar10"
[models]
source = "tiny_cifar"
architecture = {architecture}
balance = "10/10/10/10/10/10/10/10/10/10"
[surrogates]
seed = [0, 1]
[victims]
seed = [100]
[images]
per_class = 2
[training]
recipe = {{ name = "gubri_cifar10_dnn", epochs = 1, lr = 1e-3 }}
[[attacks]]
name = "bim"
strength = "4/255"
params = {{ steps = 2, relative_step = 0.5 }}
tune = {{ over = ["2/255", "4/255"] }}
"""


def image(number: int, test: bool) -> np.ndarray:
    """The image (3, 32, 32) of a number: its rows, columns and channels can be told apart."""
    rows, columns = np.mgrid[:32, :32]
    return np.stack([rows + number, columns + number, rows * 2 + columns + 100 * test]).astype(np.uint8)


def label(number: int) -> int:
    """Classes come in turn, backwards."""
    return 9 - number % 10


def _batch(numbers: range, test: bool) -> bytes:
    data = np.stack([image(number, test).ravel() for number in numbers])
    return pickle.dumps({"data": data, "labels": [label(number) for number in numbers], "batch_label": "a batch"})


def write(root: Path) -> dict[str, str]:
    """Write two training batches, a test batch and the names below `root`; return the MD5 sum of each file."""
    count = 10 * sum(PER_CLASS[split] for split in ("train", "validation", "tuning"))
    files = {
        "data_batch_1": _batch(range(count // 3), False),
        "data_batch_2": _batch(range(count // 3, count), False),
        "test_batch": _batch(range(10 * PER_CLASS["test"]), True),
        "batches.meta": pickle.dumps({"label_names": list(CLASSES), "num_vis": 3072}),
    }
    (root / FOLDER).mkdir(parents=True)
    for name, data in files.items():
        (root / FOLDER / name).write_bytes(data)
    return {name: hashlib.md5(data).hexdigest() for name, data in files.items()}


def archive(root: Path, target: Path) -> str:
    """Pack the folder below `root` as CIFAR-10 is published; return the archive's MD5 sum."""
    with tarfile.open(target, "w:gz") as packed:
        packed.add(root / FOLDER, FOLDER)
    return hashlib.md5(target.read_bytes()).hexdigest()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Publish a folder at a URL of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def plugin(sums: dict[str, str], *, declared: bool = True, url: str = "", tgz_md5: str = "") -> str:
    """The text of a plugin file that reads such a folder."""
    train, test, meta = ([[name, sums[name]] for name in names] for names in (
        ("data_batch_1", "data_batch_2"), ("test_batch",), ("batches.meta",)
    ))  # fmt: skip
    ((name, md5),) = meta
    return PLUGIN.format(
        train=train, test=test, meta={"filename": name, "key": "label_names", "md5": md5}, url=url, tgz_md5=tgz_md5,
        per_class=PER_CLASS, counts="COUNTS" if declared else None,
    )  # fmt: skip
