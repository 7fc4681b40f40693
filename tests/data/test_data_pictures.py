"""How a picture becomes an image of a task: known answers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dumb_bench.data.pictures import fitted, fitted_arrays

SHAPE = (3, 4, 4)


def picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.astype(np.uint8))


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3))
    assert np.array_equal(fitted(picture(pixels), SHAPE), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("wide", [True, False])
def test_the_largest_centred_square_is_kept(wide: bool) -> None:
    pixels = np.zeros((4, 10, 3))
    pixels[:, 3:7] = np.random.default_rng(0).integers(0, 256, (4, 4, 3))
    square = pixels[:, 3:7]
    if not wide:
        pixels, square = pixels.swapaxes(0, 1), square.swapaxes(0, 1)
    assert np.array_equal(fitted(picture(pixels), SHAPE), square.transpose(2, 0, 1))


def test_what_is_smaller_is_averaged_and_not_picked() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    assert np.abs(fitted(picture(checks), SHAPE).astype(int) - 127.5).max() < 4  # picking would give 0 or 255
    even = np.full((64, 48, 3), (10, 20, 30))
    assert fitted(picture(even), SHAPE).reshape(3, -1).T.tolist() == [[10, 20, 30]] * 16


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "CMYK"])
def test_every_kind_of_8_bits_becomes_three_channels(mode: str) -> None:
    grey = Image.new("L", (4, 4), 255)
    assert fitted(grey.convert(mode), SHAPE).tolist() == np.full(SHAPE, 255).tolist()


def test_arrays_are_fitted_as_pictures_are() -> None:
    generator = np.random.default_rng(0)
    colour = generator.integers(0, 256, (5, 9, 12, 3), dtype=np.uint8)
    grey = generator.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    for images in (colour, grey):
        found = fitted_arrays(images, SHAPE)
        assert np.array_equal(found, np.stack([fitted(Image.fromarray(image), SHAPE) for image in images]))
    same = fitted_arrays(grey, (3, 8, 8))
    assert np.array_equal(same, np.repeat(grey[:, None], 3, axis=1)) and same.flags.c_contiguous
