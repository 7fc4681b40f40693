"""The page as a whole: what it says, that it is safe, that it never breaks, that it is the same every time."""

import base64
import csv
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_results import Shape, build

import dumb_bench.report.html
from dumb_bench.catalogue import Catalogue
from dumb_bench.plugin_file import PluginFile
from dumb_bench.report.generate import generate
from dumb_bench.report.tables import escaped, guarded

HOSTILE = Shape(
    sources=("<script>alert(1)</script>", "=cmd|' /C calc'!A0"),
    architectures=("$x^{", "a_b&%"),
    balances=("50/50",),
    attacks={"<b>x</b>": (0.1, 0.2)},
    failures=2,
    failure_message="<script>alert(2)</script>",
    n_images=10,
)

DEGENERATE = {
    "one_architecture": Shape(architectures=("x",), balances=("50/50",)),
    "one_source": Shape(sources=("a",), balances=("50/50",), architectures=("x", "y")),
    "one_seed": Shape(seeds=(0,), balances=("50/50",), architectures=("x", "y")),
    "single_model": Shape(sources=("a",), architectures=("x",), balances=("50/50",), seeds=(0,)),
    "no_gradient_attack": Shape(attacks={}, architectures=("x",)),
    "only_failures": Shape(attacks={}, blur=(), controls=False, failures=3, architectures=("x",)),
    "nothing": Shape(attacks={}, blur=(), controls=False, seeds=()),
    "no_clean_image_right": Shape(n_images=0, architectures=("x",), balances=("50/50",)),
    "half_missing": Shape(tests_kept=0.5, architectures=("x",), failures=1),
}


class Page(HTMLParser):
    """Collects tags and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    root = tmp_path_factory.mktemp("quickstart")
    build(root / "results", Shape(seeds=(0, 1, 2)))
    return root, generate(root / "results", root / "out")


def test_the_page_says_what_it_must(quickstart):
    page = Page(quickstart[1])
    for text in (
        "How well do adversarial examples made on a surrogate fool a victim",
        "C5 (source) succeeds less often than C1",
        "new seeds on the same images",
        "exploratory",
        "chosen after looking",
        "no claim about new ones",
        "12,960",
        "18,144",
        "images it gets right when clean",
        'name = "synthetic"',
    ):
        assert text in page.text, text
    assert "No difference from C1 is resolved for C2" in page.text


def test_two_seeds_a_cell_are_too_few_for_a_claim(tmp_path):
    """The same effects as in the page of three seeds: shown with intervals, put into no words."""
    page = Page(generate(build(tmp_path / "results"), tmp_path / "out"))
    assert "seeds are too few (fewer than 3 seeds in a cell): C1, C2" in page.text
    assert "succeeds less often" not in page.text and "No effect of an axis is claimed" in page.text


def test_the_page_fetches_nothing(quickstart):
    page = Page(quickstart[1])
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object")]
    assert [attrs for tag, attrs in page.tags if tag == "script"] == [
        {"type": "application/json", "id": "tests-data"},
        {},
    ]
    sources = [attrs.get("src", "") or "" for _, attrs in page.tags if "src" in attrs]
    assert len(sources) == len(list((quickstart[1].parent / "figures").glob("*.png"))) >= 4
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    links = [attrs.get("href", "") or "" for tag, attrs in page.tags if tag == "a"]
    for link in links:
        assert link.startswith("#") or (quickstart[1].parent / link).is_file(), link
    anchors = {attrs.get("id") for _, attrs in page.tags}
    assert {link[1:] for link in links if link.startswith("#")} <= anchors


def test_files_are_written(quickstart):
    out = quickstart[1].parent
    names = {path.name for path in (out / "figures").iterdir()}
    for figure in ("success_by_case", "surrogate_victim_matrix", "strength_curves", "clean_accuracy"):
        assert {f"{figure}.png", f"{figure}.pdf", f"{figure}.csv"} <= names
    tex = (out / "tables" / "success_by_case.tex").read_text(encoding="utf-8")
    assert r"\toprule" in tex
    assert r"box\_blur" in tex
    rows = list(csv.DictReader((out / "tables" / "success_by_case.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["attack"] for row in rows] == ["box_blur", "box_blur", "tifgsm", "tifgsm", "tifgsm"]
    assert float(rows[-1]["C1_low"]) < float(rows[-1]["C1_rate"]) < float(rows[-1]["C1_high"])


def test_the_same_tables_give_the_same_bytes(tmp_path):
    shape = Shape(architectures=("x",), balances=("50/50",), n_images=20)
    build(tmp_path / "results", shape)
    digests = []
    for name in ("one", "two"):
        generate(tmp_path / "results", tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        digests.append({str(f.relative_to(tmp_path / name)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files})
    assert digests[0] == digests[1]
    figures = sum(name.endswith(".png") for name in digests[0])
    assert figures >= 4
    assert len(digests[0]) == 4 * figures + 8 + 1


def test_only_the_script_of_the_page_may_run(quickstart):
    raw = quickstart[1].read_text(encoding="utf-8")
    script = re.search(r"<script>(.*?)</script>", raw, re.DOTALL).group(1)
    own = Path(dumb_bench.report.html.__file__).parent / "templates" / "tests.js"
    assert script.rstrip("\n") == own.read_text(encoding="utf-8").rstrip("\n")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in raw and "default-src 'none'" in raw


def test_hostile_names_are_shown_not_run(tmp_path):
    page = generate(build(tmp_path / "results", HOSTILE), tmp_path / "out")
    raw = page.read_text(encoding="utf-8")
    assert raw.count("<script") == 2  # the table's data and the page's own script
    assert "<b>x" not in raw
    assert "<script>alert(2)</script>" in Page(page).text
    for path in (tmp_path / "out").rglob("*.csv"):
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines()):
            for cell in row:
                assert not cell.startswith(("=", "@", "+")), (path, cell)
    for path in (tmp_path / "out").rglob("*.tex"):
        source = path.read_text(encoding="utf-8")
        assert "<script" not in source and "<b>" not in source and "a_b&%" not in source and "$x^{" not in source, path
    tex = (tmp_path / "out" / "tables" / "success_by_case.tex").read_text(encoding="utf-8")
    assert r"\textless{}b\textgreater{}x" in tex


def test_escaping():
    assert guarded("=1+1") == "'=1+1"
    assert guarded("-x") == "'-x"
    assert guarded("C1") == "C1"
    assert escaped("a_b\\{50%}~^\n") == r"a\_b\textbackslash{}\{50\%\}\textasciitilde{}\textasciicircum{} "


@pytest.mark.parametrize("name", sorted(DEGENERATE))
def test_degenerate_grids_still_give_a_page(tmp_path, name):
    page = Page(generate(build(tmp_path / "results", DEGENERATE[name]), tmp_path / "out"))
    assert "What this grid cannot tell" in page.text
    drawn = [attrs for tag, attrs in page.tags if tag == "img"]
    if name in ("only_failures", "nothing", "no_clean_image_right"):
        assert "Success by case is not drawn" in page.text
    else:
        assert drawn
    if name in ("one_seed", "single_model"):
        assert ("Descriptive only" if name == "one_seed" else "there is no contrast to show") in page.text
        assert "succeeds less" not in page.text
    if name == "only_failures":
        assert "3 units failed" in page.text
    if name == "one_source":
        assert "C5 to C8 are empty" in page.text


def test_a_failed_gate_is_at_the_top(tmp_path):
    shape = Shape(identity_success=3, architectures=("x",), balances=("50/50",), n_images=20)
    raw = generate(build(tmp_path / "results", shape), tmp_path / "out").read_text(encoding="utf-8")
    assert raw.index('class="banner"') < raw.index("<h1>")
    assert "cannot be trusted" in raw


PLUGIN = '''
from dumb_bench.report.figures.base import figure
@figure("mine", needs={"asr"}, title="Mine")
class Mine:
    """One point."""
    def prepare(self, frame):
        return frame[["asr"]].head(1)
    def draw(self, axes, frame):
        axes.plot([0], frame["asr"])
    def caption(self, frame):
        return "One test."
@figure("broken", needs={"asr"}, title="Broken")
class Broken:
    """Raises."""
    def prepare(self, frame):
        raise RuntimeError("on purpose")
@figure("lacking", needs={"colour"}, title="Lacking")
class Lacking:
    """Needs what is not there."""
'''


def test_figures_of_a_user(tmp_path):
    shape = Shape(architectures=("x",), balances=("50/50",), n_images=20)
    file = PluginFile("mine.py", PLUGIN)
    catalogue = Catalogue((file,))
    page = Page(generate(build(tmp_path / "results", shape), tmp_path / "out", catalogue=catalogue))
    assert (tmp_path / "out" / "figures" / "mine.pdf").is_file()
    assert "Not drawn: RuntimeError: on purpose" in page.text
    assert "the tables lack colour" in page.text


def test_neither_torch_nor_ray_nor_early_pandas(tmp_path):
    build(tmp_path / "results", Shape(architectures=("x",), balances=("50/50",), n_images=20))
    code = (
        "import sys; from pathlib import Path; import dumb_bench.report.generate as g\n"
        "early = [n for n in ('pandas', 'matplotlib', 'scipy', 'jinja2', 'pyarrow') if n in sys.modules]\n"
        "assert not early, early\n"
        "g.generate(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules\n"
    )
    arguments = [str(tmp_path / "results"), str(tmp_path / "out")]
    subprocess.run([sys.executable, "-W", "error", "-c", code, *arguments], check=True, env={**os.environ})


def test_the_stored_page_is_what_the_code_writes(tmp_path: Path) -> None:
    """But for the figures, whose bytes depend on the versions of matplotlib and FreeType."""
    root = Path(__file__).parents[2]

    def words(page: Path) -> list[str]:
        return re.sub(r'src="data:[^"]*"', "", page.read_text(encoding="utf-8")).splitlines()

    assert words(generate(root / "results" / "example", tmp_path)) == words(root / "reports" / "example" / "index.html")
