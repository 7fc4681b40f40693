"""The example package of an attack plugin: once installed it is listed, checked, planned, and its tests pass."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from minigrid import Ended, mini_grid

from dumb_bench.catalogue import Catalogue

PACKAGE = Path(__file__).resolve().parent.parent / "examples" / "attack_package"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]


def install(site: Path, version: str) -> None:
    """Write what an installer writes, from the package's own metadata; building a wheel would need a network."""
    shutil.copytree(PACKAGE / "my_attacks", site / "my_attacks", ignore=shutil.ignore_patterns("__pycache__"))
    info = site / f"my_attacks-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {version}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in PROJECT["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    install(folder, PROJECT["version"])
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_attacks"]:
        del sys.modules[name]


def test_it_is_listed_with_its_origin_and_passes_the_checks(site: Path, command: Callable[..., Ended]) -> None:
    rows = {row["name"]: row for row in json.loads(command("list", "attacks", "--json").out)}
    row = rows["smooth_fgsm"]
    assert (row["from"], row["usable"], row["targeted"]) == ("my-attacks 0.1.0", True, True)
    assert row["parameters"] == {"side": 3}
    checked = json.loads(command("check", "attack", "smooth_fgsm", "--json").out)
    verdicts = {check["check"]: check["verdict"] for check in checked}
    assert set(verdicts.values()) == {"passed", "skipped"}
    assert [verdicts[name] for name in ("path as single calls", "targeted as declared", "budget reached")] == [
        "passed", "passed", "passed"
    ]  # fmt: skip


def test_a_plan_may_name_it_and_a_new_version_makes_its_sets_anew(
    site: Path, tmp_path: Path, command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    grid = write(mini_grid(attacks='[[attacks]]\nname = "smooth_fgsm"\nstrength = [0.1, 0.2]\nparams = { side = 5 }\n'))
    first = json.loads(command("plan", grid, "--json").out)
    assert first["tests"] > 0 and first["refused"] == []
    refused = command("plan", write(grid.read_text().replace("side = 5", "side = 4"), "even.toml"))
    assert refused.code == 2 and "parameter 'side'" in refused.err
    before = Catalogue().resolve("attacks", "smooth_fgsm", {})
    shutil.rmtree(site)
    install(site, "0.2.0")
    after = Catalogue().resolve("attacks", "smooth_fgsm", {})
    assert (before.fingerprint, after.fingerprint) == ("my-attacks 0.1.0/1", "my-attacks 0.2.0/1")


def test_without_it_the_name_is_unknown(command: Callable[..., Ended]) -> None:
    ended = command("check", "attack", "smooth_fgsm")
    assert ended.code == 2 and "unknown attack 'smooth_fgsm'" in ended.err


def test_its_own_tests_pass_where_it_is_installed(site: Path, tmp_path: Path) -> None:
    shutil.copytree(PACKAGE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0 and "2 passed" in ended.stdout, ended.stdout + ended.stderr
