"""Kept images come back bit for bit, or not at all; a gallery is verified, capped, and holds what was put in."""

from __future__ import annotations

import hashlib
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dumb_bench.deliveries.uint8 import uint8
from dumb_bench.errors import DamagedFileError
from dumb_bench.store import gallery
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.gallery import About, Shown
from dumb_bench.store.kept import (
    from_png,
    get_sample,
    get_whole,
    levels_of,
    picture,
    put_sample,
    put_whole,
    sample_size,
    to_png,
)
from dumb_bench.store.store import Store

NAME = "0123456789abcdef0123"
CHANCE = np.random.default_rng(5)


def images(count: int = 5, channels: int = 3) -> np.ndarray:
    return CHANCE.random((count, channels, 6, 7), dtype=np.float32)


@given(bits=arrays.arrays(np.uint32, st.tuples(*[st.integers(1, 4)] * 4), elements=st.integers(0, 2**32 - 1)))
@settings(max_examples=25, deadline=None)
def test_every_bit_of_a_whole_set_comes_back(bits: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store.open(tmp_path_factory.mktemp("store"))
    made = bits.view(np.float32)  # negative zeros, infinities and NaN of every kind among them
    put_whole(store, NAME, made, {"forwards": 3, "reached": None, "seconds": 0.1})
    found = get_whole(store, NAME)
    assert found.images.dtype == np.float32 and found.images.tobytes() == made.tobytes()
    assert found.sha256 == hashlib.sha256(made.tobytes()).hexdigest()
    assert found.about == {"forwards": 3, "reached": None, "seconds": 0.1}


def test_a_set_in_another_order_of_memory_is_the_same_set(tmp_path: Path) -> None:
    store, made = Store.open(tmp_path), images()
    put_whole(store, NAME, np.asfortranarray(made), {})
    assert get_whole(store, NAME).images.tobytes() == made.tobytes()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_sample_is_what_the_delivery_uint8_hands_over(channels: int, tmp_path: Path) -> None:
    store, clean, made = Store.open(tmp_path), images(5, channels), images(5, channels)
    halves = (np.arange(42, dtype=np.float32).reshape(6, 7) + np.float32(0.5)) / np.float32(255)
    made[0, 0] = halves  # ties between two levels
    put_sample(store, NAME, clean, made)
    found = get_sample(store, NAME)
    for kept, given_ in ((found.clean, clean), (found.adversarial, made)):
        again = torch.tensor(kept).float() / 255
        assert torch.equal(again, uint8(torch.tensor(given_)))
    assert np.array_equal(levels_of(np.array([[[[-0.1, 1.1]]]], dtype=np.float32)), [[[[0, 255]]]])


def test_pictures_stand_side_by_side() -> None:
    levels = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    assert picture(levels).shape == (2, 4, 3)
    assert picture(levels)[1, 2].tolist() == levels[1, :, 1, 0].tolist()
    assert picture(levels[:, :2])[3].tolist() == [*levels[0, 1, 1], *levels[1, 1, 1]]
    assert np.array_equal(from_png(to_png(levels), levels.shape, "x"), levels)


@pytest.mark.parametrize("size, classes, expected", [(20, 2, 8), (300, 10, 8), (5, 2, 5), (20, 1, 4)])
def test_a_sample_has_eight_images_at_most(size: int, classes: int, expected: int) -> None:
    assert sample_size(size, classes) == expected


@pytest.mark.parametrize("kind", ["whole", "sample"])
def test_no_flipped_bit_is_believed(kind: str, tmp_path: Path) -> None:
    store, made = Store.open(tmp_path), images()
    if kind == "whole":
        put_whole(store, NAME, made, {})
    else:
        put_sample(store, NAME, made, made)
    chance = random.Random(kind)
    files = sorted(path for path in (tmp_path / "artifacts").rglob("*") if path.is_file())
    for _ in range(40):
        path = chance.choice(files)
        whole = path.read_bytes()
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            found = get_whole(store, NAME).images if kind == "whole" else get_sample(store, NAME).clean
            assert found.tobytes() == (made if kind == "whole" else levels_of(made)).tobytes()  # white space of JSON
        except DamagedFileError:
            pass
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "shape", [[1, 1, 1], [1, 1, 1, 0], [2**20, 2**20, 3, 9], "5", [1, 1, 1, 1.0], [5, 3, 6, 8], None]
)
def test_a_shape_that_was_never_written_is_refused_before_memory_is_asked_for(shape: object, tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put_whole(store, NAME, images(), {})
    files, meta = store.get_artifact(NAME)
    store.put_artifact(NAME, files, {"shape": shape, "set_sha256": meta["set_sha256"], "about": {}})
    with pytest.raises(DamagedFileError, match=r"shape|cannot be read"):
        get_whole(store, NAME)


def bomb() -> bytes:
    """The head of a PNG file of 60,000 x 60,000 pixels."""
    head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head + zlib.crc32(head).to_bytes(4, "big")


@pytest.mark.parametrize("data", [b"", b"GIF89a", to_png(np.zeros((2, 3, 6, 7), np.uint8))[:-30], bomb()])
def test_what_is_no_such_png_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedFileError):
        from_png(data, (2, 3, 6, 7), "x.png")


def shown(number: int, side: int = 6) -> Shown:
    """A set of two images; the clean ones are always the same."""
    clean = np.zeros((2, 1, side, side), np.uint8)
    noisy = np.random.default_rng(number).integers(0, 256, clean.shape, dtype=np.uint8)
    about = About(
        attack=f"a{number}", strength=0.1, unit="", image_source="s", task="t", surrogate="", delivery="uint8",
        image_id=["x", "y"], label=[0, 1], prediction=None, linf=[0.1, 0.2], l2=[1.0, 2.0],
    )  # fmt: skip
    return Shown(about, clean, noisy)


def test_a_gallery_comes_back_shares_pictures_and_goes_away(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    assert gallery.read(place) == [] and gallery.damages(place) == []
    sets = [shown(1), shown(2)]
    gallery.write(place, sets)
    for found, given_ in zip(gallery.read(place), sets, strict=True):
        assert found.about == given_.about
        assert np.array_equal(found.clean, given_.clean) and np.array_equal(found.adversarial, given_.adversarial)
    assert len(list(tmp_path.glob("kept/*.png"))) == 3
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("kept/*")}
    gallery.write(place, sets)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("kept/*")} == before
    gallery.write(place, sets[1:])
    assert [found.about.attack for found in gallery.read(place)] == ["a2"]
    assert len(list(tmp_path.glob("kept/*.png"))) == 2
    gallery.write(place, [])
    assert not (tmp_path / "kept").exists()


def test_a_gallery_is_capped_in_sets_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = LocalPlace(tmp_path)
    gallery.write(place, [shown(number) for number in range(gallery.MAX_SETS + 3)])
    assert len(gallery.read(place)) == gallery.MAX_SETS
    monkeypatch.setattr(gallery, "MAX_BYTES", 20_000)
    gallery.write(place, [shown(number, side=60) for number in range(9)])
    size = sum(path.stat().st_size for path in tmp_path.glob("kept/*.png"))
    assert 13_000 < size <= 20_000 and len(gallery.read(place)) == 2


@pytest.mark.parametrize("how", ["flipped", "missing", "manifest"])
def test_a_damaged_gallery_is_named_and_written_again(how: str, tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    gallery.write(place, [shown(1)])
    path = tmp_path / gallery.MANIFEST if how == "manifest" else sorted(tmp_path.glob("kept/*.png"))[0]
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    assert [damage.path for damage in gallery.damages(place)] == [f"kept/{path.name}"]
    gallery.write(place, [shown(1)])
    assert gallery.damages(place) == []


@pytest.mark.parametrize(
    "change",
    [
        {"label": [0]},
        {"linf": ["a", "b"]},
        {"l2": None},
        {"strength": "x"},
        {"clean": "../../../etc/passwd"},
        {"shape": [2, 1, 6, -6]},
    ],
)
def test_a_sealed_manifest_that_says_nonsense_is_damage(change: dict[str, object], tmp_path: Path) -> None:
    from dumb_bench.store.sealed import seal, unseal

    place = LocalPlace(tmp_path)
    gallery.write(place, [shown(1)])
    document = unseal(gallery.MANIFEST, place.read(gallery.MANIFEST))
    document["sets"][0] |= {key: value for key, value in change.items() if key in ("clean", "shape")}
    document["sets"][0]["about"] |= {key: value for key, value in change.items() if key not in ("clean", "shape")}
    place.write(gallery.MANIFEST, seal(document))
    with pytest.raises(DamagedFileError, match="manifest"):
        gallery.read(place)
