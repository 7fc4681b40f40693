from itertools import combinations

import numpy as np
import PIL
import pytest
import scipy
from PIL import Image, features

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.base import SPLITS
from dumb_bench.data.digits import CLASSES, PER_CLASS, block_counts, members, upscale
from dumb_bench.data.images import load_split
from dumb_bench.data.optdigits import optdigits
from dumb_bench.data.rendering.draw import FONTS, draw
from dumb_bench.errors import InputError
from dumb_bench.spec import Plugin

SOURCES = ("optdigits", "rendered")


def stored():
    from importlib.resources import files

    with files("dumb_bench.data").joinpath("rendered_digits.npz").open("rb") as file, np.load(file) as found:
        return dict(found)


def test_the_catalogue_lists_the_sources_and_none_of_the_modules_beside_them():
    assert set(Catalogue().names("sources")) >= set(SOURCES)
    assert not {"digits", "images", "balance", "rendering", "tasks"} & set(Catalogue().names("sources"))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_the_stated_number_of_images_of_each_class(name, split):
    found = load_split(Catalogue(), "digits", Plugin(name), split)
    assert np.bincount(found.labels).tolist() == [PER_CLASS[split]] * 2
    assert found.images.shape == (2 * PER_CLASS[split], 3, 32, 32)
    assert all(identifier.startswith(f"{name}/") for identifier in found.ids)


@pytest.mark.parametrize("name", SOURCES)
def test_splits_share_neither_an_id_nor_a_picture(name):
    splits = [load_split(Catalogue(), "digits", Plugin(name), split) for split in SPLITS]
    pictures = [{image.tobytes() for image in found.images} for found in splits]
    assert sum(map(len, pictures)) == 2 * 538
    for (one, one_pictures), (two, two_pictures) in combinations(zip(splits, pictures, strict=True), 2):
        assert not set(one.ids) & set(two.ids)
        assert not one_pictures & two_pictures


def test_optdigits_ids_are_the_numbers_of_load_digits_and_labels_follow_the_digit():
    from sklearn.datasets import load_digits

    targets, images = load_digits(return_X_y=False).target, load_digits().images
    found = optdigits("digits", "test")
    for identifier, label, image in zip(found.ids, found.labels, found.images, strict=True):
        number = int(identifier.partition("/")[2])
        assert targets[number] in CLASSES[label]
        assert np.array_equal(image, upscale(images[number][None].astype(np.uint8))[0])


def test_members_are_drawn_by_the_source_name_and_hold_every_class():
    digits = np.repeat(np.arange(10), 200)
    one, two = members("one", digits), members("two", digits)
    assert not np.array_equal(one["test"], two["test"])
    assert np.array_equal(one["test"], members("one", digits)["test"])
    assert set(digits[one["train"]]) == {0, 1, 2, 5, 6, 7}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_refuses_another_task_or_split(name):
    call = Catalogue().get("sources", name).call
    with pytest.raises(InputError, match=f"source '{name}': unknown task 'cat_dog'"):
        call("cat_dog", "train")
    with pytest.raises(InputError, match="unknown split 'val'"):
        call("digits", "val")


def test_upscale_keeps_flat_images_and_agrees_with_pillow_inside():
    flat = np.stack([np.full((8, 8), level, np.uint8) for level in (0, 8, 16)])
    assert [np.unique(image).tolist() for image in upscale(flat)] == [[0], [128], [255]]
    counts = np.random.default_rng(0).integers(0, 17, (5, 8, 8)).astype(np.uint8)
    ours = upscale(counts)
    assert np.array_equal(ours[:, 0], ours[:, 1]) and np.array_equal(ours[:, 0], ours[:, 2])
    for image, small in zip(ours, counts, strict=True):
        float_image = Image.fromarray((small / 16 * 255).astype(np.float32))
        theirs = np.asarray(float_image.resize((32, 32), Image.Resampling.BICUBIC)).clip(0, 255)
        assert np.abs(image[0, 8:24, 8:24] - theirs[8:24, 8:24]).max() <= 0.51


def test_block_counts_count_the_pixels_of_each_block():
    bitmap = np.zeros((32, 32), dtype=bool)
    bitmap[4:7, 8:10] = True
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[1, 2] = 6
    assert np.array_equal(block_counts(bitmap), expected)


def test_shipped_drawings_are_drawn_again_from_their_seeds():
    shipped = stored()
    installed = [f"numpy {np.__version__}", f"scipy {scipy.__version__}", f"pillow {PIL.__version__}"]
    installed.append(f"freetype {features.version('freetype2')}")
    start = 0
    differences = []
    for split in SPLITS:
        for label in range(2):
            for index in range(0, PER_CLASS[split], 9):
                again = draw(split, label, index)
                position = start + index
                assert (shipped["digit"][position], shipped["font"][position]) == (again.digit, again.font)
                assert SPLITS[shipped["split"][position]] == split
                differences.append(np.abs(shipped["counts"][position].astype(int) - again.counts).mean())
            start += PER_CLASS[split]
    assert start == len(shipped["counts"]) == 1076
    assert max(differences) <= (0 if shipped["versions"].tolist() == installed else 0.3)


def test_shipped_drawings_use_every_font_and_all_grey_levels():
    shipped = stored()
    assert set(shipped["font"]) == set(FONTS) and len(FONTS) == 17
    assert set(np.unique(shipped["counts"])) == set(range(17))
    assert shipped["counts"].any(axis=(1, 2)).all()


def test_the_handwritten_digits_are_those_of_load_digits():
    from sklearn.datasets import load_digits

    from dumb_bench.data.optdigits import _images

    images, digits = _images()
    bunch = load_digits()
    assert images.dtype == np.uint8 and np.array_equal(images, bunch.images)
    assert np.array_equal(digits, bunch.target)
