"""The seven attacks that look at no model: against Pillow, against moments, against the published arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from torch import Tensor

from dumb_bench.attacks.craft import craft
from dumb_bench.catalogue import Catalogue

CATALOGUE = Catalogue()
RANDOM = ("gaussian_noise", "random_black_box", "salt_pepper")
LEVELS = torch.randint(0, 256, (3, 3, 41, 37), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def made(name: str, images: Tensor, strengths: list[float | None], **params: object) -> list[Tensor]:
    labels = torch.zeros(len(images), dtype=torch.int64)
    entry = CATALOGUE.get("attacks", name)
    return [
        item.images
        for item in craft(entry, None, images, labels, strengths, params=params, chunk=1024, seed_key=(name,))
    ]


def one(name: str, images: Tensor, strength: float | None = None, **params: object) -> Tensor:
    return made(name, images, [strength], **params)[0]


def pictures(levels: Tensor = LEVELS) -> list[Image.Image]:
    return [Image.fromarray(item.permute(1, 2, 0).numpy()) for item in levels]


def stacked(images: list[Image.Image]) -> NDArray[np.float64]:
    """Return pictures as levels 0 to 255, (N, C, H, W)."""
    return np.stack([np.asarray(item.convert("RGB"), dtype=float).transpose(2, 0, 1) for item in images])


def in_levels(images: Tensor) -> NDArray[np.float64]:
    return np.asarray(images.double() * 255)


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.5, 1.0, 1.5, 2.3, 5.0, 9.5, 10.0, 44.4])
def test_box_blur_is_pillows_within_a_level_and_exactly_as_the_reference(radius: float) -> None:
    images = LEVELS.float() / 255
    pillow = stacked([item.filter(ImageFilter.BoxBlur(radius)) for item in pictures()])
    assert np.abs(in_levels(one("box_blur", images, radius)) - pillow).max() <= 1 + 1e-4
    assert np.array_equal(in_levels(one("box_blur", images, radius, reference=True)).round(), pillow)


def test_the_blur_of_the_default_form_is_not_rounded() -> None:
    images = torch.zeros(1, 1, 9, 9)
    images[0, 0, 4, 4] = 5 / 255
    assert one("box_blur", images, 1.0)[0, 0, 4, 4].item() == pytest.approx(5 / 9 / 255, abs=1e-7)
    assert (
        one("box_blur", images, 1.0, reference=True)[0, 0, 3:6, 3:6].mul(255).round().eq(1).all()
    )  # 5/3 is 2, 2/3 is 1


@pytest.mark.parametrize("amount", [0.005, 0.01, 0.015])
def test_gaussian_noise_has_mean_zero_and_the_variance_it_says(amount: float) -> None:
    images = torch.full((64, 3, 32, 32), 0.5)
    noise = (one("gaussian_noise", images, amount) - images).double()
    count, spread = noise.numel(), math.sqrt(amount)
    assert abs(float(noise.mean())) < 4 * spread / math.sqrt(count)
    # clipping at 4 sd or more takes away less than 1e-4 of the variance
    assert abs(float(noise.var()) / amount - 1) < 4 * math.sqrt(2 / count) + 1e-4
    assert float((noise / spread < 1).double().mean()) == pytest.approx(0.8413, abs=0.005)


def test_published_gaussian_noise_has_mean_and_variance_equal_and_is_cut_to_bytes() -> None:
    images = LEVELS.float() / 255
    (unit,) = made("gaussian_noise", torch.full_like(images, 0.5), [1e-4])
    normal = np.asarray((unit.double() - 0.5) / 0.01)  # no value is clipped at this amount
    amount = 0.04
    published = np.clip(LEVELS.numpy() / 255 + amount + math.sqrt(amount) * normal, 0, 1)
    published = (255 * published).astype(np.uint8).astype(float)
    ours = in_levels(one("gaussian_noise", images, amount, reference=True)).round()
    assert (ours == published).mean() > 0.999  # float32 keeps 1e-5 of the normal draw, enough to turn a cut
    assert np.abs(ours - published).max() <= 1
    assert not np.array_equal(ours, in_levels(one("gaussian_noise", images, amount)).round())


def test_published_gaussian_noise_of_no_amount_keeps_all_256_levels() -> None:
    images = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16) / 255
    assert torch.equal(one("gaussian_noise", images, 0.0, reference=True), images)


SIDES = [pixels / 300 for pixels in range(10, 201, 10)]


def corner_and_size(image: Tensor) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the black area; the picture has no other black pixels."""
    down, across = (torch.nonzero((image[0] == 0).any(axis)).flatten() for axis in (1, 0))
    assert int((image == 0).sum()) == 3 * len(down) * len(across)
    return int(across[0]), int(down[0]), len(across), len(down)


@pytest.mark.parametrize("reference", [False, True])
def test_the_black_box_has_its_side_lies_in_the_central_part_and_grows_where_it_is(reference: bool) -> None:
    images = torch.full((8, 3, 300, 300), 0.5)
    smaller = torch.zeros_like(images, dtype=torch.bool)
    for pixels, found in zip(
        range(10, 201, 10), made("random_black_box", images, SIDES, reference=reference), strict=True
    ):  # type: ignore[arg-type]
        black = found == 0
        assert bool((black | ~smaller).all())
        smaller = black
        for image in found:
            left, top, width, height = corner_and_size(image)
            assert width == height == pixels + reference
            assert min(left, top) >= 50 and max(left, top) + pixels <= 250
            if reference:
                drawn = Image.new("RGB", (300, 300), (255, 255, 255))
                box = [(left, top), (left + pixels, top + pixels)]
                ImageDraw.Draw(drawn).rectangle(box, outline="black", fill="black")
                assert np.array_equal(stacked([drawn])[0] == 0, np.asarray(image == 0))


def test_the_black_box_lies_anywhere_in_the_central_part() -> None:
    images = torch.ones(400, 3, 36, 36)
    corners = [corner_and_size(image)[:2] for image in one("random_black_box", images, 0.5)]
    for axis in (0, 1):
        seen = [corner[axis] for corner in corners]
        assert set(seen) == set(range(6, 13))  # 24 pixels are central, 18 black: 7 places, 57 images each
        assert max(abs(seen.count(place) - 400 / 7) for place in range(6, 13)) < 4 * math.sqrt(400 * 6 / 49)
    assert len(set(corners)) > 40  # the two axes are drawn apart


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 40, 97), (3, 97, 40)])
def test_the_black_box_is_square_on_any_image(shape: tuple[int, int, int]) -> None:
    images = torch.ones(5, *shape)
    for share in SIDES:
        side = int(share * min(shape[1:]) + 0.5)
        for image in one("random_black_box", images, share).expand(-1, 3, -1, -1):
            assert corner_and_size(image)[2:] == (side, side)


@pytest.mark.parametrize("amount", [0.005, 0.05, 0.1, 1.0])
def test_salt_is_white_pepper_is_black_and_both_are_half_of_the_amount(amount: float) -> None:
    images = LEVELS[:1].float().expand(40, -1, -1, -1) / 255 * 0.8 + 0.1
    found = one("salt_pepper", images, amount)
    pixels = 40 * 41 * 37
    allowed = 4 * math.sqrt(pixels * amount / 2 * (1 - amount / 2))
    for value in (0, 1):
        hit = found == value
        assert torch.equal(hit.any(1), hit.all(1))  # all channels of a pixel
        assert abs(int(hit[:, 0].sum()) - pixels * amount / 2) < allowed
    kept = (found != 0) & (found != 1)
    assert torch.equal(found[kept], images[kept])


def test_a_larger_amount_of_salt_and_pepper_contains_the_smaller_ones() -> None:
    images = torch.full((4, 3, 32, 32), 0.5)
    smaller, larger = made("salt_pepper", images, [0.05, 0.1])
    spoilt = smaller != images
    assert bool(spoilt.any()) and torch.equal(larger[spoilt], smaller[spoilt])
    assert int((larger != images).sum()) > int(spoilt.sum())


def test_published_salt_is_level_one_on_a_grey_picture_and_spares_the_last_row_and_column() -> None:
    amount, images = 0.6, LEVELS.float() / 255
    grey = stacked([item.convert("L") for item in pictures()])
    found = in_levels(one("salt_pepper", images, amount, reference=True)).round()
    changed = found != grey
    assert set(np.unique(found[changed])) == {0, 1}
    assert not changed[..., -1].any() and not changed[..., -1, :].any() and changed[..., :-1, :-1].any()
    assert all(np.array_equal(found[:, 0], found[:, channel]) for channel in (1, 2))
    count, places = math.ceil(amount * 41 * 37 * 0.5), 40 * 36
    once = places * (1 - (1 - 1 / places) ** count)  # expected places hit by draws with repetition
    assert abs((found[:, 0] == 0).sum() / 3 - once) < 20 + (grey[:, 0] == 0).sum()
    survived = once * (1 - once / places)  # salt that no pepper fell on
    assert abs((found[:, 0] == 1).sum() / 3 - survived) < 20 + (grey[:, 0] == 1).sum()


def test_grey_scale_is_the_luminance_of_bt_601() -> None:
    primaries = torch.eye(3).view(3, 3, 1, 1).expand(-1, -1, 32, 32)
    found = one("grey_scale", primaries)
    expected = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1, 1).expand(-1, 3, 32, 32)
    assert torch.allclose(found, expected, atol=1e-7)
    images = LEVELS.float() / 255
    pillow = stacked([item.convert("L") for item in pictures()])
    assert np.abs(in_levels(one("grey_scale", images)) - pillow).max() < 0.51
    assert np.array_equal(in_levels(one("grey_scale", images, reference=True)).round(), pillow)


def test_inverting_and_swapping_are_pillows() -> None:
    images = LEVELS.float() / 255
    inverted = stacked([ImageChops.invert(item) for item in pictures()])
    assert np.array_equal(in_levels(one("invert_color", images)).round(), inverted)
    assert torch.allclose(one("invert_color", images[:, :1]), 1 - images[:, :1])
    parts = [item.split() for item in pictures()]
    swapped = stacked([Image.merge("RGB", (green, red, blue)) for red, green, blue in parts])
    assert np.array_equal(in_levels(one("split_merge_rgb", images)).round(), swapped)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("name", RANDOM)
def test_a_sweep_of_strengths_equals_single_calls_bit_for_bit(name: str, reference: bool) -> None:
    images = LEVELS.float() / 255
    entry = CATALOGUE.get("attacks", name)
    strengths = list(entry.info.default_strengths)
    sweep = made(name, images, [*strengths], reference=reference)
    for strength, found in zip(strengths, sweep, strict=True):
        assert torch.equal(found, one(name, images, strength, reference=reference))
    labels = torch.zeros(3, dtype=torch.int64)
    seeds = [torch.Generator().manual_seed(7) for _ in range(2)]
    alone = entry.call(None, images, labels, 0.05, generator=seeds[0], reference=reference)
    shared = entry.info.path(None, images, labels, generator=seeds[1], reference=reference)
    assert torch.equal(shared(0.1), shared(0.1)) and torch.equal(shared(0.05), alone)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("name", RANDOM)
def test_an_image_does_not_depend_on_its_batch_mates(name: str, reference: bool, channels: int) -> None:
    images = LEVELS[:, :channels].float() / 255
    others = images.flip(2)
    others[1] = images[1]
    first, second = (one(name, batch, 0.1, reference=reference) for batch in (images, others))
    assert torch.equal(first[1], second[1]) and not torch.equal(first[1], images[1])
    equal = torch.full((4, channels, 32, 32), 0.5)  # each image has a draw of its own
    assert len({item.numpy().tobytes() for item in one(name, equal, 0.1, reference=reference)}) == 4


def test_the_paper_ranges_are_the_defaults() -> None:
    found = {name: CATALOGUE.get("attacks", name).info for name in (*RANDOM, "box_blur")}
    assert found["box_blur"].default_strengths == tuple(np.arange(1, 21) / 2)
    for name in ("gaussian_noise", "salt_pepper"):
        assert np.allclose(found[name].default_strengths, np.arange(0.005, 0.1001, 0.005), atol=1e-12)
    assert found["random_black_box"].default_strengths == tuple(SIDES)
    for name in ("grey_scale", "invert_color", "split_merge_rgb"):
        info = CATALOGUE.get("attacks", name).info
        assert info.strength is None and not info.stochastic and info.uses == "nothing"
        assert info.min_channels == (1 if name == "invert_color" else 3)
