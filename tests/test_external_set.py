"""Sets made elsewhere: an exported one and somebody else's, scored on the same victims; what is refused."""

from __future__ import annotations

import csv
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from minigrid import Ended, Quiet
from PIL import Image

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.external_set import read_set

GRID = """
name = "theirs"
task = "digits"
[models]
source = "optdigits"
architecture = "small_alexnet"
balance = "50/50"
[images]
per_class = {per_class}
[training]
recipe = {{ name = "small", epochs = 1 }}
[output]
keep_adversarial = "all"
[[attacks]]
name = "fgsm"
strength = 0.2
{more}
"""
THEIRS = '[[attacks]]\nname = "external.theirs"\n'


def grid(more: str = "", per_class: int = 6) -> str:
    return GRID.format(more=more, per_class=per_class)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a kept FGSM set and kept controls, and the set exported to `fgsm`, the clean images to `clean`."""
    from dumb_bench.export import export_set
    from dumb_bench.runner.run import RunOptions, run_grid

    folder = tmp_path_factory.mktemp("external")
    (folder / "grid.toml").write_text(grid())
    options = RunOptions(results=str(folder / "first"), store=str(folder / ".store"), address="serial")
    assert run_grid(folder / "grid.toml", Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    attacks = pd.read_parquet(folder / "first/tables/attacks")
    for name, place in (("fgsm", "fgsm"), ("identity", "clean")):
        export_set(str(folder / "first"), attacks[attacks.attack == name].attack_id.iloc[0], folder / place)
    return folder


@pytest.fixture
def theirs(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base / "fgsm", tmp_path / "theirs"))


def edited(folder: Path, change: Callable[[list[dict[str, str]]], object]) -> None:
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def run(base: Path, tmp_path: Path, command: Callable[..., Ended], folder: Path, more: str = THEIRS) -> Ended:
    path = tmp_path / "grid.toml"
    path.write_text(grid(more))
    return command(
        "run", path, "--set", f"theirs={folder}", "--results", tmp_path / "r", "--store", base / ".store",
        "--address", "serial", "--no-report",
    )  # fmt: skip


def test_an_exported_set_scores_as_the_set_it_came_from(
    base: Path, theirs: Path, tmp_path: Path, command: Callable[..., Ended]
) -> None:
    ended = run(base, tmp_path, command, theirs)
    assert ended.code == 0, ended.err
    tests, attacks, predictions = (
        pd.read_parquet(tmp_path / "r/tables" / name) for name in ("tests", "attacks", "predictions")
    )
    own, other = (tests[tests.attack == name].iloc[0] for name in ("fgsm", "external.theirs"))
    assert other[["n_images", "n_victim_correct", "n_success", "asr"]].equals(
        own[["n_images", "n_victim_correct", "n_success", "asr"]].rename(other.name)
    )
    assert (other.attack_library, other.victim_id) == ("external", own.victim_id) and pd.isna(other.norm)
    rows = attacks.set_index("attack")
    assert np.array_equal(rows.linf_delivered["external.theirs"], rows.linf_delivered["fgsm"])
    assert np.array_equal(rows.ssim["external.theirs"], rows.ssim["fgsm"])
    labels = predictions.set_index("test_id").predictions
    assert np.array_equal(labels[other.scored_as], labels[own.scored_as])


def test_somebody_elses_images_are_scored_and_their_content_is_their_identity(
    base: Path, tmp_path: Path, command: Callable[..., Ended]
) -> None:
    folder = Path(shutil.copytree(base / "clean", tmp_path / "made"))
    for path in folder.glob("*.png"):  # somebody else's code: upside down
        with Image.open(path) as image:
            made = np.asarray(image)[::-1]
        Image.fromarray(np.ascontiguousarray(made)).save(path)
    edited(folder, lambda rows: [rows.reverse(), [row.pop("label") for row in rows]])  # order and labels do not matter
    assert run(base, tmp_path, command, folder).code == 0
    first = pd.read_parquet(tmp_path / "r/tables/attacks").set_index("attack").loc["external.theirs"]
    clean = {name: np.asarray(Image.open(base / "clean" / name)) for name in ("000000.png", "000003.png")}
    for place, name in ((0, "000000.png"), (3, "000003.png")):
        moved = np.abs(clean[name][::-1].astype(float) - clean[name]).max() / 255
        assert first.linf[place] == pytest.approx(moved, abs=1e-6)
    with Image.open(folder / "000000.png") as image:
        Image.fromarray(255 - np.asarray(image)).save(folder / "000000.png")
    assert run(base, tmp_path, command, folder).code == 0
    second = pd.read_parquet(tmp_path / "r/tables/attacks").set_index("attack").loc["external.theirs"]
    assert second.attack_id != first.attack_id and second.set_sha256 != first.set_sha256


def test_a_set_travels_to_slots_by_itself(theirs: Path) -> None:
    catalogue = Catalogue(sets=(read_set("theirs", theirs),))
    there = pickle.loads(pickle.dumps(catalogue))
    shutil.rmtree(theirs)
    assert there.resolve("attacks", "external.theirs", {}) == catalogue.resolve("attacks", "external.theirs", {})


def first_row(**changes: str) -> Callable[[Path], None]:
    return lambda folder: edited(folder, lambda rows: rows[0].update(changes))


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: edited(folder, lambda rows: [row.pop(name) for row in rows])


def twice(rows: list[dict[str, str]]) -> None:
    rows.append({**rows[0], "file": rows[1]["file"]})


def saved(image: Image.Image) -> Callable[[Path], None]:
    return lambda folder: image.save(folder / "000000.png")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "cannot be read"),
    "no index": (lambda folder: (folder / "index.csv").unlink(), "cannot be read"),
    "an empty index": (lambda folder: (folder / "index.csv").write_text("file,clean_sha256\n"), "names no image"),
    "no hashes": (without("clean_sha256"), "lacks the column 'clean_sha256'"),
    "a ragged line": (lambda folder: (folder / "index.csv").write_text("file,clean_sha256\na\n"), "another number"),
    "no UTF-8": (lambda folder: (folder / "index.csv").write_bytes(b"file,\xff\n"), "utf-8"),
    "a hash that is none": (first_row(clean_sha256="12"), "expected 64 hexadecimal digits, got '12'"),
    "a path": (first_row(file="../000001.png"), "expected the name of a PNG file in this folder, got '../000001.png'"),
    "a terminal code": (first_row(file="\x1b[31m.png"), r"\x1b[31m.png"),
    "a missing image": (first_row(file="none.png"), "none.png: no such file"),
    "a label that is none": (first_row(label="cat"), "label: expected a whole number, got 'cat'"),
    "another label": (first_row(label="7"), "states label 7"),
    "one image twice": (lambda folder: edited(folder, twice), "stands in the index before, with another image"),
    "a torn file": (lambda folder: (folder / "000000.png").write_bytes(b"\x89PNG\r\n"), "is no whole PNG file"),
    "a JPEG": (lambda folder: Image.new("RGB", (32, 32)).save(folder / "000000.png", "JPEG"), "is no whole PNG file"),
    "16 bits": (saved(Image.new("I;16", (32, 32))), "expected an 8-bit PNG of mode L or RGB"),
    "another size": (saved(Image.new("RGB", (16, 16))), "expected images of shape (3, 32, 32), got (3, 16, 16)"),
    "a bomb": (saved(Image.new("L", (20_000, 20_000))), "is no whole PNG file (DecompressionBombError)"),
    "a link": (
        lambda folder: ((folder / "000000.png").unlink(), (folder / "000000.png").symlink_to("/dev/zero")), "is a link"
    ),
    "too few images": (lambda folder: edited(folder, lambda rows: rows.pop()), "lacks 1 of the 12 images"),
}  # fmt: skip


@pytest.mark.parametrize("change, message", BROKEN.values(), ids=BROKEN.keys())
def test_a_wrong_set_is_one_clear_line(
    change: Callable[[Path], object], message: str, base: Path, theirs: Path, tmp_path: Path,
    command: Callable[..., Ended],
) -> None:  # fmt: skip
    change(theirs)
    ended = run(base, tmp_path, command, theirs)
    assert ended.code == 2 and message in ended.err and ended.err.count("\n") == 1, ended.err
    assert not (tmp_path / "r").exists()


def test_a_set_that_is_not_named_is_asked_for(base: Path, tmp_path: Path, command: Callable[..., Ended]) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(grid(THEIRS))
    assert "name their folder: --set theirs=FOLDER" in command("plan", path).err
    with pytest.raises(InputError, match="expected NAME=FOLDER"):
        from dumb_bench.cli_options import catalogue_of

        catalogue_of(None, sets=["theirs"])
