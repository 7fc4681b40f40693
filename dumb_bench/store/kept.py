"""Adversarial images that were kept: whole sets as the very float32 numbers, and samples of a few images in 8 bits.

Both are artifacts, named by what was made and never by who asked for it. A whole set is one file of float32 numbers
(little-endian, in the order (N, C, H, W)) compressed by zstd, whose sha256 is `attacks.set_sha256`; a sample is two PNG
files, the clean images and the adversarial ones as the delivery `uint8` has them, side by side.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from dumb_bench.errors import DamagedFileError
from dumb_bench.spec import digest
from dumb_bench.store.store import Store

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

SAMPLE_PER_CLASS, SAMPLE_MOST = 4, 8
"""Images of a sample: the first of `images.index`, which goes round the classes."""

MAX_NUMBERS = 2**32
"""A set of more numbers than this (16 GiB) is not read: no such set was written."""

_WHOLE, _CLEAN, _ADVERSARIAL = "images.f32.zst", "clean.png", "adversarial.png"
_LEVEL = 9


class Whole(NamedTuple):
    """A kept set: images (N, C, H, W) float32 in [0, 1], their sha256, and what else was noted when it was made."""

    images: Floats
    sha256: str
    about: Mapping[str, Any]


class Sample(NamedTuple):
    """The first images of a set, clean and adversarial, each (n, C, H, W) uint8."""

    clean: Levels
    adversarial: Levels


def whole_name(set_id: str, strength: float | None, step: int | None = None) -> str:
    """Return the name of the artifact that holds a set at one strength, after all steps or after one."""
    return digest({"kept": "whole", "set": set_id, "strength": strength, "step": step})


def sample_name(set_id: str, strength: float | None) -> str:
    """Return the name of the artifact that holds the sample of a set at one strength."""
    return digest({"kept": "sample", "set": set_id, "strength": strength})


def sample_size(images: int, classes: int) -> int:
    """Return how many of a set's images its sample has."""
    return min(images, SAMPLE_MOST, SAMPLE_PER_CLASS * classes)


def levels_of(images: Floats) -> Levels:
    """Return images in [0, 1] as levels of 8 bits: k where the delivery `uint8` gives k / 255."""
    levels: Levels = np.rint(images * np.float32(255)).clip(0, 255).astype(np.uint8)
    return levels


def put_whole(store: Store, name: str, images: Floats, about: Mapping[str, Any]) -> None:
    """Keep a set (N, C, H, W) with what is noted of it (plain JSON data). Raises as `Store.put_artifact`."""
    raw = np.ascontiguousarray(images, dtype="<f4").tobytes()
    packed = pa.Codec("zstd", compression_level=_LEVEL).compress(raw, asbytes=True)
    meta = {"shape": list(images.shape), "set_sha256": hashlib.sha256(raw).hexdigest(), "about": dict(about)}
    store.put_artifact(name, {_WHOLE: packed}, meta)


def get_whole(store: Store, name: str) -> Whole:
    """Return a kept set, verified.

    Raises:
        DamagedFileError: there is none, or it is torn, altered or no such set.
    """
    files, meta = store.get_artifact(name)
    shape = _shape(meta, name)
    try:
        raw = pa.Codec("zstd").decompress(files[_WHOLE], decompressed_size=4 * math.prod(shape), asbytes=True)
        images = np.frombuffer(raw, dtype="<f4").reshape(shape)
        sha256, about = str(meta["set_sha256"]), dict(meta["about"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"kept set {name}", f"cannot be read ({type(error).__name__})") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise DamagedFileError(f"kept set {name}", "the images' sha256 is not the one noted with them")
    return Whole(images.astype(np.float32), sha256, about)


def put_sample(store: Store, name: str, clean: Floats, adversarial: Floats) -> None:
    """Keep the first images of a set, (n, C, H, W) each. Raises as `Store.put_artifact`."""
    files = {_CLEAN: to_png(levels_of(clean)), _ADVERSARIAL: to_png(levels_of(adversarial))}
    store.put_artifact(name, files, {"shape": list(clean.shape)})


def get_sample(store: Store, name: str) -> Sample:
    """Return a kept sample, verified. Raises DamagedFileError (also when there is none)."""
    files, meta = store.get_artifact(name)
    shape = _shape(meta, name)
    try:
        return Sample(*(from_png(files[key], shape, f"{name}/{key}") for key in (_CLEAN, _ADVERSARIAL)))
    except KeyError as error:
        raise DamagedFileError(f"kept sample {name}", f"lacks {error}") from error


def _shape(meta: Mapping[str, Any], name: str) -> tuple[int, int, int, int]:
    found = meta.get("shape")
    whole = isinstance(found, list) and len(found) == 4 and all(isinstance(size, int) and size > 0 for size in found)
    if not whole or math.prod(found) > MAX_NUMBERS:  # type: ignore[arg-type]
        raise DamagedFileError(f"kept images {name}", f"have no shape (N, C, H, W): {found!r}")
    first, second, third, fourth = found  # type: ignore[misc]
    return (first, second, third, fourth)


def picture(images: Levels) -> Levels:
    """Return images (n, C, H, W) side by side as (H, n * W) or (H, n * W, 3); of other C, the planes below each other.

    The last case is (C * H, n * W): a PNG file has one channel or three.
    """
    count, channels, height, width = images.shape
    if channels == 3:
        return np.ascontiguousarray(images.transpose(2, 0, 3, 1).reshape(height, count * width, 3))
    return np.ascontiguousarray(images.transpose(1, 2, 0, 3).reshape(channels * height, count * width))


def to_png(images: Levels) -> bytes:
    """Return images (n, C, H, W) as one PNG file, as `picture` lays them out."""
    stream = io.BytesIO()
    Image.fromarray(picture(images)).save(stream, format="PNG", compress_level=9)
    return stream.getvalue()


def from_png(data: bytes, shape: tuple[int, int, int, int], where: str) -> Levels:
    """Return the images that `to_png` wrote. `where` names them in messages.

    Raises:
        DamagedFileError: it is no PNG file of that shape; its pixels are read only after its head agrees.
    """
    count, channels, height, width = shape
    size, mode = (count * width, height if channels == 3 else channels * height), "RGB" if channels == 3 else "L"
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if (image.size, image.mode) != (size, mode):
                raise DamagedFileError(where, f"expected a PNG file of {size} and mode {mode}")
            pixels = np.asarray(image, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DamagedFileError(where, f"is no PNG file ({type(error).__name__})") from error
    if channels == 3:
        return pixels.reshape(height, count, width, 3).transpose(1, 3, 0, 2)
    return pixels.reshape(channels, height, count, width).transpose(2, 0, 1, 3)
