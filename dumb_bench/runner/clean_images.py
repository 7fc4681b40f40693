"""`dumb-bench images`: the clean images that a grid attacks as PNG files, for somebody else's code to work on."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.images import attacked_images
from dumb_bench.errors import InputError
from dumb_bench.external_set import INDEX, cell
from dumb_bench.grid_file import read_grid
from dumb_bench.runner.plan import build_plan
from dumb_bench.store.kept import to_png


def write_images(path: Path, catalogue: Catalogue, out: Path, max_tests: int) -> int:
    """Write the attacked images of all sources of a grid into a new folder, with an index; return how many.

    The files are 8-bit PNGs. `index.csv` has the columns file, task, image_source, index, image_id, label and
    clean_sha256: what `--set` needs to know which image a changed file was made of.

    Raises:
        InputError: the grid or its data are bad, or the folder holds files.
    """
    plan = build_plan(read_grid(path, catalogue)[0], catalogue, str(path), max_tests)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is not empty; name a new folder")
    lines: list[dict[str, object]] = []
    out.mkdir(parents=True, exist_ok=True)
    for number, images in enumerate(plan.image_sets):
        split = attacked_images(catalogue, images)
        for index, (levels, label, name) in enumerate(zip(split.images, split.labels, split.ids, strict=True)):
            file = f"{number}-{index:06d}.png"
            (out / file).write_bytes(to_png(levels[None]))
            lines.append(
                {
                    "file": file,
                    "task": images.task,
                    "image_source": cell(images.source.label),
                    "index": index,
                    "image_id": cell(name),
                    "label": int(label),
                    "clean_sha256": hashlib.sha256(levels.tobytes()).hexdigest(),
                }
            )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    (out / INDEX).write_text(text.getvalue(), encoding="utf-8")
    return len(lines)
