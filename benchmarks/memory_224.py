"""Memory at 224 pixels: one surrogate against the 24 victims of DUMB, a real run on Ray with one slot.

    uv run python benchmarks/memory_224.py [--numerics exact fast] [--per-class 64] [--surrogate vgg11_bn]

The images are noise in DUMB's layout (300 x 300 pixels), the networks alexnet, resnet18 and vgg11_bn in full size,
trained for one epoch on a few images: memory does not depend on what they learned. Peaks of the driver's and of the
slot's resident memory (and of what it shares with nobody), sampled five times a second, by kind of unit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

GRID = """
name = "memory_{numerics}"
task = "cat_dog"
numerics = "{numerics}"
[models]
source = [{{ name = "folder", origin = "bing" }}, {{ name = "folder", origin = "google" }}]
architecture = ["alexnet", "resnet18", "vgg11_bn"]
balance = ["50/50", "40/60", "30/70", "20/80"]
[surrogates]
source = [{{ name = "folder", origin = "bing" }}]
architecture = ["{surrogate}"]
balance = ["50/50"]
[images]
per_class = {per_class}
[training]
recipe = {{ name = "dumb_2023", epochs = 1, batch = 16 }}
[[attacks]]
name = "pgd"
strength = "8/255"
params = {{ steps = 2 }}
"""
SPLITS = {"train": 16, "val": 8}


def write_images(folder: Path, per_class: int) -> None:
    """Write JPEG files of noise in the layout of DUMB."""
    generator = np.random.default_rng(0)
    for origin in ("bing", "google"):
        for split, count in {**SPLITS, "test": per_class}.items():
            for name in ("cat", "dog"):
                place = folder / "cat_dog" / origin / split / name
                place.mkdir(parents=True)
                for number in range(count):
                    small = generator.integers(0, 256, (30, 30, 3), dtype=np.uint8)
                    Image.fromarray(small).resize((300, 300)).save(place / f"{name}_{number:04d}.jpg")


def watch(run: psutil.Popen, results: Path) -> dict[str, dict[str, float]]:
    """Return the peaks in GB: of driver and slot, resident and unshared, over all and by kind of unit."""
    peaks: dict[str, dict[str, float]] = {"driver": defaultdict(float), "slot": defaultdict(float)}
    while run.poll() is None:
        kind = _running(results)
        for process in [run, *run.children(recursive=True)]:
            try:
                name = " ".join(process.cmdline())
                role = "driver" if process.pid == run.pid else "slot" if name.startswith("ray::") else ""
                if role:
                    memory = process.memory_full_info()
                    for key, value in (("resident", memory.rss), ("unshared", memory.uss), (kind, memory.rss)):
                        peaks[role][key] = max(peaks[role][key], value / 1e9)
            except psutil.Error:
                continue
        time.sleep(0.2)
    return peaks


def _running(results: Path) -> str:
    """Return the kind of the unit that runs."""
    try:
        lines = (results / "events.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in lines[-20:]]
    except (OSError, ValueError):
        return "start"
    kinds = [event["kind"] for event in events if event.get("event") == "unit_started"]
    return str(kinds[-1]) if kinds else "start"


def main() -> None:
    """Run the grid under each numerics and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numerics", nargs="+", default=["exact", "fast"])
    parser.add_argument("--per-class", type=int, default=64)
    parser.add_argument("--surrogate", default="vgg11_bn")
    options = parser.parse_args()
    tool = Path(sys.executable).with_name("dumb-bench")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "data", options.per_class)
        for numerics in options.numerics:
            grid = folder / f"{numerics}.toml"
            grid.write_text(GRID.format(numerics=numerics, per_class=options.per_class, surrogate=options.surrogate))
            results = folder / f"results_{numerics}"
            command = [str(tool), "run", str(grid), "--data", str(folder / "data"), "--results", str(results)]
            command += ["--store", str(folder / "store"), "--slots", "1", "--no-report"]
            started = time.monotonic()
            with (folder / "log").open("w") as log:
                run = psutil.Popen(command, stdout=log, stderr=log)
                peaks = watch(run, results)
            if run.wait():
                raise SystemExit((folder / "log").read_text())
            print(f"{numerics}, surrogate {options.surrogate}: {time.monotonic() - started:.0f} s")
            for role, found in peaks.items():
                print(f"  {role:7}", ", ".join(f"{key} {value:.2f} GB" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
