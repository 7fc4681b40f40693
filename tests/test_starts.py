"""What the start of a command imports: counted in modules, not in seconds (those: `benchmarks/starts.py`)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "ray", "matplotlib", "pandas", "scipy", "sklearn")

PROBE = """
import json, sys
from dumb_bench.cli import main
seen, commands, heavy = [], *map(json.loads, sys.argv[1:])
for words in commands:
    sys.argv = ["dumb-bench", *words.split()]
    try:
        main()
    except SystemExit as end:
        seen.append([words, end.code or 0, [name for name in heavy if name in sys.modules]])
print("SEEN" + json.dumps(seen))
"""


def imported(*commands):
    """Run commands one after the other in one process; return (command, exit code, heavy modules so far)."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, json.dumps(commands), json.dumps(HEAVY)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.rpartition("SEEN")[2])


def test_commands_that_describe_import_no_heavy_library_until_one_needs_it():
    light = ("--help", "list figures", "list sources", "list tasks", "status results/example",
             "check results results/example")  # fmt: skip
    heavy = "list deliveries"
    found = imported(*light, heavy)
    assert found[:-1] == [[words, 0, []] for words in light]
    assert found[-1][:2] == [heavy, 0] and "torch" in found[-1][2], "the probe sees what is imported"


def test_the_benchmark_names_commands_that_there_are_and_modules_that_can_be_imported():
    import importlib.util

    from starts import COMMANDS

    from dumb_bench.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    for command in COMMANDS:
        first = command.words.partition(" ")[0]
        assert first in {*known, "--help", ""}, command
        assert all(importlib.util.find_spec(name.partition(".")[0]) for name in command.needs.split()), command


def test_a_failing_command_is_measured_with_its_exit_code():
    from starts import measured

    cost = measured("-c", "raise SystemExit(7)")
    assert cost.status == 7 and cost.cpu > 0 and cost.wall > 0 and cost.memory > 0


def test_modules_are_compiled_once_into_the_folder_that_is_named(tmp_path, monkeypatch):
    from starts import measured

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    measured("-c", "import dumb_bench.errors")
    assert not list(tmp_path.iterdir())
    measured("-c", "import dumb_bench.errors", compiled=str(tmp_path))
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("errors*.pyc")] == ["errors"]


@pytest.mark.parametrize(("values", "text"), [([3.0, 1.0, 2.0], "2.00 [1.00, 3.00]"), ([0.5], "0.50 [0.50, 0.50]")])
def test_spread_is_median_and_range(values, text):
    from starts import spread

    assert spread(values) == text
