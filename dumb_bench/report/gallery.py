"""Kept images on the page: clean, adversarial and their difference, from the result folder alone."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from dumb_bench.report.figures.base import shorten
from dumb_bench.store import gallery
from dumb_bench.store.gallery import Shown
from dumb_bench.store.kept import Levels, picture
from dumb_bench.store.place import Place

MAX_SETS, MAX_BYTES, MAX_SIDE = 12, 250_000, 96
"""At most so many sets and bytes of PNG on the page; larger images are shown by every k-th pixel, up to this side."""

CELL = 72
"""Width of one image on the page, in CSS pixels, at most."""


def kept_images(place: Place) -> dict[str, Any] | None:
    """Return what the page shows of kept images; None where the result folder has none.

    Raises:
        DamagedFileError: a kept file is missing, torn or altered.
    """
    sets = gallery.read(place)
    rows: list[dict[str, Any]] = []
    size = 0
    for shown in sets[:MAX_SETS]:
        data, scale = drawn(shown)
        size += len(data)
        if rows and size > MAX_BYTES:
            break
        rows.append(_row(shown, data, scale))
    return {"sets": rows, "total": len(sets)} if rows else None


def _row(shown: Shown, data: bytes, scale: float) -> dict[str, Any]:
    about = shown.about
    unit = "" if about.unit.startswith("[0, 1]") else f" {about.unit}".rstrip()
    strength = "" if about.strength is None else f" at {about.strength:.4g}{unit}"
    guesses: list[int | None] = list(about.prediction) if about.prediction is not None else [None] * len(about.label)
    every = _step(shown.clean)
    return {
        "title": f"{about.attack}{strength}",
        "of": f"Images of {about.image_source} ({about.task})"
        + (f", made on {shorten(about.surrogate, 120)}." if about.surrogate else ", made without a surrogate."),
        "delivery": about.delivery,
        "scale": f"{scale:.3g}" if scale else "",
        "every": every if every > 1 else 0,
        "data": base64.b64encode(data).decode(),
        "width": CELL * len(about.label),
        "images": [
            {
                "id": name, "label": label, "guess": guess, "fooled": guess is not None and guess != label,
                "linf": f"{linf:.3f}", "l2": f"{l2:.2f}",
            }
            for name, label, guess, linf, l2 in zip(
                about.image_id, about.label, guesses, about.linf, about.l2, strict=True
            )
        ],
    }  # fmt: skip


def difference(clean: Levels, adversarial: Levels) -> tuple[Levels, float]:
    """Return adversarial minus clean as levels around grey, and by what it was multiplied (0 where nothing differs).

    The largest difference of the set becomes 127 levels, so that 128 means unchanged.
    """
    delta = adversarial.astype(np.int16) - clean.astype(np.int16)
    largest = int(np.abs(delta).max())
    scale = 127 / largest if largest else 0.0
    return (128 + np.rint(delta * scale)).astype(np.uint8), scale


def drawn(shown: Shown) -> tuple[bytes, float]:
    """Return one PNG file, a row each of clean images, adversarial images and differences, and the latter's factor."""
    from PIL import Image

    delta, scale = difference(shown.clean, shown.adversarial)
    every = _step(shown.clean)
    lines = [_framed(images[:, :, ::every, ::every]) for images in (shown.clean, shown.adversarial, delta)]
    stream = io.BytesIO()
    Image.fromarray(np.concatenate(lines)).save(stream, format="PNG", compress_level=9)
    return stream.getvalue(), scale


def _step(images: Levels) -> int:
    height, width = images.shape[2:]
    return -(-max(int(height), int(width)) // MAX_SIDE)


def _framed(images: Levels) -> npt.NDArray[np.uint8]:
    """Return images side by side, each in a white frame of one pixel."""
    return picture(np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=255))
