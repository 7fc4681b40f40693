"""The executor on Ray: equal tables, a killed driver, plugins that break in every way. Each test starts a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from minigrid import BLUR, FGSM, mini_grid
from test_runner_serial import assert_same_tables, frame

SCRIPT = Path(sys.executable).parent / "dumb-bench"

PLUGINS = """
import os

from dumb_bench.attacks.base import attack


@attack("raises")
def raises(surrogate, images, labels, strength, *, generator, targets=None):
    raise RuntimeError("the attack's own reason")


@attack("exits")
def exits(surrogate, images, labels, strength, *, generator, targets=None):
    os._exit(7)


@attack("not_a_number")
def not_a_number(surrogate, images, labels, strength, *, generator, targets=None):
    return images * float("nan")


@attack("too_far")
def too_far(surrogate, images, labels, strength, *, generator, targets=None):
    return images + 3 * strength
"""


def start(results: Path, text: str, *more: str) -> subprocess.Popen[str]:
    grid = results.parent / f"{results.name}.toml"
    grid.parent.mkdir(parents=True, exist_ok=True)
    grid.write_text(text)
    command = [str(SCRIPT), "run", str(grid), "--results", str(results), "--no-report", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(results: Path, text: str, *more: str) -> tuple[int, str]:
    process = start(results, text, *more)
    try:
        out, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    return process.returncode, out


@pytest.mark.parametrize("slots", ["1", "2"])
def test_ray_gives_the_tables_of_the_serial_run(slots: str, mini_run: Path, tmp_path: Path) -> None:
    code, out = run(tmp_path / "mini", mini_grid(), "--slots", slots)
    assert code == 0, out
    assert_same_tables(mini_run, tmp_path / "mini")


def test_a_killed_driver_loses_nothing_and_the_tables_are_those_of_an_uninterrupted_run(
    mini_run: Path, tmp_path: Path
) -> None:
    results, parts = tmp_path / "mini", tmp_path / ".store" / "parts"
    process = start(results, mini_grid(), "--slots", "2")
    deadline = time.monotonic() + 200
    while process.poll() is None and len(list(parts.rglob("*.part"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finished = len(list(parts.rglob("*.part")))
    assert finished >= 4
    assert not (results / "tables" / "tests").exists()
    code, out = run(results, mini_grid(), "--slots", "2")
    assert code == 0, out
    assert "nothing to do" not in out
    assert_same_tables(mini_run, results)


def test_an_interrupted_run_ends_with_130_and_goes_on(mini_run: Path, tmp_path: Path) -> None:
    results, parts = tmp_path / "mini", tmp_path / ".store" / "parts"
    process = start(results, mini_grid(), "--address", "serial")
    deadline = time.monotonic() + 200
    while process.poll() is None and len(list(parts.rglob("*.part"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 130, out
    assert "the same command goes on from here" in out
    code, out = run(results, mini_grid(), "--address", "serial")
    assert code == 0, out
    assert_same_tables(mini_run, results)


def test_plugins_that_break_lose_only_their_own_tests(mini_run: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(PLUGINS)
    names = ("raises", "exits", "not_a_number", "too_far")
    attacks = FGSM + BLUR + "".join(f'[[attacks]]\nname = "{name}"\nstrength = 0.1\n' for name in names)
    text = mini_grid(attacks=attacks, image_source="surrogate")
    code, out = run(tmp_path / "mini", text, "--plugin", str(plugin), "--slots", "2")
    assert code == 3, out
    failures = frame(tmp_path / "mini", "failures")
    reasons = dict(list(failures.groupby("attack")))
    assert reasons.keys() == {"raises", "exits", "not_a_number"}
    assert all(len(part) == 2 for part in reasons.values())
    assert reasons["raises"].message.str.contains("the attack's own reason").all()
    assert reasons["raises"].traceback.str.contains("RuntimeError").all()
    assert reasons["not_a_number"].message.str.contains("NaN or infinite values in 20 of 20 images").all()
    assert reasons["exits"].error_type.eq("WorkerDied").all() and reasons["exits"].attempts.eq(3).all()
    assert failures.tests_missing.eq(2 * 2).all()  # 2 victims, with delta_swap
    tests = frame(tmp_path / "mini", "tests")
    assert set(tests.attack) == {"fgsm", "box_blur", "too_far", "identity", "sign_noise", "delta_swap"}
    violations = frame(tmp_path / "mini", "attacks")
    too_far = violations[violations.attack == "too_far"]
    assert too_far.budget_violation.round(6).eq(0.2).all()
    assert all(max(norms) <= 0.1 + 1e-6 for norms in too_far.linf)
    serial = frame(mini_run, "tests").set_index("test_id").drop(columns="unit_key")
    shared = tests.set_index("test_id").drop(columns="unit_key")
    shared = shared[shared.attack.isin(["fgsm", "box_blur", "identity"])]
    pd.testing.assert_frame_equal(shared, serial.loc[shared.index])

    again, out = run(tmp_path / "mini", text, "--plugin", str(plugin), "--slots", "2")
    assert again == 3 and "nothing done: what is missing has failed before" in out
    status = subprocess.run([SCRIPT, "status", tmp_path / "mini"], capture_output=True, text=True, check=True).stdout
    assert "failed: 6" in status and "the attack's own reason" in status

    plugin.write_text(PLUGINS.replace('raise RuntimeError("the attack\'s own reason")', "return images"))
    mended = mini_grid(attacks=FGSM + BLUR + '[[attacks]]\nname = "raises"\nstrength = 0.1\n', image_source="surrogate")
    code, out = run(tmp_path / "mini", mended, "--plugin", str(plugin), "--address", "serial")
    assert code == 0, out
    assert "2 attack" in out  # the two units of the edited plugin, and nothing else


@pytest.mark.parametrize("address, sentence", [
    ("127.0.0.1:1", "error: --address 127.0.0.1:1: no Ray cluster answers there"),
    ("nowhere", "error: --address: expected local, serial, auto or HOST:PORT, got 'nowhere'"),
])  # fmt: skip
def test_no_cluster_at_the_address_is_one_line(address: str, sentence: str, tmp_path: Path) -> None:
    code, out = run(tmp_path / "mini", mini_grid(), "--address", address)
    assert code == 2, out
    assert sentence in out
    assert "Traceback" not in out


def test_more_slots_than_the_machine_are_allowed_locally(mini_run: Path, tmp_path: Path) -> None:
    if (os.cpu_count() or 1) > 4:
        pytest.skip("needs a small machine to ask for more than it has")
    shutil.copytree(mini_run.parent, tmp_path / "runs")
    code, out = run(tmp_path / "runs" / "mini", mini_grid(), "--slots", "4")
    assert code == 0, out
