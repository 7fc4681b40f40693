import numpy as np
import pytest

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.base import Split
from dumb_bench.data.images import attacked_images, load_split, permutation, select
from dumb_bench.errors import InputError
from dumb_bench.plugin_file import PluginFile
from dumb_bench.spec import ImagesSpec, Plugin

OPTDIGITS = Plugin("optdigits")


def made(per_class=10, classes=3):
    labels = np.repeat(np.arange(classes), per_class)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    return Split(images, labels, tuple(f"class{label}/{index}" for index, label in enumerate(labels)))


def source_returning(expression):
    text = f"""
import numpy as np
from dumb_bench.data.base import Split, source
zeros, labels, ids = np.zeros((4, 3, 32, 32), np.uint8), np.array([0, 1, 0, 1]), ("a", "b", "c", "d")
@source("mine", tasks=("digits",), origin="test")
def mine(task, split, *, root=None, download=False):
    return {expression}
"""
    return Catalogue((PluginFile("mine.py", text),))


def test_permutation_is_fixed_by_its_key():
    assert permutation(8, "a", 1).tolist() == permutation(8, "a", 1).tolist()
    assert permutation(8, "a", 1).tolist() != permutation(8, "a", 2).tolist()
    assert sorted(permutation(8, "a", 1).tolist()) == list(range(8))
    assert permutation(6, "pinned", 0).tolist() == [1, 2, 0, 4, 3, 5]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("(zeros, labels, ids)", r"expected a Split"),
        ("Split(zeros / 255, labels, ids)", "expected images as a NumPy array of uint8, got float64"),
        ("Split(zeros, labels.astype(np.int32), ids)", "expected labels as a NumPy array of int64, got int32"),
        ("Split(zeros[:, :1], labels, ids)", r"expected images \(N, 3, 32, 32\), got \(4, 1, 32, 32\)"),
        ("Split(zeros, labels[:3], ids)", "expected equal lengths, got 4 images, labels"),
        ("Split(zeros, labels, ids[:3])", "expected equal lengths, .* 3 ids"),
        ("Split(zeros[:0], labels[:0], ())", "holds no image"),
        ("Split(zeros, labels + 1, ids)", "expected labels 0 to 1, got 1 to 2"),
        ("Split(zeros, labels * 0, ids)", "holds no image of class '056'"),
        ("Split(zeros, labels - 1, ids)", "expected labels 0 to 1, got -1 to 0"),
        ("Split(zeros, labels, ('a', 'b', 'a', 'd'))", "expected unique ids, got 'a' 2 times"),
        ("Split(zeros, labels, (1, 2, 3, 4))", "expected ids that are strings"),
    ],
)
def test_what_a_source_returns_is_checked_and_the_source_named(expression, sentence):
    with pytest.raises(InputError, match=f"source 'mine', task 'digits', split 'test': {sentence}"):
        load_split(source_returning(expression), "digits", Plugin("mine"), "test")


def test_a_good_source_is_loaded_once_and_cannot_be_written_to():
    catalogue = source_returning("Split(zeros.copy(), labels, ids)")
    found = load_split(catalogue, "digits", Plugin("mine"), "test")
    assert load_split(catalogue, "digits", Plugin("mine"), "test") is found
    with pytest.raises(ValueError, match="read-only"):
        found.images[0] = 1


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown split 'val'"):
        load_split(Catalogue(), "digits", OPTDIGITS, "val")
    with pytest.raises(InputError, match=r"unknown task 'digit'. Did you mean 'digits'"):
        load_split(Catalogue(), "digit", OPTDIGITS, "test")
    with pytest.raises(InputError, match="unknown source 'optdigit'"):
        load_split(Catalogue(), "digits", Plugin("optdigit"), "test")


def test_a_smaller_selection_is_the_beginning_of_a_larger_one():
    small, large = (select(made(), per_class=count, key=("k", 0)) for count in (3, 10))
    assert np.bincount(small.labels).tolist() == [3, 3, 3]
    assert large.ids[:9] == small.ids
    assert np.array_equal(large.images[:9], small.images)
    assert large.labels[:6].tolist() == [0, 1, 2, 0, 1, 2]


def test_a_selection_depends_on_key_and_ids_not_on_the_order_of_the_source():
    split = made()
    turned = Split(split.images[::-1], split.labels[::-1], split.ids[::-1])
    one, two = (select(found, per_class=4, key=("k", 0)) for found in (split, turned))
    assert one.ids == two.ids and np.array_equal(one.images, two.images)
    assert select(split, per_class=4, key=("k", 1)).ids != one.ids
    assert one.ids[::3] != split.ids[:4]


def test_images_ids_and_labels_stay_together():
    found = select(made(), per_class=5, key=("k",))
    for image, label, name in zip(found.images, found.labels, found.ids, strict=True):
        assert name == f"class{label}/{image.max()}"


def test_asking_for_more_than_there_are_says_how_many():
    with pytest.raises(InputError, match=r"at most 10 \(class 0 has no more\), got 11"):
        select(made(), per_class=11, key=())
    with pytest.raises(InputError, match="expected at least 1, got 0"):
        select(made(), per_class=0, key=())
    with pytest.raises(InputError, match=r"at most 150 .* in split 'test' of source 'optdigits'"):
        attacked_images(Catalogue(), ImagesSpec("digits", OPTDIGITS, 151))


def test_attacked_images_differ_between_splits_and_are_those_of_the_spec():
    test, tuning = (
        attacked_images(Catalogue(), ImagesSpec("digits", OPTDIGITS, 20, part)) for part in ("test", "tuning")
    )
    assert len(test.ids) == 40 and not set(test.ids) & set(tuning.ids)
    assert set(test.ids) <= set(load_split(Catalogue(), "digits", OPTDIGITS, "test").ids)
