"""Every figure of a grid draws on one row, one seed, and many attacks with hostile names, without overlapping text."""

from pathlib import Path

import pandas as pd
import pytest
from figure_frames import assert_clear, grid_frame, sets_frame, tunings_frame
from matplotlib.figure import Figure

from dumb_bench.catalogue import Catalogue
from dumb_bench.report.contrasts import summary
from dumb_bench.report.figures.base import NothingToShowError
from dumb_bench.report.render import canvas_of, prepared_data, render
from dumb_bench.report.visibility import visibility

CATALOGUE = Catalogue()
NAMES = (
    "case_radar", "case_bars", "overview", "kinds_of_attack", "architecture_matrix", "source_impact", "tuning_history",
    "visibility", "cost", "surrogate_victim_matrix", "strength_curves",
)  # fmt: skip
HOSTILE = ["$x_1$", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "100 % \\frac{1}{2}", "W" * 200]
HOSTILE += ["x" * 199 + "y", "x" * 100 + "-" + "x" * 99]
MANY = ["pgd", *HOSTILE, "box_blur", "gaussian_noise", *(f"torchattacks.VMIFGSM{number:02d}" for number in range(14))]
ARCHITECTURES = ("$r$", "<b>", "W" * 200, *(f"torchvision.vgg{number}_bn" for number in range(7)))
BARE = {"one_row": {"case_radar", "kinds_of_attack", "architecture_matrix", "source_impact", "strength_curves"}}
BARE["one_seed"] = {"strength_curves"}
"""What has nothing to show there; everything else is drawn."""


def _tests(shape: str) -> pd.DataFrame:
    if shape == "one_row":
        rows = grid_frame(sources=("a",), architectures=("x",), balances=("50/50",), noise=None)
        return rows[~rows["white_box"]].head(1).reset_index(drop=True)
    if shape == "one_seed":
        return grid_frame(("pgd", "box_blur"), seeds=(0,), noise=None)
    rates = {name: number / len(MANY) for number, name in enumerate(MANY)}
    sources = ('folder(origin="bing")', "=cmd" + "W" * 196)
    return grid_frame(
        MANY, sources=sources, architectures=ARCHITECTURES, balances=("50/50", "20/80"), seeds=(0,), surrogates=3,
        strengths=(1 / 255, 2 / 255, 16 / 255), rate=lambda test: rates[test["attack"]],
    )  # fmt: skip


@pytest.fixture(scope="module", params=["one_row", "one_seed", "many"])
def shape(request: pytest.FixtureRequest) -> tuple[str, dict[str, pd.DataFrame]]:
    tests = _tests(request.param)
    attacks = MANY if request.param == "many" else ["pgd"]
    return request.param, {
        "tests": tests, "summary": summary(tests), "visibility": visibility(tests, sets_frame(tests)),
        "tunings": tunings_frame(attacks, surrogates=1 if request.param == "one_row" else 3, chosen=0.0102,
                                 strengths=(0.0101, 0.0102, 0.0103)),
    }  # fmt: skip


def drawn(name: str, frames: dict[str, pd.DataFrame]) -> Figure:
    entry = CATALOGUE.get("figures", name)
    plot = entry.call()
    return canvas_of(plot, entry.info, prepared_data(plot, entry.info, frames[entry.info.table]))


@pytest.mark.parametrize("name", NAMES)
def test_texts_neither_overlap_nor_leave_the_canvas(shape, name):
    kind, frames = shape
    if name in BARE.get(kind, ()):
        with pytest.raises(NothingToShowError, match=r"^.+ (not drawn|not compared): .+\.$"):
            drawn(name, frames)
    else:
        assert_clear(drawn(name, frames))


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_changes_nothing(name: str):
    tests = grid_frame(
        ("pgd", "$x_1$", "box_blur"), strengths=(0.1, 0.2), rate=lambda test: len(test["victim_id"]) / 40
    )
    frames = {"tests": tests, "tunings": tunings_frame(["pgd", "bim"])}
    sets = sets_frame(tests)
    entry = CATALOGUE.get("figures", name)
    found = []
    for step in (1, -1):
        now = {key: frame.iloc[::step].reset_index(drop=True) for key, frame in frames.items()}
        now |= {"summary": summary(now["tests"]), "visibility": visibility(now["tests"], sets)}
        found.append(prepared_data(entry.call(), entry.info, now[entry.info.table]))
    pd.testing.assert_frame_equal(*found)


def test_the_check_of_overlaps_can_fail():
    canvas = Figure(figsize=(3, 2), layout="constrained")
    axes = canvas.subplots()
    axes.plot([0, 1])
    assert_clear(canvas)
    axes.set_xticks([0.5, 0.51], ["long label", "another"])
    with pytest.raises(AssertionError, match="overlap"):
        assert_clear(canvas)


@pytest.mark.parametrize("name", ["case_bars", "surrogate_victim_matrix", "visibility"])
def test_null_intervals_and_a_second_run_change_nothing(tmp_path: Path, name: str):
    tests = grid_frame(("pgd", "$x_1$", "box_blur"), seeds=(0,))
    frames = {"tests": tests, "summary": summary(tests), "visibility": visibility(tests, sets_frame(tests))}
    entry = CATALOGUE.get("figures", name)
    runs = [
        render(name, entry.call(), entry.info, frames[entry.info.table].iloc[::step], tmp_path / str(step))
        for step in (1, -1)
    ]
    assert runs[0].svg is not None
    assert runs[0] == runs[1]
    for kind in ("png", "pdf", "csv"):
        assert (tmp_path / "1" / f"{name}.{kind}").read_bytes() == (tmp_path / "-1" / f"{name}.{kind}").read_bytes()
