"""`export`: kept images as PNG files with an index; one clear line where there are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from minigrid import Ended
from PIL import Image

from dumb_bench.export import _index
from dumb_bench.store.kept import get_whole, levels_of, sample_name, whole_name
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.store import Store


def attack(results: Path, name: str, step: bool = False) -> pd.Series:
    rows = pd.read_parquet(results / "tables" / "attacks")
    return rows[(rows.attack == name) & (rows.step.notna() == step)].iloc[0]


def name_of(row: pd.Series) -> str:
    strength = None if pd.isna(row.strength) else float(row.strength)
    return whole_name(row.set_id, strength, None if pd.isna(row.step) else int(row.step))


@pytest.mark.parametrize("name, step", [("fgsm", False), ("bim", True), ("identity", False), ("delta_swap", False)])
def test_a_whole_set_is_written_image_by_image(
    name: str, step: bool, kept_run: Path, tmp_path: Path, command: Callable[..., Ended]
) -> None:
    row = attack(kept_run, name, step)
    ended = command("export", kept_run, "--attack-id", row.attack_id, "--out", tmp_path / "a" / "b")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("20 images; index: ")
    index = pd.read_csv(tmp_path / "a" / "b" / "index.csv")
    levels = levels_of(get_whole(Store.open(kept_run.parent / ".store"), name_of(row)).images)
    for line in index.itertuples():
        with Image.open(tmp_path / "a" / "b" / line.file) as image:
            assert np.array_equal(np.asarray(image), levels[line.index].transpose(1, 2, 0))
    images = pd.read_parquet(kept_run / "tables" / "images").sort_values("index")
    assert index.image_id.tolist() == images.image_id.tolist() and index.label.tolist() == images.label.tolist()
    if row.surrogate_predictions is None:
        assert index.surrogate_prediction.isna().all()
    else:
        assert index.surrogate_prediction.tolist() == row.surrogate_predictions.tolist()
    assert np.array_equal(index.linf.astype(np.float32), row.linf)
    assert np.array_equal(index.ssim.astype(np.float32), row.ssim)


@pytest.fixture
def copy(kept_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(kept_run.parent, tmp_path / "runs")
    return tmp_path / "runs" / "mini"


def test_a_sample_a_damaged_one_and_nothing(copy: Path, tmp_path: Path, command: Callable[..., Ended]) -> None:
    row = attack(copy, "fgsm")
    ask = ("export", copy, "--attack-id", row.attack_id, "--out")
    artifacts = copy.parent / ".store" / "artifacts"
    name = whole_name(row.set_id, row.strength)
    shutil.rmtree(artifacts / name[:2] / name)
    ended = command(*ask, tmp_path / "few")
    assert (ended.code, ended.out.split(";")[0]) == (0, "8 images of the 20 in the set, the sample that was kept")
    assert len(list((tmp_path / "few").glob("*.png"))) == len(pd.read_csv(tmp_path / "few" / "index.csv")) == 8
    name = sample_name(row.set_id, row.strength)
    picture = next((artifacts / name[:2] / name).glob("*adversarial.png"))
    picture.write_bytes(picture.read_bytes()[:-10])
    ended = command(*ask, tmp_path / "torn")
    assert ended.code == 2 and picture.name in ended.err and not (tmp_path / "torn").exists()
    ended = command(*ask, tmp_path / "none")
    assert ended.code == 2 and len(ended.err.splitlines()) == 1
    assert f"no image is kept of attack id {row.attack_id} (fgsm)" in ended.err and "keep_adversarial" in ended.err
    assert not (tmp_path / "none").exists()


def test_bad_input_is_one_line(copy: Path, tmp_path: Path, command: Callable[..., Ended]) -> None:
    row = attack(copy, "fgsm")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    shutil.move(copy.parent / ".store", tmp_path / "elsewhere")
    for arguments, text in (
        (("--attack-id", "../x", "--out", tmp_path / "out"), "no attack id '../x' here"),
        (("--attack-id", row.attack_id, "--out", tmp_path / "full"), "full: is not empty; name a new folder"),
        (("--attack-id", row.attack_id, "--out", tmp_path / "out"), ".store: cannot be read"),
    ):
        ended = command("export", copy, *arguments)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1) and text in ended.err, ended.err
    asked = ("--attack-id", row.attack_id, "--out", tmp_path / "out", "--store", tmp_path / "elsewhere")
    assert command("export", copy, *asked).code == 0


def test_the_index_is_safe_in_a_spreadsheet(kept_run: Path) -> None:
    folder = ResultFolder.open(kept_run)
    images = folder.read_table("images").to_pylist()
    images[0]["image_id"] = "=cmd|' /C calc'!A0"
    table = folder.read_table("images").schema.empty_table().from_pylist(images)
    row = folder.read_table("attacks").to_pylist()[0]
    assert _index(row, table, 3)[0]["image_id"] == "'=cmd|' /C calc'!A0"
