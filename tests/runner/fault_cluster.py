"""A cluster of two nodes, a grid with planted faults, and everything that can be done to a run: for tests and seeds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

SCRIPT = Path(sys.executable).parent / "dumb-bench"

PLUGIN = """
import json
import os
import time

from dumb_bench.attacks.base import attack

FILE = os.environ.get("FAULTS_FILE", "")
FOLDER = json.load(open(FILE))["folder"] if FILE else ""


def planted(act):
    if not FOLDER:
        raise RuntimeError("planted: the undisturbed run leaves it out")
    act()


@attack("exits")
def exits(surrogate, images, labels, strength, *, generator, targets=None):
    planted(lambda: os._exit(7))


@attack("hangs")
def hangs(surrogate, images, labels, strength, *, generator, targets=None):
    planted(lambda: time.sleep(3600))


@attack("hungry")
def hungry(surrogate, images, labels, strength, *, generator, targets=None):
    for number in range(2 if FOLDER else 0):
        try:
            open(os.path.join(FOLDER, f"hungry-{number}"), "x").close()
        except FileExistsError:
            continue
        raise MemoryError("planted: no memory twice, then there is")
    return images * 0.9
"""

SITE = """
import json
import os
import random

REPLACE, CHANCE = os.replace, random.Random(os.getpid())


def replace(old, new, **more):
    if "/.store/" in str(new):
        with open(os.environ["FAULTS_FILE"]) as file:
            faults = json.load(file)
        if faults["writes"] and CHANCE.randrange(faults["writes"]) == 0:
            with open(os.path.join(faults["folder"], "write-errors"), "a") as log:
                log.write("x")
            raise OSError(5, "planted: the store does not take the file", str(new))
    return REPLACE(old, new, **more)


if "FAULTS_FILE" in os.environ:
    os.replace = replace
"""
"""A `sitecustomize` module: one write in so many into a store fails, in the driver and in every worker."""

PROFILE = '[attack]\ntimeout = "30 s"\n[default]\nmemory = "1 MB"\n'

PLANTED = {"exits": "WorkerDied", "hangs": "TimedOut"}


@contextmanager
def two_nodes(folder: Path) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster`: a head without CPUs, and two nodes with one CPU each."""
    (folder / "site").mkdir(parents=True, exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    from ray.cluster_utils import Cluster

    os.environ["FAULTS_FILE"] = str(folder / "faults.json")  # workers have the environment of their raylet
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), *([before] if before else [])])
    os.environ["RAY_AUTH_MODE"] = "disabled"  # this machine alone, and only while the cluster is up
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False},
    )
    try:
        for _ in range(2):
            add_node(cluster)
        yield cluster
    finally:
        cluster.shutdown()
        for name in ("PYTHONPATH", "FAULTS_FILE", "RAY_AUTH_MODE"):
            os.environ.pop(name)
        if before:
            os.environ["PYTHONPATH"] = before


def add_node(cluster: Any) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20, wait=False)


def workers(cluster: Any) -> list[int]:
    """The processes of slots: children of the raylets of this cluster."""
    raylets = {
        str(item.process.pid) for node in cluster.list_all_nodes() for item in node.all_processes.get("raylet", ())
    }
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdecimal() and (path / "stat").read_text().rpartition(")")[2].split()[1] in raylets:
                found += [int(path.name)] if b"Slot" in (path / "cmdline").read_bytes() else []
        except OSError:
            continue
    return found


def damage(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data))
    if chance.random() < 0.4:
        path.write_bytes(data[:place])
        return "file torn"
    data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return "bit flipped"


class Scene:
    """One seed: a grid, its results and store in a folder of its own, and the faults that it has survived."""

    def __init__(self, folder: Path, seed: int, cluster: Any, grid: str) -> None:
        self.folder, self.cluster = folder, cluster
        self.chance = random.Random(seed)
        self.results = folder / "mini"
        self.faults: list[str] = []
        self.output = ""
        folder.mkdir(parents=True)
        for name, text in (("grid.toml", grid), ("planted.py", PLUGIN), ("profile.toml", PROFILE)):
            (folder / name).write_text(text)

    def start(self, writes: int = 0) -> subprocess.Popen[bytes]:
        """Start the driver. writes: one write in so many fails; 0 = none."""
        told = Path(os.environ["FAULTS_FILE"])
        told.with_suffix(".new").write_text(json.dumps({"folder": str(self.folder), "writes": writes}))
        told.with_suffix(".new").replace(told)
        command = [SCRIPT, "run", "grid.toml", "--results", "mini", "--plugin", "planted.py", "--no-report"]
        more = ["--address", self.cluster.address, "--profile", "profile.toml", "--retry-errors", "OSError"]
        with (self.folder / "output.txt").open("ab") as out:
            return subprocess.Popen([*command, *more], cwd=self.folder, stdout=out, stderr=out)

    @property
    def parts(self) -> int:
        return len(list((self.folder / ".store" / "parts").rglob("*.part")))

    def torment(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Kill workers (twice at most: three times would be poison), take a node away, at last kill the driver."""
        last = self.chance.randint(2, 12)
        planned = self.chance.sample(["worker", "worker", "node", "driver"], self.chance.randint(2, 4))
        due = sorted((self.chance.randint(0, last), what) for what in planned if what != "driver")
        until = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < until:
            while due and self.parts >= due[0][0] and workers(self.cluster):
                self._strike(due.pop(0)[1])
            if "driver" in planned and not due and self.parts >= last:
                process.send_signal(signal.SIGKILL)
                self.faults.append("driver killed")
                break
            time.sleep(0.1)
        process.wait(timeout=60 if "driver" in planned else seconds)

    def _strike(self, what: str) -> None:
        if what == "worker":
            os.kill(self.chance.choice(workers(self.cluster)), signal.SIGKILL)
            self.faults.append("worker killed")
        else:
            node = self.chance.choice([node for node in self.cluster.list_all_nodes() if not node.head])
            self.cluster.remove_node(node, allow_graceful=self.chance.random() < 0.5)
            add_node(self.cluster)
            self.faults.append("node removed")

    def damage_files(self) -> None:
        store = self.folder / ".store"
        for _ in range(self.chance.randint(1, 2)):
            files = sorted(
                path for name in ("parts", "segments", "artifacts") for path in (store / name).rglob("*")
                if path.is_file() and path.stat().st_size and not path.name.endswith(".tmp")
            )  # fmt: skip
            if files:
                self.faults.append(damage(self.chance.choice(files), self.chance))

    def survive(self) -> int:
        """Run with faults, damage files, then run to the end; return the last exit code."""
        first = self.start(self.chance.choice([0, 5, 9]))
        try:
            self.torment(first, 400)
        finally:
            first.kill()
        self.damage_files()
        last = self.start()
        try:
            code = last.wait(timeout=400)
        finally:
            last.kill()
        log = self.folder / "write-errors"
        if log.exists():
            self.faults.append(f"{log.stat().st_size} writes failed")
        self.output = (self.folder / "output.txt").read_text(errors="replace")
        return code
