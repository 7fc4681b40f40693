"""Memory at 224 pixels: one surrogate against the 24 victims of DUMB, a real run on Ray with one slot.

    uv run python benchmarks/memory_224.py [--numerics exact fast] [--per-class 64] [--folder DIR]

The images are noise in DUMB's layout (300 x 300 pixels), the networks alexnet, resnet18 and vgg11_bn in full size,
trained for one epoch on a few images: memory does not depend on what they learned. Then one vgg11_bn is trained as in
DUMB, in batches of 128. Peaks of the resident memory of driver and slot, sampled four times a second, by kind of
unit. --folder keeps data, store and results there, to go on later.
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
name = "fgsm"
strength = "8/255"
"""
TRAINING = """
name = "training"
task = "cat_dog"
[models]
source = { name = "folder", origin = "bing" }
architecture = "vgg11_bn"
[images]
per_class = 2
[training]
recipe = { name = "dumb_2023", epochs = 1 }
[[attacks]]
name = "box_blur"
strength = 1.0
"""


def write_images(folder: Path, sizes: dict[str, int]) -> None:
    """Write JPEG files of noise in the layout of DUMB, both origins, so many a class and split."""
    generator = np.random.default_rng(0)
    for origin in ("bing", "google"):
        for split, count in sizes.items():
            for name in ("cat", "dog"):
                place = folder / "cat_dog" / origin / split / name
                place.mkdir(parents=True)
                for number in range(count):
                    small = generator.integers(0, 256, (30, 30, 3), dtype=np.uint8)
                    Image.fromarray(small).resize((300, 300)).save(place / f"{name}_{number:04d}.jpg")


def watch(run: psutil.Popen, results: Path) -> dict[str, dict[str, float]]:
    """Return the peaks in GB of driver and slot, by kind of unit."""
    peaks: dict[str, dict[str, float]] = {"driver": defaultdict(float), "slot": defaultdict(float)}
    while run.poll() is None:
        kind = _running(results)
        for process in [run, *run.children(recursive=True)]:
            try:
                role = "driver" if process.pid == run.pid else "slot" if process.name().startswith("ray::") else ""
                if role:
                    size = process.memory_info().rss / 1e9
                    peaks[role]["all"] = max(peaks[role]["all"], size)
                    peaks[role][kind] = max(peaks[role][kind], size)
            except psutil.Error:
                continue
        time.sleep(0.25)
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


def measure(folder: Path, name: str, text: str, data: Path) -> None:
    """Run a grid and print the peaks."""
    grid, results = folder / f"{name}.toml", folder / f"results_{name}"
    grid.write_text(text)
    command = [str(Path(sys.executable).with_name("dumb-bench")), "run", str(grid), "--data", str(data)]
    command += ["--results", str(results), "--store", str(folder / "store"), "--slots", "1", "--no-report"]
    started = time.monotonic()
    with (folder / "log").open("w") as log:
        run = psutil.Popen(command, stdout=log, stderr=log)
        peaks = watch(run, results)
    if run.wait():
        raise SystemExit((folder / "log").read_text())
    print(f"{name}: {time.monotonic() - started:.0f} s")
    for role, found in peaks.items():
        print(f"  {role:7}", ", ".join(f"{key} {value:.2f} GB" for key, value in found.items()), flush=True)


def main() -> None:
    """Run the grid under each numerics, then train one network as DUMB does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numerics", nargs="*", default=["exact", "fast"])
    parser.add_argument("--per-class", type=int, default=64)
    parser.add_argument("--surrogate", default="vgg11_bn")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        if not (folder / "data").exists():
            write_images(folder / "data", {"train": 16, "val": 8, "test": options.per_class})
        if not (folder / "data_128").exists():
            write_images(folder / "data_128", {"train": 64, "val": 8, "test": 2})
        for numerics in options.numerics:
            text = GRID.format(numerics=numerics, per_class=options.per_class, surrogate=options.surrogate)
            measure(folder, numerics, text, folder / "data")
        measure(folder, "training", TRAINING, folder / "data_128")


if __name__ == "__main__":
    main()
