"""What `plan` costs for about 10^6 tests: time and memory, beside its floors.

    uv run python benchmarks/plan_scale.py [--rounds 5] [--seeds 5] [--attacks 14] [--strengths 20]

The grid: 2 sources x 3 architectures x 2 balances x `seeds` models in both roles (60), `attacks` x `strengths` (280) on
the images of the surrogate's source: 1,008,000 tests beside the controls. Nothing is stored. Rounds are interleaved,
each in a process of its own, after one that warms caches (`starts.py`). The floors: the command on a grid of one model
and one attack, which imports and times the same networks; and the same number of sha256 of short texts, which an id of
each test would take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from starts import Cost, measured

GRID = """
name = "plan_scale"
task = "digits"
[models]
source = ["optdigits", "rendered"]
architecture = ["small_alexnet", "small_resnet", "small_vgg"]
balance = ["50/50", "20/80"]
seed = {seeds}
[images]
per_class = 100
source = "surrogate"
[training]
recipe = "small"
"""
ATTACK = '[[attacks]]\nname = "{name}"\nstrength = {strengths}\n'
NAMES = (
    "fgsm", "bim", "pgd", "mifgsm", "nifgsm", "difgsm", "tifgsm", "sifgsm", "vmifgsm", "vnifgsm", "emifgsm", "rfgsm",
    "admix", "ssa", "bsr", "sia", "gra", "pgn",
)  # fmt: skip
SMALLEST = GRID.replace("{seeds}", "[0]").replace('["optdigits", "rendered"]', '["optdigits"]').replace(', "20/80"', "")
HASHES = """
import hashlib, sys
for number in range(int(sys.argv[1])):
    hashlib.sha256(f"test|{number}|{number:020x}|".encode()).hexdigest()[:20]
"""
TOOL = "from dumb_bench.cli import main; main()"


def grid(seeds: int, attacks: int, strengths: int) -> str:
    """Return the text of the grid."""
    values = [round((number + 1) / (4 * strengths), 6) for number in range(strengths)]
    blocks = [ATTACK.format(name=name, strengths=values) for name in NAMES[:attacks]]
    return GRID.format(seeds=list(range(seeds))) + "".join(blocks)


def middle(costs: list[Cost]) -> str:
    """Return the medians, with the range of the CPU seconds."""
    cpu = [cost.cpu for cost in costs]
    wall, middle_cpu, memory, status = map(statistics.median, zip(*costs, strict=True))
    if status:
        raise SystemExit(f"a command failed: exit status {status:.0f}")
    return f"{wall:.2f} s, {middle_cpu:.2f} CPU-s [{min(cpu):.2f}, {max(cpu):.2f}], {memory:.2f} GB"


def main() -> None:
    """Write the grids, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--attacks", type=int, default=14, help=f"At most {len(NAMES)}.")
    parser.add_argument("--strengths", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        large, small = Path(scratch, "large.toml"), Path(scratch, "small.toml")
        large.write_text(grid(asked.seeds, asked.attacks, asked.strengths), encoding="utf-8")
        small.write_text(SMALLEST + ATTACK.format(name="fgsm", strengths=0.1), encoding="utf-8")
        command = ["-c", TOOL, "plan", str(large), "--results", scratch, "--json"]
        counts = json.loads(subprocess.run([sys.executable, *command], capture_output=True, check=True).stdout)
        commands = {
            "plan": command,
            "floor: plan of one test": ["-c", TOOL, "plan", str(small), "--results", scratch],
            "floor: ids by hashlib": ["-c", HASHES, str(counts["tests"] + counts["control_tests"])],
        }
        seen: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(asked.rounds + 1):
            for name, words in commands.items():
                cost = measured(*words, compiled=f"{scratch}/compiled")
                if number:
                    seen[name].append(cost)
    print(f"{counts['tests']:,} tests, {counts['control_tests']:,} of controls, {counts['units']:,} units")
    for name, costs in seen.items():
        print(f"{name:<24} {middle(costs)}")


if __name__ == "__main__":
    main()
