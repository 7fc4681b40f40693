"""Two sources of a task of one's own, read from a folder: MY_IMAGES/<source>/<split>/<class>/*.png."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from dumb_bench.data.base import Split, source
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError

SHAPES = Task("shapes", ("disc", "square"), (3, 32, 32), "discs against squares")


def read(origin, split):
    """Return one split of one origin: images (N, 3, 32, 32) uint8, labels (N,) int64, ids (N,)."""
    folder = Path(os.environ.get("MY_IMAGES", "my_images")).absolute() / origin / split
    images, labels, ids = [], [], []
    for label, name in enumerate(SHAPES.classes):
        for path in sorted((folder / name).glob("*.png")):
            with Image.open(path) as opened:
                picture = opened.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC)
            images.append(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1))
            labels.append(label)
            ids.append(f"{origin}/{split}/{name}/{path.name}")
    if not images:
        raise InputError(f"{folder}: no PNG files here; set MY_IMAGES to the folder that holds {origin}/")
    return Split(np.stack(images), np.array(labels, dtype=np.int64), tuple(ids))


@source("my_scans", tasks=(SHAPES,), origin="own scans")
def my_scans(task, split, *, root=None, download=False):
    """Shapes on paper, scanned."""
    return read("scans", split)


@source("my_screens", tasks=(SHAPES,), origin="own screenshots")
def my_screens(task, split, *, root=None, download=False):
    """Shapes drawn on a screen."""
    return read("screens", split)
