"""Runs under random faults on a cluster of two nodes, against one in peace; the tables must be equal bit for bit.

    uv run python benchmarks/fault_seeds.py --seeds 30 [--first 0]

Prints, for each seed, the faults that its run survived; exits with 1 if one did not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests" / name) for name in ("", "runner")]

from fault_cluster import PLANTED, Scene, two_nodes
from test_runner_faults import check, grid_with, undisturbed


def main(seeds: range) -> int:
    """Run the seeds one after the other on one cluster; return how many did not survive."""
    lost = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quiet = {plant: undisturbed(folder / plant, plant) for plant in PLANTED}
        with two_nodes(folder / "cluster") as cluster:
            for seed in seeds:
                plant, started = sorted(PLANTED)[seed % 2], time.monotonic()
                scene = Scene(folder / f"seed-{seed}", seed, cluster, grid_with(plant))
                try:
                    code = scene.survive()
                    assert code == 3, f"exit code {code}\n{scene.output}"
                    check(scene, quiet[plant], plant)
                    verdict = "survived"
                except Exception as error:
                    lost += 1
                    verdict = f"LOST ({type(error).__name__}: {error})\n{scene.output}"
                faults = ", ".join([*scene.faults, f"{plant} planted", "no memory twice"])
                print(f"seed {seed}: {faults}: {verdict} ({time.monotonic() - started:.0f} s)", flush=True)
    return lost


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    raise SystemExit(main(range(asked.first, asked.first + asked.seeds)) > 0)
