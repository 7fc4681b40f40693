"""Adversarial images made elsewhere: a folder of PNG files with an index, as `dumb-bench export` writes it.

Which clean image each was made of is told by the sha256 of that image, so that no order and no file name matters.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dumb_bench.errors import InputError
from dumb_bench.wording import printable

INDEX = "index.csv"
NEEDED = ("file", "clean_sha256")

MAX_BYTES = 2**28
"""Pixels of a set, one byte each: it travels to every slot."""
MAX_FILE_BYTES = 2**25
MAX_ROWS = 1_000_000

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}\.png")


class External(NamedTuple):
    """An adversarial image (C, H, W) uint8, and the label of its clean image where the index states it."""

    levels: npt.NDArray[np.uint8]
    label: int | None


def cell(text: str) -> str:
    """Return text as a CSV cell that no spreadsheet runs."""
    return f"'{text}" if text.startswith(_FORMULA) else text


@dataclass(frozen=True)
class ExternalSet:
    """A set under the name that a grid knows it by.

    sha256: of all clean images' hashes with their adversarial images; what identifies the set. images: sha256 of the
    clean image -> the adversarial one.
    """

    name: str
    sha256: str
    images: Mapping[str, External] = field(compare=False, repr=False)


def read_set(name: str, folder: Path) -> ExternalSet:
    """Read a folder: `index.csv` with the columns `file` and `clean_sha256`, maybe `label`; 8-bit PNG files beside it.

    Raises:
        InputError: one line that names the file, the line of the index, and what is expected.
    """
    images: dict[str, External] = {}
    size = 0
    for where, row in _rows(name, folder):
        clean, file, label = row["clean_sha256"].strip().lower(), row["file"].strip(), row.get("label") or ""
        if not _SHA256.fullmatch(clean):
            raise InputError(f"{where}: clean_sha256: expected 64 hexadecimal digits, got {printable(clean, 80)!r}")
        if not _FILE.fullmatch(file):
            raise InputError(
                f"{where}: file: expected the name of a PNG file in this folder, got {printable(file, 80)!r}"
            )
        if label and not label.strip().isdecimal():
            raise InputError(f"{where}: label: expected a whole number, got {printable(label, 80)!r}")
        found = External(_levels(folder / file, where), int(label) if label else None)
        size += found.levels.size
        if size > MAX_BYTES:
            raise InputError(f"--set {name}: {folder}: holds more than {MAX_BYTES:,} bytes of pixels")
        other = images.setdefault(clean, found)
        if not np.array_equal(other.levels, found.levels):
            raise InputError(f"{where}: clean_sha256 {clean[:12]}: stands in the index before, with another image")
    if not images:
        raise InputError(f"--set {name}: {folder / INDEX}: names no image")
    return ExternalSet(name, _digest(images), images)


def _digest(images: Mapping[str, External]) -> str:
    found = hashlib.sha256()
    for clean, image in sorted(images.items()):
        found.update(f"{clean} {image.levels.shape} ".encode() + image.levels.tobytes())
    return found.hexdigest()


def _rows(name: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of the index, each with the place that messages name."""
    path = folder / INDEX
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"--set {name}: {path}: cannot be read ({error.strerror}); expected {INDEX} and PNG files"
        ) from None
    try:
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"more than {MAX_FILE_BYTES:,} bytes")
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lacking = [column for column in NEEDED if column not in (reader.fieldnames or ())]
        if lacking:
            raise ValueError(f"lacks the column {lacking[0]!r}")
        for number, row in enumerate(reader, start=2):
            if number > MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS:,} rows")
            if None in row or None in row.values():
                raise ValueError(f"line {number} has another number of cells than the head")
            yield f"{path}, line {number}", row
    except (ValueError, csv.Error) as error:
        raise InputError(f"--set {name}: {path}: {printable(str(error), 200)}") from None


def _levels(path: Path, where: str) -> npt.NDArray[np.uint8]:
    """Return the pixels of a PNG file, (C, H, W) uint8; its head is looked at before its pixels are read."""
    from PIL import Image

    try:
        if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{where}: {path.name}: is a link, or larger than {MAX_FILE_BYTES:,} bytes")
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode not in ("L", "RGB") or image.width * image.height > MAX_BYTES // 3:
                raise InputError(
                    f"{where}: {path.name}: expected an 8-bit PNG of mode L or RGB, got {image.mode} of "
                    f"{image.width} x {image.height}"
                )
            pixels = np.asarray(image, dtype=np.uint8)
    except FileNotFoundError:
        raise InputError(f"{where}: {path.name}: no such file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: {path.name}: is no whole PNG file ({type(error).__name__})") from None
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(planes)
