"""Every source of published data, read through torchvision's own reader from tiny files in its format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_data import SCRIPT
from tiny_sets import TINY, undeclared

from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.data.base import SPLITS, Split
from dumb_bench.data.images import class_counts, load_split
from dumb_bench.data.published import bad_file, opened, share
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import InputError
from dumb_bench.spec import Plugin

EVERY = pytest.mark.parametrize("name", TINY)

ARRAYS = {
    "cifar10": lambda half, shift: SCRIPT.colour(SCRIPT.some(400 if half == "train" else 40, 32, shift)),
    "stl10": lambda half, shift: SCRIPT.colour(SCRIPT.some(200 if half == "train" else 40, 96, shift)),
    "svhn": lambda half, shift: SCRIPT.colour(SCRIPT.some(200 if half == "train" else 40, 32, shift)),
    **{
        name: lambda half, shift: SCRIPT.some(200 if half == "train" else 40, 28, shift)[..., None]
        for name in ("mnist", "qmnist", "emnist")
    },
}
"""What was written, (N, H, W, 3 or 1)."""

NAMES = {
    "cifar10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    "stl10": ["airplane", "bird", "automobile", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"],
}
"""The publisher's class of number n is that of n % 10; elsewhere a digit."""


@pytest.fixture
def tiny(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    TINY[name].write(tmp_path, monkeypatch)
    undeclared(name, monkeypatch)
    return Catalogue(data=DataPlace(tmp_path))


def split_of(catalogue: Catalogue, name: str, split: str) -> Split:
    return load_split(catalogue, TINY[name].task, Plugin(name), split)


@EVERY
def test_the_splits_hold_what_they_should_and_no_image_twice(tiny: Catalogue, name: str) -> None:
    task = task_named(TINY[name].task, tiny)
    ids: list[str] = []
    for split in SPLITS:
        found = split_of(tiny, name, split)
        assert np.bincount(found.labels).tolist() == [TINY[name].counts[split]] * len(task.classes)
        assert found.images.shape[1:] == task.image_shape
        ids += found.ids
    assert len(set(ids)) == len(ids) == len(task.classes) * sum(TINY[name].counts.values())


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_image_and_its_label_are_those_of_the_number_in_its_id(tiny: Catalogue, name: str, split: str) -> None:
    task = task_named(TINY[name].task, tiny)
    half = "test" if split == "test" else "train"
    written = ARRAYS[name](half, 200 if half == "test" else 0)
    found = split_of(tiny, name, split)
    for image, label, identity in zip(found.images, found.labels, found.ids, strict=True):
        part, number = identity.split("/")
        assert part == half
        assert np.array_equal(image, np.broadcast_to(written[int(number)].transpose(2, 0, 1), image.shape))
        assert task.classes[label] == NAMES.get(name, "0123456789")[int(number) % 10]


@pytest.mark.parametrize("name", ["usps"])
def test_usps_is_read_as_torchvision_rounds(tiny: Catalogue, name: str) -> None:
    found = split_of(tiny, name, "test")
    written = SCRIPT.some(40, 16, 200)
    lost = written[[int(identity[5:]) for identity in found.ids]].astype(int) - found.images[:, 0]
    assert set(np.unique(lost)) <= {0, 1}  # it cuts off
    assert [int(identity[-1]) for identity in found.ids] == found.labels.tolist()


@pytest.mark.parametrize("name", ["pets"])
def test_the_centre_of_a_photograph_is_cut_out(tiny: Catalogue, name: str) -> None:
    found = split_of(tiny, name, "test")
    assert {identity.split("_")[0] for identity, label in zip(found.ids, found.labels, strict=True) if label == 1} == {
        "test/beagle"
    }
    place = tiny.data.root / "oxford-iiit-pet" / "images" / found.ids[0].removeprefix("test/")
    with Image.open(place) as picture:
        assert picture.size == (60, 48)
        assert np.array_equal(found.images[0], np.asarray(picture.crop((6, 0, 54, 48))).transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["celeba"])
def test_men_and_women_are_told_apart_by_the_attribute(tiny: Catalogue, name: str) -> None:
    halves = {"train": range(40), "validation": range(40, 60), "tuning": range(40, 60), "test": range(60, 76)}
    for split in SPLITS:
        found = split_of(tiny, name, split)
        numbers = [int(Path(identity).stem) for identity in found.ids]
        assert [1 - number % 2 for number in numbers] == found.labels.tolist()
        assert set(numbers) <= set(halves[split])


@pytest.mark.parametrize("name", ["imagenet"])
def test_the_size_of_imagenet_is_a_parameter(tiny: Catalogue, name: str) -> None:
    few = Plugin(name, (("test_per_class", 2), ("train_per_class", 5)))
    counts = {split: len(load_split(tiny, TINY[name].task, few, split).ids) for split in SPLITS}
    assert counts == {"train": 15, "validation": 9, "tuning": 9, "test": 6}
    whole = split_of(tiny, name, "train")
    assert set(load_split(tiny, TINY[name].task, few, "train").ids) < set(whole.ids)
    assert whole.ids[0].startswith("train/n01440764/train_") and whole.labels[0] == 0


@pytest.mark.parametrize("name", ["cifar10"])
def test_a_task_of_fewer_classes_has_the_images_of_the_whole_one(tiny: Catalogue, name: str) -> None:
    whole = load_split(tiny, "cifar10", Plugin(name), "validation")
    few = load_split(tiny, "cat_dog@32", Plugin(name), "validation")
    pairs = [(identity, label) for identity, label in zip(whole.ids, whole.labels, strict=True) if label in (3, 5)]
    assert list(zip(few.ids, few.labels, strict=True)) == [(identity, int(label == 5)) for identity, label in pairs]
    swapped = load_split(tiny, "cat_dog[dog,cat]@32", Plugin(name), "validation")
    assert swapped.ids == few.ids and np.array_equal(swapped.labels, 1 - few.labels)
    assert load_split(tiny, "cat_dog", Plugin(name), "validation").images.shape == (4, 3, 300, 300)


@EVERY
def test_a_missing_folder_is_one_line_that_says_how_to_fetch_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        split_of(Catalogue(data=DataPlace(tmp_path)), name, "test")
    text = str(raised.value)
    assert text.startswith(f"source {name!r}: expected its files in {tmp_path}") and "\n" not in text
    assert " is missing; " in text and "dumb-bench fetch GRID --data DIR" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "file"), [("usps", "usps.t.bz2"), ("svhn", "test_32x32.mat"),
                                            ("stl10", "stl10_binary/test_X.bin"),
                                            ("celeba", "celeba/list_attr_celeba.txt")])  # fmt: skip
def test_an_altered_file_is_refused(tiny: Catalogue, name: str, file: str) -> None:
    (tiny.data.root / file).write_bytes(b"other")
    with pytest.raises(InputError, match=f"source '{name}': expected its files .*: .*{Path(file).name} is altered"):
        split_of(tiny, name, "test")


@pytest.mark.parametrize("name", ["pets"])
def test_whatever_a_reader_raises_is_one_line(tiny: Catalogue, name: str) -> None:
    (tiny.data.root / "oxford-iiit-pet" / "annotations" / "test.txt").write_text("Bengal_1 one\n")
    with pytest.raises(InputError, match=r"^source 'pets', task 'cat_dog@48', split 'test': fails with ValueError"):
        class_counts(tiny, TINY[name].task, Plugin(name), "test")


@EVERY
def test_what_is_declared_is_what_was_published(name: str) -> None:
    totals = {"cifar10": (45_000, 9000), "stl10": (4500, 7200), "pets": (3680, 3669), "mnist": (60_000, 10_000),
              "usps": (7291, 2007), "svhn": (73_257, 26_032), "emnist": (240_000, 40_000), "celeba": (9000, 2000),
              "imagenet": (120_000, 50_000)}  # fmt: skip
    info = Catalogue().get("sources", name).info
    task = task_named(TINY[name].task.split("[")[0].split("@")[0], Catalogue())
    declared = {split: info.declared(task, split, {}) for split in SPLITS}
    if name == "qmnist":
        assert set(declared.values()) == {None}
        return
    training = sum(sum(declared[split]) for split in ("train", "validation", "tuning"))
    assert (training, sum(declared["test"])) == totals[name]


def test_shares_are_fixed_disjoint_and_know_no_task() -> None:
    labels = np.arange(200) % 4
    found = {split: share(labels, (0, 2), split, "some") for split in ("train", "validation", "tuning")}
    numbers = [number for chosen, _ in found.values() for number in chosen]
    assert sorted(numbers) == [number for number in range(200) if number % 2 == 0]
    assert {split: len(chosen) for split, (chosen, _) in found.items()} == {"train": 80, "validation": 10, "tuning": 10}
    alone, _ = share(labels, (2,), "tuning", "some")
    assert set(alone) == {number for number in found["tuning"][0] if labels[number] == 2}
    assert alone.tolist() == [22, 30, 74, 90, 106]
    assert found["train"][1].tolist() == [int(labels[number] == 2) for number in found["train"][0]]


def test_what_is_missing_is_fetched_only_if_it_may_be(tmp_path: Path) -> None:
    sums = [("a.bin", "0cc175b9c0f1b6a831c399e269772661")]  # of the letter a
    asked = []

    def read(fetch: bool) -> str:
        asked.append(fetch)
        if fetch:
            (tmp_path / "here" / "a.bin").write_text("a" if len(asked) > 1 else "b")
        return "data"

    with pytest.raises(InputError, match=r"a\.bin is missing"):
        opened("mine", tmp_path / "here", sums, read, download=False)
    assert asked == [] and not (tmp_path / "here").exists()
    with pytest.raises(InputError, match=r"a\.bin is altered"):
        opened("mine", tmp_path / "here", sums, read, download=True)
    assert opened("mine", tmp_path / "here", sums, read, download=True) == "data" and asked == [True, True, False]
    assert bad_file(tmp_path / "here", sums) == ""

    def offline(fetch: bool) -> None:
        raise RuntimeError("no\nroute")

    with pytest.raises(InputError, match=r"source 'mine': cannot be downloaded to .*there: no route"):
        opened("mine", tmp_path / "there", sums, offline, download=True)


def test_torchvision_is_not_imported_before_images_are_read() -> None:
    names = [name for name in Catalogue().names("sources") if name not in ("optdigits", "rendered")]
    code = (
        "import sys; from dumb_bench.catalogue import Catalogue; "
        f"[Catalogue().get('sources', name) for name in {names}]; sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
