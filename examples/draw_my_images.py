"""Draw a toy data set for examples/my_data.py: `python examples/draw_my_images.py my_images`."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PER_CLASS = {"train": 60, "validation": 12, "tuning": 10, "test": 20}


def draw(generator, shape, origin):
    """Return one picture of 48 x 48 pixels: dark on paper for `scans`, bright on black for `screens`."""
    paper, ink = (225, 60) if origin == "scans" else (20, 230)
    picture = Image.new("RGB", (48, 48), (paper,) * 3)
    x, y, radius = generator.integers(18, 30), generator.integers(18, 30), generator.integers(9, 15)
    box = [int(x - radius), int(y - radius), int(x + radius), int(y + radius)]
    pencil = ImageDraw.Draw(picture)
    (pencil.ellipse if shape == "disc" else pencil.rectangle)(box, fill=(ink,) * 3)
    noisy = np.asarray(picture) + generator.normal(0, 12 if origin == "scans" else 3, (48, 48, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


root = Path(sys.argv[1])
generator = np.random.default_rng(0)
for origin in ("scans", "screens"):
    for split, count in PER_CLASS.items():
        for shape in ("disc", "square"):
            folder = root / origin / split / shape
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                draw(generator, shape, origin).save(folder / f"{number:03d}.png")
