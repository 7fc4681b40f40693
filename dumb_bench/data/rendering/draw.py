"""How the images of the source `rendered` are drawn."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from dumb_bench.data.base import SPLITS
from dumb_bench.data.digits import CLASSES, FACTOR, PER_CLASS, SIDE, block_counts
from dumb_bench.seeding import derive_seed

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-BoldOblique", "DejaVuSans-Oblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic", "DejaVuSerif-Italic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralBolIta", "STIXGeneralItalic"),
    *("cmb10", "cmmi10", "cmr10", "cmss10", "cmti10"),
)
"""The fonts of matplotlib that have digits, but for the mono-spaced ones (whose zero is dotted)."""

BOX = SIDE * FACTOR
_EM, _MARGIN = 160, 40


class Drawing(NamedTuple):
    """One image: counts (8, 8) uint8 in 0..16, the digit, the split it is for, and the font's name."""

    counts: npt.NDArray[np.uint8]
    digit: int
    split: str
    font: str


class _Glyph(NamedTuple):
    """depth: signed distance to the outline, in em/160, positive inside. height, width: of the ink."""

    depth: npt.NDArray[np.float64]
    height: int
    width: int


@cache
def _glyph(font: str, digit: int) -> _Glyph:
    with as_file(files("matplotlib") / "mpl-data" / "fonts" / "ttf" / f"{font}.ttf") as path:
        face = ImageFont.truetype(str(path), _EM, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (3 * _EM, 3 * _EM))
    ImageDraw.Draw(canvas).text((_EM, _EM), str(digit), font=face, fill=255)
    ink = np.asarray(canvas.crop(canvas.getbbox())) >= 128
    padded = np.pad(ink, _MARGIN)
    depth = distance_transform_edt(padded) - distance_transform_edt(~padded)
    return _Glyph(depth, *ink.shape)


def _smooth(random: np.random.Generator, size: float, scale: float) -> npt.NDArray[np.float64]:
    """Return a smooth displacement field (2, 32, 32), each axis of standard deviation `size`, in px."""
    noise = random.standard_normal((2, BOX, BOX))
    field = np.stack([gaussian_filter(axis, scale, mode="wrap") for axis in noise])
    return np.asarray(size * field / field.std(axis=(1, 2), keepdims=True))


def bitmap(font: str, digit: int, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw a distorted digit: (32, 32) bool.

    The digit fills the height of the box, as optdigits' do. Random: size, aspect, rotation, slant, shift (affine), a
    smooth displacement (elastic), and how far from the outline the ink ends (stroke).
    """
    glyph = _glyph(font, digit)
    height = BOX * random.uniform(0.82, 1.0)
    width = min(glyph.width * height / glyph.height * random.uniform(0.85, 1.35), BOX * 0.95)
    angle, slant = np.deg2rad(random.uniform(-15, 15)), random.uniform(-0.3, 0.3)
    shift = random.uniform(-1.6, 1.6, size=(2, 1, 1))
    elastic = _smooth(random, random.uniform(0.3, 1.1), random.uniform(3.5, 6.0))
    stroke = random.uniform(-0.1, 1.0)

    grid = np.stack(np.meshgrid(np.arange(BOX), np.arange(BOX), indexing="ij")) - (BOX - 1) / 2
    down, across = grid - shift + elastic
    down, across = np.cos(angle) * down + np.sin(angle) * across, np.cos(angle) * across - np.sin(angle) * down
    across = across + slant * down
    scale_down, scale_across = glyph.height / height, glyph.width / width
    centre = _MARGIN + np.array([glyph.height - 1, glyph.width - 1]) / 2
    depth = map_coordinates(
        glyph.depth, [centre[0] + down * scale_down, centre[1] + across * scale_across], order=1, mode="nearest"
    )
    return np.asarray(depth > -stroke * scale_down)


def draw(split: str, label: int, index: int, attempt: int = 0) -> Drawing:
    """Draw image `index` of a class in a split; `attempt` numbers the tries at one that no other image equals."""
    random = np.random.default_rng(derive_seed("rendered", split, label, index, attempt))
    font = FONTS[random.integers(len(FONTS))]
    digit = CLASSES[label][index % len(CLASSES[label])]
    return Drawing(block_counts(bitmap(font, digit, random)), digit, split, font)


def draw_all() -> list[Drawing]:
    """Draw every image of the source, no two alike: 538 of each class, by split and class."""
    drawings: list[Drawing] = []
    seen: set[bytes] = set()
    for split in SPLITS:
        for label in range(len(CLASSES)):
            for index in range(PER_CLASS[split]):
                attempt = 0
                while (drawing := draw(split, label, index, attempt)).counts.tobytes() in seen:
                    attempt += 1
                seen.add(drawing.counts.tobytes())
                drawings.append(drawing)
    return drawings
