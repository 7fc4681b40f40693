"""Images in folders: which file is in which split, how classes are found, and that a plan reads no image."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from minigrid import Ended
from PIL import Image
from tiny_data import SCRIPT, SMALL, grid

from dumb_bench.case import CASES
from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.data.base import SPLITS
from dumb_bench.data.images import class_counts, load_split
from dumb_bench.errors import InputError
from dumb_bench.grid_file import parse_grid
from dumb_bench.runner.plan import build_plan
from dumb_bench.spec import Plugin

BING = Plugin("folder", (("origin", "bing"),))
TASK = "cat_dog@32"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    SCRIPT.write_tree(tmp_path, ("cat_dog",), SMALL)
    return tmp_path


def place(root: Path, download: bool = False) -> Catalogue:
    return Catalogue(data=DataPlace(root, download))


def test_every_image_is_the_file_that_its_id_names(root: Path) -> None:
    for split in SPLITS:
        found = load_split(place(root), TASK, BING, split)
        for image, label, name in zip(found.images, found.labels, found.ids, strict=True):
            with Image.open(root / "cat_dog" / name) as picture:
                assert np.array_equal(image, np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
            assert name.split("/")[:3] == ["bing", {"validation": "val", "tuning": "val"}.get(split, split),
                                           ("cat", "dog")[label]]  # fmt: skip


def test_validation_and_tuning_share_val_by_a_fixed_order(root: Path) -> None:
    shares = [load_split(place(root), TASK, BING, split).ids for split in ("validation", "tuning")]
    assert [len(ids) for ids in shares] == [4, 4] and not set(shares[0]) & set(shares[1])
    assert shares[1] == ("bing/val/cat/cat0000.jpg", "bing/val/cat/cat0003.jpg", "bing/val/dog/dog0001.jpg",
                         "bing/val/dog/dog0003.jpg")  # fmt: skip
    (root / "cat_dog/bing/val/cat/cat0003.jpg").unlink()
    odd = [class_counts(place(root), TASK, BING, split) for split in ("validation", "tuning")]
    assert odd == [(2, 2), (1, 2)]
    (root / "cat_dog/bing/val").rename(root / "cat_dog/bing/validation")
    assert [class_counts(place(root), TASK, BING, split) for split in ("validation", "tuning")] == odd
    shutil.copytree(root / "cat_dog/bing/test", root / "cat_dog/bing/tuning")
    whole = [class_counts(place(root), TASK, BING, split) for split in ("validation", "tuning")]
    assert whole == [(3, 4), (4, 4)]


def test_a_plan_reads_no_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("an image is read")

    monkeypatch.setattr("dumb_bench.data.pictures.decoded", refused)
    counts = {split: class_counts(place(root), TASK, BING, split) for split in SPLITS}
    assert counts == {"train": (6, 6), "validation": (2, 2), "tuning": (2, 2), "test": (4, 4)}
    catalogue = place(root)
    assert build_plan(parse_grid(grid(("bing", "google")), "grid", catalogue), catalogue).counts["models"] == 2


def test_folders_named_otherwise_are_mapped_in_the_order_of_the_classes(root: Path) -> None:
    before = load_split(place(root), TASK, BING, "test")
    for part in SMALL:
        (root / "cat_dog/bing" / part / "cat").rename(root / "cat_dog/bing" / part / "Katze 1")
    mapped = Plugin("folder", (("folders", ("Katze 1", "dog")), ("origin", "bing")))
    found = load_split(place(root / "."), TASK, mapped, "test")
    assert np.array_equal(found.images, before.images) and np.array_equal(found.labels, before.labels)
    assert found.ids[0] == "bing/test/Katze 1/cat0000.jpg"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "parameter 'origin': missing, as in"),
        ({"origin": "../bing"}, "parameter 'origin': expected the name of a folder, got '../bing'"),
        ({"origin": "/etc"}, "parameter 'origin': expected the name of a folder"),
        ({"origin": "bing", "folders": ("cat",)}, "parameter 'folders': expected 2 different names, one for each of"),
        ({"origin": "bing", "folders": ("cat", "cat")}, "expected 2 different names"),
        ({"origin": "bing", "folders": ("cat", "a/b")}, "parameter 'folders': expected names of folders, got 'a/b'"),
    ],
)
def test_parameters_that_name_no_folder_are_refused(root: Path, params: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=f"source 'folder': .*{sentence}"):
        class_counts(place(root), TASK, Plugin("folder", tuple(params.items())), "test")


def test_hidden_files_are_passed_over(root: Path) -> None:
    (root / "cat_dog/bing/test/cat/.DS_Store").write_bytes(b"x")
    (root / "cat_dog/bing/test/Thumbs.db").write_bytes(b"x")
    assert class_counts(place(root), TASK, BING, "test") == (4, 4)


def test_decoded_images_are_kept_where_files_may_be_fetched_and_made_again_when_one_changes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_split(place(root), TASK, BING, "test")
    assert not (root / ".decoded").exists()
    load_split.cache_clear()
    kept = load_split(place(root, download=True), TASK, BING, "test")
    (file,) = (root / ".decoded").iterdir()
    assert file.suffix == ".npy" and np.array_equal(kept.images, plain.images)
    load_split.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("dumb_bench.data.pictures.decoded", lambda *arguments: pytest.fail("decoded again"))
        again = load_split(place(root), TASK, BING, "test")
    assert np.array_equal(again.images, plain.images) and not again.images.flags.writeable
    load_split.cache_clear()
    file.write_bytes(file.read_bytes()[:-5])  # a torn one is not used
    assert np.array_equal(load_split(place(root), TASK, BING, "test").images, plain.images)
    load_split.cache_clear()
    changed = root / "cat_dog" / plain.ids[0]
    Image.new("RGB", (32, 32), (200, 10, 10)).save(changed)
    found = load_split(place(root, download=True), TASK, BING, "test")
    assert found.images[0, 0].min() > 180 and np.array_equal(found.images[1:], plain.images[1:])
    assert len(list((root / ".decoded").iterdir())) == 2


@pytest.mark.parametrize("obstacle", ["a file in its place", "no room"])
def test_where_nothing_can_be_kept_images_are_decoded_in_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    if obstacle == "no room":

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.posix_fallocate", full)
    else:
        (root / ".decoded").write_text("")
    found = load_split(place(root, download=True), TASK, BING, "test")
    assert found.images.shape == (8, 3, 32, 32) and found.images.std() > 1
    assert obstacle != "no room" or list((root / ".decoded").iterdir()) == []


def test_two_origins_are_two_sources_with_seeds_of_their_own(root: Path) -> None:
    catalogue = place(root)
    models = build_plan(parse_grid(grid(("bing", "google")), "grid", catalogue), catalogue).models.values()
    assert {model.columns["source"] for model in models} == {'folder(origin="bing")', 'folder(origin="google")'}
    assert len({model.training_key for model in models}) == len({model.id for model in models}) == 2


def test_fetch_reads_a_tree_and_keeps_it_decoded(
    root: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "grid.toml").write_text(grid())
    load_split.cache_clear()
    ended = command("fetch", "grid.toml", "--data", root)
    assert (ended.code, ended.out) == (0, 'folder(origin="bing") (cat_dog@32): 28 images\n'), ended.err
    assert len(list((root / ".decoded").iterdir())) == len(SPLITS)


def test_the_tiny_study_has_all_eight_cases(
    tmp_path: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    SCRIPT.write_tree(tmp_path, ("man_woman",), {"train": 20, "val": 8, "test": 6})
    text = (Path(__file__).resolve().parents[2] / "examples" / "tiny_dumb.toml").read_text()
    tables = text.split("[models]")
    text = 'name = "tiny"\ntask = "man_woman"\n[tasks.man_woman]\nsize = 32\n[models]' + tables[1]
    text = text.replace("epochs = 4", "epochs = 1").replace("per_class = 10", "per_class = 5")
    (tmp_path / "grid.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    ended = command("run", "grid.toml", "--data", ".", "--address", "serial", "--no-report")
    assert ended.code == 0, ended.err
    tests = pq.read_table(tmp_path / "results" / "tiny" / "tables" / "tests").to_pylist()
    fgsm = [row for row in tests if row["attack"] == "fgsm"]
    assert len(fgsm) == 8 * 8 and {row["task"] for row in tests} == {"man_woman@32"}
    assert {case: sum(row["case"] == case for row in fgsm) for case in CASES} == dict.fromkeys(CASES, 8)
    origin = {row["surrogate_source"] for row in fgsm if row["image_source"] == 'folder(origin="bing")'}
    assert origin == {'folder(origin="bing")'}


def test_a_published_set_that_is_not_there_is_planned_by_its_numbers_and_never_run(
    tmp_path: Path, write: Callable[..., Path], command: Callable[..., Ended]
) -> None:
    google = Plugin("folder", (("origin", "google"),))
    assert [class_counts(place(tmp_path), "cat_dog", google, split) for split in SPLITS] == [
        (3500, 3500), (250, 250), (250, 250), (1000, 1000)
    ]  # fmt: skip
    for task, origin in (("cat_dog", "mine"), ("digits", "bing")):
        with pytest.raises(InputError, match="no such folder"):
            class_counts(place(tmp_path), task, Plugin("folder", (("origin", origin),)), "test")
    path = write(grid(("bing", "google")))
    ended = command("plan", path, "--data", tmp_path)
    assert (
        ended.code == 0 and 'not here: folder(origin="google") of cat_dog@32; counted as it was published' in ended.out
    )
    ended = command("run", path, "--data", tmp_path, "--results", tmp_path / "r", "--address", "serial")
    assert ended.code == 2 and "no such folder" in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / ".store/artifacts").exists()
    (tmp_path / "cat_dog/google").mkdir(parents=True)
    with pytest.raises(InputError, match="expected train, val and test"):
        class_counts(place(tmp_path), "cat_dog", google, "test")
