"""CIFAR-10 in its real format: a few images, read by torchvision's own reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_cifar

from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.data.base import SPLITS
from dumb_bench.data.cifar10 import PER_CLASS, TASK
from dumb_bench.data.images import class_counts, load_split
from dumb_bench.errors import InputError
from dumb_bench.plugin_file import PluginFile
from dumb_bench.spec import Plugin

TINY = Plugin("tiny_cifar")


def catalogue(root: Path, text: str, download: bool = False) -> Catalogue:
    return Catalogue((PluginFile("tiny.py", text),), data=DataPlace(root, download))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root = tmp_path_factory.mktemp("data")
    return catalogue(root, tiny_cifar.plugin(tiny_cifar.write(root)))


@pytest.mark.parametrize("split", SPLITS)
def test_every_image_is_the_one_that_its_id_names(tiny: Catalogue, split: str) -> None:
    found = load_split(tiny, "cifar10", TINY, split)
    for image, label, name in zip(found.images, found.labels, found.ids, strict=True):
        half, number = name.split("/")
        assert half == ("test" if split == "test" else "train") and len(number) == 5
        assert np.array_equal(image, tiny_cifar.image(int(number), half == "test"))
        assert label == tiny_cifar.label(int(number))


def test_the_splits_share_the_training_images_of_each_class_and_no_image_twice(tiny: Catalogue) -> None:
    splits = {split: load_split(tiny, "cifar10", TINY, split) for split in SPLITS}
    for split, found in splits.items():
        assert np.bincount(found.labels).tolist() == [tiny_cifar.PER_CLASS[split]] * 10
    names = [name for found in splits.values() for name in found.ids]
    assert len(set(names)) == len(names) == 10 * sum(tiny_cifar.PER_CLASS.values())


def test_the_shares_are_drawn_and_stay_for_ever(tiny: Catalogue) -> None:
    validation, tuning = (load_split(tiny, "cifar10", TINY, split) for split in ("validation", "tuning"))
    numbers = [int(name[-5:]) for name in validation.ids]
    assert numbers == sorted(numbers)
    assert [name for name in validation.ids if int(name[-1]) == 9] == ["train/00069", "train/00109"]
    assert [name for name in tuning.ids if int(name[-1]) == 9] == ["train/00029", "train/00039"]


def test_of_cifar10_itself_the_numbers_are_declared_and_no_file_is_needed(tmp_path: Path) -> None:
    bare = Catalogue(data=DataPlace(tmp_path / "none"))
    found = {split: class_counts(bare, "cifar10", Plugin("cifar10"), split) for split in SPLITS}
    assert found == {"train": (4500,) * 10, "validation": (250,) * 10, "tuning": (250,) * 10, "test": (1000,) * 10}
    assert sum(PER_CLASS[split] for split in ("train", "validation", "tuning")) == 5000
    assert len(TASK.classes) == 10 and not (tmp_path / "none").exists()


def test_a_missing_folder_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_split(Catalogue(data=DataPlace(tmp_path)), "cifar10", Plugin("cifar10"), "train")
    text = str(caught.value)
    assert "\n" not in text and str(tmp_path / "cifar-10-batches-py") in text
    assert "data_batch_1 is missing" in text and "--data DIR" in text


@pytest.mark.parametrize("file", ["data_batch_2", "test_batch", "batches.meta"])
@pytest.mark.parametrize("fault", ["altered", "missing"])
def test_an_altered_file_is_never_unpickled(tmp_path: Path, file: str, fault: str) -> None:
    sums = tiny_cifar.write(tmp_path)
    path = tmp_path / tiny_cifar.FOLDER / file
    if fault == "missing":
        path.unlink()
    else:  # a pickle that would run a command
        path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "run").encode() + b"'\ntR.")
    for split in ("train", "test"):
        with pytest.raises(InputError, match=f"source 'tiny_cifar': expected its files .*: {file} is {fault}"):
            load_split(catalogue(tmp_path, tiny_cifar.plugin(sums)), "cifar10", TINY, split)
    assert not (tmp_path / "run").exists()


def test_other_numbers_than_declared_are_refused(tmp_path: Path) -> None:
    text = tiny_cifar.plugin(tiny_cifar.write(tmp_path)).replace("(count,) * 10", "(count,) * 9 + (count + 1,)")
    with pytest.raises(InputError, match=r"split 'test': expected \(4, .*5\) images of the classes, as declared"):
        load_split(catalogue(tmp_path, text), "cifar10", TINY, "test")


@pytest.mark.usefixtures("no_proxy")
def test_what_is_missing_is_downloaded_once_and_checked(tmp_path: Path) -> None:
    sums = tiny_cifar.write(tmp_path / "origin")
    (tmp_path / "web").mkdir()
    md5 = tiny_cifar.archive(tmp_path / "origin", tmp_path / "web" / "all.tar.gz")
    with tiny_cifar.served(tmp_path / "web") as url:
        text = tiny_cifar.plugin(sums, url=f"{url}/all.tar.gz", tgz_md5=md5)
        with pytest.raises(InputError, match="data_batch_1 is missing"):
            load_split(catalogue(tmp_path / "here", text), "cifar10", TINY, "test")
        fetched = load_split(catalogue(tmp_path / "here", text, download=True), "cifar10", TINY, "test")
    again = load_split(catalogue(tmp_path / "here", text + "\n", download=True), "cifar10", TINY, "test")
    assert fetched.ids == again.ids and np.array_equal(fetched.images, again.images)
    with pytest.raises(InputError, match="source 'tiny_cifar': cannot be downloaded to"):
        load_split(catalogue(tmp_path / "there", text, download=True), "cifar10", TINY, "test")


@pytest.mark.usefixtures("no_proxy")
def test_a_download_of_other_content_is_refused(tmp_path: Path) -> None:
    sums = tiny_cifar.write(tmp_path / "origin")
    tiny_cifar.archive(tmp_path / "origin", tmp_path / "all.tar.gz")
    with tiny_cifar.served(tmp_path) as url:
        text = tiny_cifar.plugin(sums, url=f"{url}/all.tar.gz", tgz_md5="0" * 32)
        with pytest.raises(InputError, match=r"cannot be downloaded to .*: File not found or corrupted"):
            load_split(catalogue(tmp_path / "here", text, download=True), "cifar10", TINY, "test")


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_torchvision_is_not_imported_before_images_are_read() -> None:
    code = (
        "import sys; from dumb_bench.catalogue import Catalogue; "
        "Catalogue().get('sources', 'cifar10'); sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("task", "split"), [("digits", "test"), ("cifar10", "val")])
def test_unknown_tasks_and_splits_are_refused(task: str, split: str) -> None:
    with pytest.raises(InputError, match=r"source 'cifar10': unknown (task|split)"):
        Catalogue().get("sources", "cifar10").call(task, split)
