"""Frames and figures in Python, and what a user may set."""

import pytest
from synthetic_results import Shape, build

import dumb_bench
from dumb_bench.cli import main
from dumb_bench.errors import InputError
from dumb_bench.report.frames import NAMES
from dumb_bench.report.style import parse_style

SMALL = Shape(architectures=("x", "y"), balances=("50/50",), n_images=30)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return dumb_bench.load(build(tmp_path_factory.mktemp("results"), SMALL))


def test_frames_are_those_of_the_report(results):
    summary = results.frame("summary")
    assert set(summary["label"]) >= {"tifgsm", "box_blur"}
    assert results.frame("posteriors") is None
    assert results.frame("summary") is summary
    with pytest.raises(InputError, match=r"unknown frame 'sumary'. Did you mean 'summary'"):
        results.frame("sumary")


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_at_hand(results, name):
    frame = results.frame(name)
    assert frame is None or len(frame.columns)


def test_stored_columns_stay_whole(results):
    assert "test_id" in results.tests and "linf" in results.attacks
    assert len(results.attacks["linf"].iloc[0]) == 30


def test_a_figure_is_matplotlibs_with_the_users_style(results):
    figure = results.figure("success_by_case", style={"font.size": 15})
    assert figure.axes and figure.axes[0].get_ylabel() == "success"
    assert figure.axes[0].yaxis.label.get_size() == 8  # the report's own sizes stay where nothing is said of them
    larger = results.figure("success_by_case", style={"axes.labelsize": 15})
    assert larger.axes[0].yaxis.label.get_size() == 15
    with pytest.raises(InputError, match="the grid has nothing of the kind"):
        results.figure("success_by_samples")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("font.size=9", "expected style.KEY=VALUE"),
        ("style.font.size", "expected style.KEY=VALUE"),
        ("style.fontsize=9", "Near it: font.size"),
        ("style.font.size=big", "could not convert"),
        ("style.dpi=9", "a whole number from 50 to 1200"),
        ("style.text.usetex=True", "unknown style 'text.usetex'"),
        ("style.backend=pdf", "unknown style 'backend'"),
    ],
)
def test_a_bad_style_is_one_line(text, sentence):
    with pytest.raises(InputError) as error:
        parse_style([text])
    assert sentence.lower() in str(error.value).lower() and "\n" not in str(error.value)


def test_only_these_figures_are_drawn(results, tmp_path, monkeypatch, capsys):
    def report(*more):
        monkeypatch.setattr("sys.argv", ["dumb-bench", "report", str(results.folder), "--out", str(tmp_path), *more])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr()

    code, _ = report("--only", "success_by_case", "--set", "style.dpi=60")
    assert code == 0
    small = (tmp_path / "figures" / "success_by_case.png").stat().st_size
    names = sorted(path.name for path in tmp_path.rglob("*.*"))
    assert names == [f"success_by_case.{end}" for end in ("csv", "pdf", "png", "tex")]
    assert report("--only", "success_by_case")[0] == 0
    assert (tmp_path / "figures" / "success_by_case.png").stat().st_size > small
    code, said = report("--only", "success_by_cases")
    assert code == 2 and "Did you mean 'success_by_case'" in said.err
    code, said = report("--only", "success_by_samples")
    assert code == 2 and "the grid has nothing of the kind" in said.err
