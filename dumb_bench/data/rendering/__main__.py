"""`python -m dumb_bench.data.rendering FILE` draws the images of the source `rendered` and writes FILE (npz)."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import PIL
import scipy
from PIL import features

from dumb_bench.data.base import SPLITS
from dumb_bench.data.rendering.draw import draw_all


def versions() -> tuple[str, ...]:
    """Return the libraries that the drawings depend on, as installed."""
    freetype = features.version("freetype2")
    return (
        f"numpy {np.__version__}",
        f"scipy {scipy.__version__}",
        f"pillow {PIL.__version__}",
        f"freetype {freetype}",
    )


def write(path: Path) -> None:
    """Write all drawings: counts (N, 8, 8), digit (N,), split (N,) as an index, font (N,), and the library versions."""
    drawings = draw_all()
    np.savez_compressed(
        path,
        counts=np.stack([drawing.counts for drawing in drawings]),
        digit=np.array([drawing.digit for drawing in drawings], dtype=np.uint8),
        split=np.array([SPLITS.index(drawing.split) for drawing in drawings], dtype=np.uint8),
        font=np.array([drawing.font for drawing in drawings]),
        versions=np.array(versions()),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    write(parser.parse_args().file)
