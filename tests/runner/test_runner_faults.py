"""Faults of workers, nodes, driver, files and store on a cluster of two nodes: the tables are those of a quiet run.

uv run pytest tests/runner/test_runner_faults.py -m slow          # DUMB_BENCH_FAULT_SEEDS=N for more than one seed
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fault_cluster import PLANTED, PLUGIN, PROFILE, Scene, two_nodes
from minigrid import BLUR, FGSM, Quiet, mini_grid
from test_runner_serial import frame, values

from dumb_bench.runner.attempts import WORKER_DIED
from dumb_bench.store.ordering import VOLATILE

SEEDS = int(os.environ.get("DUMB_BENCH_FAULT_SEEDS", "1"))

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def grid_with(plant: str) -> str:
    planted = "".join(f'[[attacks]]\nname = "{name}"\nstrength = 0.1\n' for name in (plant, "hungry"))
    return mini_grid(sources='["optdigits"]', seeds="[0, 1]", image_source="surrogate", attacks=FGSM + BLUR + planted)


def undisturbed(folder: Path, plant: str) -> Path:
    """The tables of a serial run in this process in which what is planted is left out."""
    from dumb_bench.catalogue import Catalogue
    from dumb_bench.plugin_file import PluginFile
    from dumb_bench.runner.run import RunOptions, run_grid

    folder.mkdir(parents=True)
    (folder / "planted.py").write_text(PLUGIN)
    (folder / "grid.toml").write_text(grid_with(plant))
    catalogue = Catalogue((PluginFile.read(folder / "planted.py"),))
    options = RunOptions(results=str(folder / "mini"), store=str(folder / ".store"), address="serial")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FAULTS_FILE", raising=False)
        assert run_grid(folder / "grid.toml", catalogue, options, Quiet(), lambda line: None).exit_code == 3
    return folder / "mini"


def check(scene: Scene, quiet: Path, plant: str) -> None:
    """No test is lost or doubled, no value differs, and what failed is what was planted."""
    for name in ("images", "models", "attacks", "tests", "predictions"):
        assert values(scene.results, name, VOLATILE[name]) == values(quiet, name, VOLATILE[name]), name
    assert frame(scene.results, "tests").test_id.is_unique
    failures = frame(scene.results, "failures")
    assert set(failures.attack) == {plant}
    for row in failures.itertuples():  # a kill may hit the planted unit, too: then that is its last fault
        assert row.error_type == PLANTED[plant] or (
            row.error_type == WORKER_DIED and "worker killed" in scene.faults and f"{PLANTED[plant]} " in row.message
        ), row
    assert len(failures) == len(frame(quiet, "failures"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with two_nodes(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_tables_survive_every_fault(seed: int, cluster: Any, tmp_path: Path) -> None:
    plant = sorted(PLANTED)[seed % 2]
    quiet = undisturbed(tmp_path / "quiet", plant)
    scene = Scene(tmp_path / "faults", seed, cluster, grid_with(plant))
    assert scene.survive() == 3, scene.output
    check(scene, quiet, plant)


@pytest.mark.timeout(300)
def test_the_first_ctrl_c_lets_units_end_and_the_second_does_not(cluster: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path / "faults", 0, cluster, grid_with("hangs"))
    (scene.folder / "profile.toml").write_text("")  # nothing ends the hanging unit
    process = scene.start()
    deadline = time.monotonic() + 240
    while len(events(scene, "unit_started", "hangs")) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    (scene.folder / "profile.toml").write_text(PROFILE)
    begun = len(events(scene, "unit_started", ""))
    process = scene.start()
    while len(events(scene, "unit_started", "")) == begun and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert "the same command goes on from here" in (scene.folder / "output.txt").read_text()


def events(scene: Scene, kind: str, about: str) -> list[str]:
    log = scene.results / "events.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if f'"event": "{kind}"' in line and about in line]


@pytest.mark.parametrize("profile, why", [
    ('[train]\ncpus = 64\n', "kind 'train' needs 64 CPUs (the most that a node has is 1)"),
    ('[attack]\ngpus = 1\n', "kind 'attack' needs 1 GPUs (the most that a node has is 0)"),
    ('[default]\nmemory = "900 TB"\n', "needs 900.0 TB of memory (the most that a node has is"),
    ("slots = 3\n", "--slots 3: the cluster has room for 2"),
])  # fmt: skip
def test_what_no_node_holds_is_refused_at_once(profile: str, why: str, cluster: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path / "faults", 0, cluster, grid_with("exits"))
    (scene.folder / "profile.toml").write_text(profile)
    assert scene.start().wait(timeout=120) == 2
    out = (scene.folder / "output.txt").read_text()
    assert why in out and "Traceback" not in out


@pytest.mark.timeout(300)
def test_kinds_of_different_size_take_turns(cluster: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path / "faults", 0, cluster, mini_grid(sources='["optdigits"]', attacks=BLUR))
    (scene.folder / "profile.toml").write_text("[train]\ncpus = 0.5\n[attack]\ncpus = 0.75\n")
    assert scene.start().wait(timeout=240) == 0, (scene.folder / "output.txt").read_text()
    assert len(frame(scene.results, "tests")) == 2
