"""Broken data trees: `check data` names each in one clear line; `run` stops at the same line; nothing is trained."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrid import Ended, files_below
from PIL import Image
from tiny_data import SCRIPT, SMALL, grid

from dumb_bench.data.images import load_split


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    SCRIPT.write_tree(root, ("cat_dog",), SMALL)
    return root


@pytest.fixture
def tree(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a grid and a tree of its own; the folder of its first source."""
    shutil.copytree(whole, tmp_path / "data")
    (tmp_path / "grid.toml").write_text(grid())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUMB_BENCH_DATA", raising=False)
    load_split.cache_clear()
    return tmp_path / "data" / "cat_dog" / "bing"


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])


def fake_png(path: Path) -> None:
    noise(32, 32).save(path.with_suffix(".png"))
    truncated(path.with_suffix(".png"))


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16)).save(path)


def loop(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def hostile_bytes(tree: Path) -> None:
    name = os.fsencode(tree / "test" / "cat") + b"/\xff.jpg"
    shutil.copy(tree / "test" / "cat" / "cat0000.jpg", os.fsdecode(name))


def flat(tree: Path) -> None:
    for path in (tree / "test").rglob("*.jpg"):
        path.rename(tree / "test" / path.name)
    for name in ("cat", "dog"):
        (tree / "test" / name).rmdir()


def file_for_folder(tree: Path) -> None:
    shutil.rmtree(tree / "test" / "dog")
    (tree / "test" / "dog").write_text("dogs")


def keep_one(tree: Path) -> None:
    for number in (1, 2, 3):
        (tree / "val" / "cat" / f"cat000{number}.jpg").unlink()


CAT = "test/cat/cat0001.jpg"

STOPS_A_RUN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no source": (shutil.rmtree, "cat_dog/bing: no such folder; expected cat_dog/bing/{train,val,test}/CLASS/"),
    "no split": (lambda tree: shutil.rmtree(tree / "val"), "bing/val: no such folder; expected train, val and test"),
    "no class": (lambda tree: (tree / "train" / "cat").rename(tree / "train" / "Cat"),
                 "bing/train: holds no folder for class 'cat', but Cat, dog; rename, or give `folders`"),
    "no class folders": (flat, "bing/test: holds no folder for class 'cat', but cat0000.jpg, cat0001.jpg,"),
    "a class too many": (lambda tree: (tree / "train" / "bird").mkdir(),
                         "bing/train: holds 'bird', expected only the classes' folders cat, dog"),
    "a file for a class": (file_for_folder, "bing/test/dog: is no folder; expected a folder of images"),
    "an empty class": (lambda tree: [path.unlink() for path in (tree / "test" / "dog").iterdir()],
                       "bing/test/dog: holds no image; expected files such as 0001.jpg"),
    "no image by its name": (lambda tree: (tree / "train" / "dog" / "notes.txt").write_text("x"),
                             "bing/train/dog: 'notes.txt' is no image; expected .jpg, "),
    "a folder among images": (lambda tree: (tree / "test" / "cat" / "more").mkdir(),
                              "bing/test/cat: holds the folder 'more'; expected only images"),
    "a pipe": (lambda tree: os.mkfifo(tree / "test" / "cat" / "a.jpg"), "bing/test/cat: 'a.jpg' is no regular file"),
    "a circle of links": (lambda tree: loop(tree / CAT),
                          "bing/test/cat: 'cat0001.jpg' is a link that leads nowhere or in a circle"),
    "a class in a circle": (lambda tree: loop(tree / "test" / "cat"),
                            "bing/test/cat: cannot be opened (Too many levels of symbolic links)"),
    "a name with a line break": (lambda tree: shutil.copy(tree / CAT, tree / "test" / "cat" / "a\n\x1b[2J.jpg"),
                                 "bing/test/cat: holds a file named 'a\\n\\x1b[2J.jpg'; expected printable characters"),
    "a name of no letters": (hostile_bytes, "bing/test/cat: holds a file named '\\udcff.jpg'; expected printable"),
    "a truncated JPEG": (lambda tree: truncated(tree / CAT),
                         f"cat_dog/bing/{CAT}: is damaged or truncated (image file is truncated"),
    "a truncated PNG": (lambda tree: fake_png(tree / CAT), "cat0001.png: is damaged or truncated ("),
    "text for an image": (lambda tree: (tree / CAT).write_text("<html>not found</html>"),
                          f"cat_dog/bing/{CAT}: is no picture, whatever its name says"),
    "an empty file": (lambda tree: (tree / CAT).write_bytes(b""), f"cat_dog/bing/{CAT}: is empty, 0 bytes"),
    "16 bits": (lambda tree: sixteen_bits((tree / CAT).with_suffix(".png")),
                "cat0001.png: has 'I;16' pixels, expected 8 bits a channel; convert it"),
    "a dot": (lambda tree: noise(1, 1).save(tree / CAT), f"{CAT}: is 1 x 1 pixels; expected sides of 4 and more"),
    "a line": (lambda tree: noise(400, 8).save(tree / CAT), "is 400 x 8 pixels; expected sides of 4 and more"),
}  # fmt: skip

SPOILS_A_RUN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a class of one in val": (keep_one, "bing/val/cat: holds 1 image; expected two or more"),
    "in train and test": (lambda tree: shutil.copy(tree / CAT, tree / "train" / "cat" / "other.jpg"),
                          "bing/train/cat/other.jpg and bing/test/cat/cat0001.jpg: the same image in train and test"),
    "under two labels": (lambda tree: shutil.copy(tree / CAT, tree / "test" / "dog" / "other.jpg"),
                         f"bing/{CAT} and bing/test/dog/other.jpg: the same image under two labels, 'cat' and 'dog'"),
    "a truncated training image": (lambda tree: truncated(tree / "train" / "dog" / "dog0003.jpg"),
                                   "cat_dog/bing/train/dog/dog0003.jpg: is damaged or truncated"),
}  # fmt: skip


def lone_error(ended: Ended) -> str:
    assert ended.code == 2 and "Traceback" not in ended.err, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(("spoil", "sentence"), STOPS_A_RUN.values(), ids=STOPS_A_RUN)
def test_what_stops_a_run_is_one_line_of_check_data_and_of_run(
    tree: Path, command: Callable[..., Ended], spoil: Callable[[Path], object], sentence: str
) -> None:
    spoil(tree)
    before = files_below(tree.parent)
    found = lone_error(command("check", "data", "grid.toml", "--data", "data"))
    assert sentence in found and found.startswith('error: folder(origin="bing") (cat_dog@32): ')
    assert files_below(tree.parent) == before
    stopped = lone_error(command("run", "grid.toml", "--data", "data", "--address", "serial"))
    assert sentence in stopped
    assert not [name for name in files_below(Path()) if name.endswith((".parquet", ".safetensors"))]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILS_A_RUN.values(), ids=SPOILS_A_RUN)
def test_what_spoils_a_run_is_one_line_of_check_data(
    tree: Path, command: Callable[..., Ended], spoil: Callable[[Path], object], sentence: str
) -> None:
    spoil(tree)
    assert sentence in lone_error(command("check", "data", "grid.toml", "--data", "data"))


@pytest.mark.parametrize("verb", [("check", "data"), ("run",)])
def test_a_file_that_may_not_be_read_is_named(
    tree: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    reading = Path.open

    def refused(path: Path, *arguments: Any, **others: Any) -> object:
        if path.name == "cat0001.jpg" and path.parent.parent.name == "test":
            raise PermissionError(13, "Permission denied")
        return reading(path, *arguments, **others)

    monkeypatch.setattr(Path, "open", refused)  # not by its mode: who runs tests as root may read all
    found = lone_error(command(*verb, "grid.toml", "--data", "data"))
    assert f"cat_dog/bing/{CAT}: cannot be read (Permission denied)" in found


def test_too_few_images_for_the_grid_are_told_when_all_are_whole(tree: Path, command: Callable[..., Ended]) -> None:
    Path("grid.toml").write_text(grid(per_class=5))
    sentence = "images.per_class: expected at most 4 (class 0 has no more), got 5 in split 'test' of source 'folder'"
    for verb in (("check", "data"), ("run",)):
        assert sentence in lone_error(command(*verb, "grid.toml", "--data", "data"))
    Path("grid.toml").write_text(grid().replace("50/50", "1/99"))
    assert "leaves class 0 without an image" in lone_error(command("check", "data", "grid.toml", "--data", "data"))


def test_a_whole_tree_is_counted_and_what_deserves_a_look_is_noted(tree: Path, command: Callable[..., Ended]) -> None:
    Path("grid.toml").write_text(grid(("bing", "google")))
    ended = command("check", "data", "grid.toml", "--data", "data")
    counts = "28 images, none broken: train 12, validation 4, tuning 4, test 8"
    assert (ended.code, ended.out.splitlines()) == (
        0, [f'folder(origin="{origin}") (cat_dog@32): {counts}' for origin in ("bing", "google")]
    )  # fmt: skip
    shutil.copy(tree / CAT, tree / "test" / "cat" / "again.jpg")
    shutil.copy(tree / CAT, tree.parent / "google" / "test" / "cat" / "theirs.jpg")
    (tree / "train" / "dog" / "dog0000.jpg").rename(tree / "train" / "dog" / "cat0000.jpg")
    ended = command("check", "data", "grid.toml", "--data", "data")
    notes = [line for line in ended.out.splitlines() if line.startswith("note: ")]
    bing, google = (f'folder(origin="{origin}") (cat_dog@32)' for origin in ("bing", "google"))
    assert ended.code == 0 and notes == [
        f"note: {bing}: 1 file names of train occur in more than one class: cat0000.jpg (cat, dog)",
        f"note: {bing}: 1 images of test repeat another of their class, such as bing/test/cat/cat0001.jpg",
        f'note: {google}: 1 images are images of folder(origin="bing") too',
    ]


def test_all_faults_are_named_and_many_are_counted(tree: Path, command: Callable[..., Ended]) -> None:
    for number in range(30):
        (tree / "train" / "cat" / f"x{number:02d}.jpg").write_bytes(b"")
    truncated(tree / CAT)
    ended = command("check", "data", "grid.toml", "--data", "data")
    lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert ended.code == 2 and len(lines) == 21 and lines[-1].endswith("and 11 more")


def test_a_training_image_that_breaks_later_fails_its_models_with_the_same_line(
    tree: Path, command: Callable[..., Ended]
) -> None:
    truncated(tree / "train" / "dog" / "dog0003.jpg")
    ended = command("run", "grid.toml", "--data", "data", "--address", "serial", "--no-report")
    assert ended.code == 3
    shown = command("status", "results/tiny").out
    assert "cat_dog/bing/train/dog/dog0003.jpg: is damaged or truncated (image file is truncated" in shown


def test_the_digits_have_no_fault(command: Callable[..., Ended], write: Callable[..., Path]) -> None:
    from minigrid import mini_grid

    ended = command("check", "data", write(mini_grid()))
    assert ended.code == 0 and "optdigits (digits): 1,076 images, none broken" in ended.out
