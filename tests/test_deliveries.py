"""Deliveries: known pictures through each, names with a number, and a grid that scores all in one pass."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from minigrid import FGSM, Ended, mini_grid
from PIL import Image

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.seeding import derive_seed


def pictures(count: int = 3, channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(derive_seed("deliveries")))


def delivered(name: str, images: torch.Tensor) -> torch.Tensor:
    result = Catalogue().get("deliveries", name).call(images)
    assert isinstance(result, torch.Tensor)
    return result


@pytest.mark.parametrize("quality", [1, 50, 75, 100])
def test_jpeg_is_what_pillow_reads_back(quality: int) -> None:
    images = pictures()
    found = delivered(f"jpeg{quality}", images)
    for image, own in zip(images, found, strict=True):
        levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        file = BytesIO()
        Image.fromarray(levels).save(file, format="JPEG", quality=quality, subsampling="4:2:0")
        assert np.array_equal((own * 255).round().byte().permute(1, 2, 0).numpy(), np.asarray(Image.open(file)))


def test_a_grey_jpeg_stays_grey_and_a_flat_one_unchanged() -> None:
    flat = torch.full((2, 1, 16, 16), 100 / 255)
    assert torch.equal(delivered("jpeg90", flat), flat)
    with pytest.raises(InputError, match="expected images of 1 or 3 channels, got 4"):
        delivered("jpeg90", pictures(channels=4))


def test_lower_quality_loses_more() -> None:
    images = pictures()
    losses = [float((delivered(f"jpeg{quality}", images) - images).abs().mean()) for quality in (95, 60, 20)]
    assert losses == sorted(losses) and losses[0] > 0


def test_resize_of_the_same_side_only_rounds_and_a_smaller_one_blurs() -> None:
    images = pictures()
    assert torch.equal(delivered("resize32", images), delivered("uint8", images))
    checkers = (torch.arange(32)[:, None] + torch.arange(32)[None]).remainder(2).float().expand(1, 3, 32, 32)
    assert torch.allclose(delivered("resize8", checkers), torch.full((1, 3, 32, 32), 0.5), atol=0.51 / 255)


def test_resize_is_pillows_on_the_way_down() -> None:
    images = pictures(side=31)
    there = torch.nn.functional.interpolate(images, (12, 12), mode="bilinear", antialias=True)
    for image, own in zip(delivered("uint8", images), there, strict=True):
        levels = (image * 255).byte().permute(1, 2, 0).numpy()
        pillow = np.asarray(Image.fromarray(levels).resize((12, 12), Image.Resampling.BILINEAR))
        assert np.abs(own.permute(1, 2, 0).numpy() * 255 - pillow).max() <= 1.01


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jpeg", "unknown delivery 'jpeg'"),
        ("jpeg101", "less than or equal to 100, got 101"),
        ("jpeg0", "unknown delivery 'jpeg0'"),
        ("jpeg075", "unknown delivery 'jpeg075'"),
        ("resize1", "greater than or equal to 2, got 1"),
        ("jpg75", "Available: float32, jpegN, resizeN, uint8"),
    ],
)
def test_a_wrong_name_is_one_clear_line(
    name: str, message: str, write: Callable[..., Path], command: Callable[..., Ended]
) -> None:
    grid = write(mini_grid().replace("per_class = 10", f'per_class = 10\ndeliveries = ["{name}"]'))
    ended = command("plan", grid)
    assert ended.code == 2 and message in ended.err and len(ended.err.strip().splitlines()) == 1


def test_all_deliveries_are_scored_on_one_crafting(tmp_path: Path, command: Callable[..., Ended]) -> None:
    names = ["float32", "jpeg75", "resize16", "uint8"]
    grid = tmp_path / "grid.toml"
    text = mini_grid(sources='["optdigits"]', attacks=FGSM)
    grid.write_text(text.replace("per_class = 10", f"per_class = 10\ndeliveries = {names}"))
    results = tmp_path / "r"
    assert command("run", grid, "--results", results, "--address", "serial", "--no-report").code == 0
    attacks, tests, models = (pd.read_parquet(results / "tables" / name) for name in ("attacks", "tests", "models"))
    fgsm = attacks[attacks.attack == "fgsm"]
    assert len(fgsm) == 2 * len(names) and fgsm.groupby("strength").set_sha256.nunique().eq(1).all()
    assert (fgsm.groupby("strength").linf_delivered.apply(lambda rows: len({str(row) for row in rows})) > 1).all()
    identity = tests[tests.attack == "identity"].set_index("delivery")
    assert sorted(identity.index) == names
    assert identity.loc[["float32", "uint8"], "n_success"].eq(0).all()
    assert sorted(models.test_delivery[0]) == names
    raw = identity.n_victim_correct_raw
    assert raw.nunique() == 1 and raw["uint8"] == identity.n_victim_correct["uint8"]
