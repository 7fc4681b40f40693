"""The gallery of kept images on the page: there where images were kept, absent elsewhere, small and safe."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_results import Shape, build
from test_report_page import Page

from dumb_bench.errors import DamagedFileError
from dumb_bench.report import gallery as on_page
from dumb_bench.report.gallery import MAX_BYTES, MAX_SETS, MAX_SIDE, difference, drawn, kept_images
from dumb_bench.report.generate import generate
from dumb_bench.store import gallery
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.gallery import About, Shown

SHAPE = Shape(sources=("a",), architectures=("x",), balances=("50/50",), seeds=(0,))
HOSTILE = "<script>alert(1)</script>"


def shown(name: str = "fgsm", side: int = 6, count: int = 3, channels: int = 3) -> Shown:
    clean = np.full((count, channels, side, side), 100, np.uint8)
    made = clean + np.random.default_rng(0).integers(0, 8, clean.shape, dtype=np.uint8)
    about = About(
        attack=name, strength=0.1, unit="px", image_source=name, task="t", surrogate=name, delivery="uint8",
        image_id=[f'{name}" onload="x'] * count, label=[1] * count, prediction=[1, 0, 1][:count],
        linf=[0.0304] * count, l2=[1.256] * count,
    )  # fmt: skip
    return Shown(about, clean, made)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    build(tmp_path / "results", SHAPE)
    return tmp_path / "results"


def images_of(text: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r'src="data:image/png;base64,([^"]+)"', text)]


def test_the_difference_is_scaled_to_the_largest_of_the_set() -> None:
    clean = np.array([[[[10, 20, 30, 40]]]], np.uint8)
    made = np.array([[[[10, 24, 22, 41]]]], np.uint8)
    delta, scale = difference(clean, made)
    assert scale == 127 / 8
    assert delta.tolist() == [[[[128, 128 + 64, 1, 128 + 16]]]]
    assert difference(clean, clean)[0].tolist() == [[[[128] * 4]]] and difference(clean, clean)[1] == 0


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_picture_has_three_rows_that_are_the_images(channels: int) -> None:
    item = shown(side=6, channels=channels)
    pixels = np.asarray(Image.open(io.BytesIO(drawn(item)[0])))
    planes = 1 if channels == 3 else channels
    assert pixels.shape[:2] == (3 * planes * 8, 3 * 8)
    one = pixels[planes * 8 + 1 : planes * 8 + 7, 9:15]  # the second adversarial image, its first plane
    expected = item.adversarial[1].transpose(1, 2, 0) if channels == 3 else item.adversarial[1, 0]
    assert np.array_equal(one, expected)
    assert (pixels[0] == 255).all()


def test_large_images_are_shown_by_every_kth_pixel() -> None:
    item = shown(side=2 * MAX_SIDE + 1)
    assert np.asarray(Image.open(io.BytesIO(drawn(item)[0]))).shape[0] == 3 * (65 + 2)


def test_the_page_shows_what_is_kept_and_nothing_that_runs(results: Path, tmp_path: Path) -> None:
    gallery.write(LocalPlace(results), [shown("fgsm"), shown(HOSTILE)])
    page = generate(results, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text and "&lt;script&gt;" in text
    found = Page(page)
    assert "Kept images" in found.text and "fgsm at 0.1 px." in found.text and "Difference times 18.1." in found.text
    assert "2 of 2 sets" in found.text
    assert not [about for _, about in found.tags if "onload" in about]
    assert [about.get("id") for tag, about in found.tags if tag == "script"] == ["tests-data", None]
    assert text.count('<b class="fooled">1 → 0</b>0.030<br>1.26') == 2
    assert images_of(text) == [drawn(item)[0] for item in (shown("fgsm"), shown(HOSTILE))]


def test_a_surrogate_free_set_has_labels_without_an_answer(results: Path) -> None:
    item = shown("box_blur")
    without = item._replace(about=About(**{**item.about.__dict__, "prediction": None, "surrogate": ""}))
    gallery.write(LocalPlace(results), [without])
    found = kept_images(LocalPlace(results))
    assert found is not None
    assert found["sets"][0]["of"].endswith("made without a surrogate.")
    assert {image["guess"] for image in found["sets"][0]["images"]} == {None}


def test_the_page_is_capped_in_sets_and_bytes(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.write(LocalPlace(results), [shown(f"a{number}") for number in range(MAX_SETS + 2)])
    found = kept_images(LocalPlace(results))
    assert found is not None and (len(found["sets"]), found["total"]) == (MAX_SETS, MAX_SETS + 2)
    one = len(drawn(shown("a0"))[0])
    monkeypatch.setattr(on_page, "MAX_BYTES", 3 * one)
    found = kept_images(LocalPlace(results))
    assert found is not None and len(found["sets"]) == 3
    assert MAX_BYTES * 4 / 3 < 350_000


def test_a_damaged_picture_is_no_picture(results: Path) -> None:
    gallery.write(LocalPlace(results), [shown()])
    path = sorted(results.glob("kept/*.png"))[0]
    path.write_bytes(path.read_bytes()[:-5] + b"xxxxx")
    with pytest.raises(DamagedFileError, match=path.name):
        kept_images(LocalPlace(results))


def test_without_kept_images_the_page_knows_nothing_of_them(results: Path, tmp_path: Path) -> None:
    before = generate(results, tmp_path / "before").read_bytes()
    assert b"kept" not in before.lower() and b"image/png" not in before
    gallery.write(LocalPlace(results), [shown()])
    shutil.rmtree(results / "kept")
    assert generate(results, tmp_path / "after").read_bytes() == before
