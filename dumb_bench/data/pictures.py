"""From a picture of any size to an image of a task: one rule, the same for every source."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from dumb_bench.data.base import Listed, Split
from dumb_bench.data.decoded import stored
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError
from dumb_bench.wording import printable

RULE = "centre crop, bilinear with antialiasing, version 1"
"""How a picture is fitted. What it gives depends on the version of Pillow in the last bit at most."""

MIN_SIDE, MAX_PROPORTION, MAX_PIXELS = 4, 16, 100_000_000
"""A picture outside these is taken for damaged: shortest side, longest to shortest side, width times height."""

Pixels = npt.NDArray[np.uint8]


def fitted(picture: Image.Image, shape: tuple[int, int, int]) -> Pixels:
    """Return a picture as (3, H, W) uint8: RGB, the largest centred part of the shape's proportions, resized.

    Grey becomes three equal channels; transparency is dropped. A picture that has the shape already is left as it is.
    """
    height, width = shape[1:]
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    if rgb.size != (width, height):
        scale = min(rgb.width / width, rgb.height / height)
        left, top = (rgb.width - scale * width) / 2, (rgb.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
        rgb = rgb.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8).transpose(2, 0, 1))


def fitted_arrays(images: Pixels, shape: tuple[int, int, int]) -> Pixels:
    """Return images (N, H, W) grey or (N, H, W, 3) as (N, 3, H', W'), as `fitted` does with each."""
    if images.ndim == 3:
        images = np.broadcast_to(images[..., None], (*images.shape, 3))
    if images.shape[1:3] == shape[1:]:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    found = np.empty((len(images), *shape), np.uint8)
    for number, image in enumerate(images):
        found[number] = fitted(Image.fromarray(np.ascontiguousarray(image)), shape)
    return found


def decoded(path: Path, shape: tuple[int, int, int], shown: str) -> Pixels:
    """Return the image of a file, (3, H, W) uint8.

    Raises:
        InputError: the file cannot be read or is no whole picture of 8 bits; begins with `shown`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata; what is torn is an error
            with path.open("rb") as file, Image.open(file) as picture:
                _check(picture)
                picture.load()
                return fitted(picture, shape)
    except InputError as error:
        raise InputError(f"{shown}: {error}") from None
    except UnidentifiedImageError:
        raise InputError(f"{shown}: {_no_picture(path)}") from None
    except PermissionError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror})") from None
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{shown}: is damaged or truncated ({printable(reason, 120)})") from None


def _no_picture(path: Path) -> str:
    return "is empty, 0 bytes" if path.stat().st_size == 0 else "is no picture, whatever its name says"


def _check(picture: Image.Image) -> None:
    """Refuse what would be converted wrongly, and sizes that no photograph has.

    Raises:
        InputError: without the file's name.
    """
    short, long = sorted(picture.size)
    if short < MIN_SIDE or long > MAX_PROPORTION * short or short * long > MAX_PIXELS:
        raise InputError(
            f"is {picture.width} x {picture.height} pixels; expected sides of {MIN_SIDE} and more, none above "
            f"{MAX_PROPORTION} times the other, at most {MAX_PIXELS:,} pixels"
        )
    if picture.mode.startswith(("I", "F")):
        raise InputError(f"has {picture.mode!r} pixels, expected 8 bits a channel; convert it")


def read_listed(listed: Listed, task: Task, *, keep: Path | None = None) -> Split:
    """Return the split that a list of files is.

    keep: a folder in which the decoded images are kept, so that they are decoded once and shared by all processes.

    Raises:
        InputError: a file cannot be read; names it.
    """

    def decode(target: Pixels) -> None:
        for number, path in enumerate(listed.paths):
            target[number] = decoded(path, task.image_shape, listed.shown(path))

    shape = (len(listed.paths), *task.image_shape)
    return Split(stored(listed, shape, RULE, decode, keep), listed.labels, listed.ids)
