"""What a report of 10^6 tests costs: time, memory, and the bytes of a second run.

    uv run python benchmarks/report_scale.py [--rounds 3] [--tests 1000000] [--images 200] [--folder FOLDER]

A result folder is made through the public schema: every surrogate against every victim on the images of both sources,
19 attacks at three strengths beside noise of the same sizes and the unchanged images, with the victims' labels of every
image, and success drawn from a stated model (`RATE`: crossed effects of surrogate and victim, binomial images). In each
round the floor (pandas reading the columns of `tests` that a report needs) and the report run in processes of their
own. Printed: seconds of wall and CPU time and the largest resident size as medians [min, max], and whether all reports
are the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dumb_bench.case import case_of
from dumb_bench.report.load import COLUMNS
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.rows import as_table
from dumb_bench.store.sealed import seal

RATE = "0.45 - 0.12 [source] - 0.08 [architecture] + surrogate N(0, .05) + victim N(0, .05), times strength / 0.24"
SOURCES, ARCHITECTURES, BALANCES = ("optdigits", "rendered"), ("alexnet", "resnet18", "vgg11_bn"), ("50/50", "20/80")
STRENGTHS = (0.08, 0.16, 0.24)
ATTACKS = tuple(f"attack_{number:02d}" for number in range(19))


def models(first_seed: int, seeds: int) -> list[dict[str, Any]]:
    """Return the models of one role."""
    cells = itertools.product(SOURCES, ARCHITECTURES, BALANCES, range(first_seed, first_seed + seeds))
    plain = {
        "subset": "all", "init": "random", "balance_mode": "paper", "defence": "none", "posterior": "point",
        "samples": 1, "draw": 0, "recipe": "small", "params": "{}",
    }  # fmt: skip
    return [
        {**plain, "source": s, "architecture": a, "balance": b, "seed": n, "id": digest("model", s, a, b, n)}
        for s, a, b, n in cells
    ]


def digest(*parts: object) -> str:
    """Return an id."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def build(folder: Path, tests: int, images: int) -> int:
    """Write the result folder; return its rows of `tests`."""
    rng = np.random.default_rng(0)
    settings = [(name, s) for name in (*ATTACKS, "sign_noise") for s in STRENGTHS] + [("identity", None)]
    side = (tests / (len(settings) * len(SOURCES))) ** 0.5
    seeds = max(2, round(side / (len(SOURCES) * len(ARCHITECTURES) * len(BALANCES))))
    attackers, victims = models(0, seeds), models(1000, seeds)
    effects = [rng.normal(0, 0.05, len(group)) for group in (attackers, victims)]
    labels = rng.integers(0, 2, images)
    clean = {(v["id"], source): rng.random(images) < 0.95 for v in victims for source in SOURCES}
    pieces: dict[str, list[pa.Table]] = {"tests": [], "predictions": [], "attacks": []}
    for name, strength in settings:
        for source, (number, attacker) in itertools.product(SOURCES, enumerate(attackers)):
            free = name in ("sign_noise", "identity")
            made = digest(name, strength, source, "" if free else attacker["id"])
            first = not free or number == 0
            found = [
                scored(rng, name, strength, source, attacker, victim, clean[victim["id"], source], labels,
                       effects[0][number] + effect, made, free)
                for victim, effect in zip(victims, effects[1], strict=True)
            ]  # fmt: skip
            rows = [row for row, _ in found]
            if free:
                for row in rows:
                    row["copied"] = number > 0
                    row["scored_as"] = digest(made, row["victim_id"])
                    row["test_id"] = row["scored_as"] if first else digest(made, attacker["id"], row["victim_id"])
            pieces["tests"].append(as_table("tests", rows))
            if first:
                told = [(row["scored_as"], answer) for row, (_, answer) in zip(rows, found, strict=True)]
                listed = [{"test_id": key, "predictions": answer.tolist()} for key, answer in told]
                pieces["predictions"].append(as_table("predictions", listed))
                pieces["attacks"].append(as_table("attacks", [crafted(rng, rows[0], images, made, free, attacker)]))
    tables: dict[str, Any] = {name: iter(found) for name, found in pieces.items()}
    tables["models"] = as_table("models", [described(rng, model) for model in (*attackers, *victims)])
    tables["images"] = as_table("images", [
        {"task": "digits", "image_source": source, "split": "test", "index": i, "image_id": str(i), "label": int(label)}
        for source in SOURCES for i, label in enumerate(labels)
    ])  # fmt: skip
    rows_of_tests = sum(piece.num_rows for piece in pieces["tests"])
    ResultFolder.open(str(folder)).write_tables(tables, plan_digest="synthetic")
    (folder / "grid.toml").write_text('name = "report_scale"\n', encoding="utf-8")
    plan = {
        "name": "report_scale", "store": "", "digest": "synthetic", "deliveries": [], "margins": True, "models": {},
        "surrogates": {}, "groups": [], "sets": [], "image_units": [],
        "report": {"primary": "attack_00@0.24", "notes": [], "title": None, "description": RATE},
    }  # fmt: skip
    (folder / "plan.json").write_bytes(seal(plan))
    return rows_of_tests


def scored(
    rng: np.random.Generator, name: str, strength: float | None, source: str, attacker: dict[str, Any],
    victim: dict[str, Any], right: Any, labels: Any, effect: float, made: str, free: bool,
) -> tuple[dict[str, Any], Any]:  # fmt: skip
    """Return a row of `tests` and the victim's labels."""
    differs = {f"{key}_differs": attacker[key] != victim[key] for key in ("source", "architecture", "balance")}
    rate = 0.45 - 0.12 * differs["source_differs"] - 0.08 * differs["architecture_differs"] + effect
    rate = 0.0 if name == "identity" else 0.03 if free else rate * (strength or 0.0) / 0.24
    hit = right & (rng.random(len(labels)) < rate)
    answer = np.where(right & ~hit, labels, 1 - labels)
    keys = ("source", "subset", "architecture", "init", "balance", "balance_mode", "defence", "posterior", "samples",
            "draw", "recipe", "seed", "id", "params")  # fmt: skip
    by_class = [[int((mask & (labels == c)).sum()) for c in (0, 1)] for mask in (labels >= 0, right, hit)]
    row = {
        **{f"surrogate_{key}": attacker[key] for key in keys}, **{f"victim_{key}": victim[key] for key in keys},
        "surrogate_aggregation": "mean_logits", "surrogate_modifier": "none", "test_id": digest(made, victim["id"]),
        "scored_as": digest(made, victim["id"]), "attack_id": made, "task": "digits", "attack": name,
        "attack_params": "{}", "attack_library": "dumb_bench", "attack_seed": 0,
        "norm": None if name == "identity" else "linf", "strength": strength, "strength_rule": "grid",
        "targeted": False, "image_source": source, "delivery": "uint8", "defence_known": False,
        "case": case_of(**differs), "white_box": False, "shared_weights": 0.0, "n_images": len(labels),
        "n_victim_correct": int(right.sum()), "n_success": int(hit.sum()), "asr": float(hit.sum() / right.sum()),
        "class_images": by_class[0], "class_victim_correct": by_class[1], "class_success": by_class[2],
        "control": free, "copied": False, "numerics": "exact",
    }  # fmt: skip
    return row, answer.astype(np.int16)


def crafted(
    rng: np.random.Generator, row: dict[str, Any], images: int, made: str, free: bool, attacker: dict[str, Any]
) -> dict[str, Any]:
    """Return a row of `attacks`."""
    strength = row["strength"] or 0.0
    shared = ("task", "attack", "attack_params", "attack_library", "norm", "strength", "targeted", "image_source",
              "delivery", "n_images")  # fmt: skip
    norms = [strength] * images
    return {
        **{key: row[key] for key in shared}, "attack_id": made, "surrogate_id": None if free else attacker["id"],
        "strength_unit": "pixel", "linf": norms, "l2": norms, "linf_delivered": norms, "l2_delivered": norms,
        "mean_ssim": 1 - strength, "mean_l2_delivered": 10 * strength, "mean_linf_delivered": strength,
        "n_surrogate_correct": None if free else images, "n_surrogate_fooled": None if free else images - 2,
        "surrogate_predictions": None if free else rng.integers(0, 2, images).tolist(), "budget_violation": 0.0,
        "box_violation": 0.0, "forwards": 10 * images, "backwards": 0 if free else 10 * images, "seconds": 1.0,
        "library_versions": "{}", "hardware": "CPU", "finished_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip


def described(rng: np.random.Generator, model: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `models`."""
    accuracy = rng.uniform(0.9, 1.0, len(SOURCES)).tolist()
    kept = {key: value for key, value in model.items() if key != "id"}
    return {
        **kept, "model_id": model["id"], "task": "digits", "epochs": 10, "seconds": 2.0,
        "test_source": list(SOURCES), "test_delivery": ["uint8"] * len(SOURCES), "clean_accuracy": accuracy,
        "clean_f1": accuracy, "own_accuracy": max(accuracy), "library_versions": "{}", "hardware": "CPU",
        "finished_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip


FLOOR = """
import sys
import pandas as pd
pd.read_parquet(sys.argv[1] + "/tables/tests", columns=sys.argv[2].split(","))
"""


def measured(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and the largest resident size (GB) of a command."""
    start, process = time.perf_counter(), subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    process.returncode = 0
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every file of a folder and its sha256."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Build the folder, run floor and report, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=None, help="Where the results lie, and stay, afterwards.")
    parser.add_argument("--only-build", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = asked.folder or Path(scratch)
        if asked.only_build:
            print(f"{build(place / 'results', asked.tests, asked.images):,} tests")
            return
        if not (place / "results").exists():  # in a process of its own: a child's peak starts at its parent's size
            sizes = ["--tests", str(asked.tests), "--images", str(asked.images)]
            subprocess.run([sys.executable, __file__, *sizes, "--folder", str(place), "--only-build"], check=True)
        compare(place, asked.rounds)


def compare(place: Path, rounds: int) -> None:
    """Run floor and report in turn and print what they took."""
    floor = [sys.executable, "-c", FLOOR, str(place / "results"), ",".join(COLUMNS["tests"])]
    tool = [sys.executable, "-c", "from dumb_bench.cli import main; main()", "report", str(place / "results"), "--out"]
    taken: dict[str, list[tuple[float, float, float]]] = {"floor, pandas reads the columns of tests": [], "report": []}
    seen = []
    for number in range(rounds):
        page = place / f"report_{number}"
        for name, command in zip(taken, (floor, [*tool, str(page)]), strict=True):
            taken[name].append(measured(command))
        seen.append(dict(files(page)))
    for name, costs in taken.items():
        wall, cpu, peak = (middle(values) for values in zip(*costs, strict=True))
        print(f"{name}: {wall} s, {cpu} CPU-s, {peak} GB")
    times = [report[1] / floor[1] for floor, report in zip(*taken.values(), strict=True)]
    print(f"report / floor, CPU: {middle(times)}; {rounds} rounds")
    print(f"files: {len(seen[0])}, the same bytes each time: {all(each == seen[0] for each in seen)}")
    print(f"page: {(place / 'report_0' / 'index.html').stat().st_size / 1e6:.1f} MB")


def middle(values: Iterable[float]) -> str:
    """Return median and range."""
    found = sorted(values)
    return f"{statistics.median(found):.2f} [{found[0]:.2f}, {found[-1]:.2f}]"


if __name__ == "__main__":
    main()
