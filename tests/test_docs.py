"""The pages tell the truth: their commands run, their tables are complete, their links and quoted files exist."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from minigrid import Ended
from published_excerpt import write_bnn, write_dumb
from pydantic import BaseModel

from dumb_bench.attacks.base import attack
from dumb_bench.catalogue import Catalogue
from dumb_bench.cli import app, checks
from dumb_bench.grid import (
    AttackEntry,
    Checkpoint,
    Grid,
    Images,
    ModelAxes,
    Output,
    Report,
    SurrogateAxes,
    TaskTable,
    Training,
    Tune,
)
from dumb_bench.import_published import imports
from dumb_bench.recipes import Recipe
from dumb_bench.report.frames import NAMES
from dumb_bench.store.schema import TABLES

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "results" / "example"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

NOT_RUN = {
    "README.md": [
        "pip install uv && uv run dumb-bench run grids/quickstart.toml",  # both by .ci/run
        "pip install uv && uv run pytest",
    ],
    "CONTRIBUTING.md": [
        "pip install uv",
        "uv sync",
        "uv run pytest",
        "uv run ruff check .",  # from here on by .ci/run
        "uv run ruff format --check .",
        "uv run mypy",
        "uv run lint-imports",
        "uv run pytest",
        "uv run dumb-bench run grids/quickstart.toml",
    ],
    "my-own-attack.md": [  # by test_attack_package.py, without an installer
        "uv pip install --editable examples/attack_package",
        "uv run dumb-bench list attacks",
        "uv run dumb-bench check attack smooth_fgsm",
        "uv run pytest examples/attack_package/tests",
    ],
    "figures.md": [  # by test_report_side_by_side.py; there is no second study here
        "uv run dumb-bench report results/example results/other --out reports/both",
    ],
    "my-own-model.md": [  # an installer, and a download
        "pip install 'dumb-bench[timm]'",
        "uv run dumb-bench fetch my_study.toml --data /shared/me/data",
        "uv run dumb-bench run my_study.toml --data /shared/me/data --offline",
    ],
    "my-own-grid.md": [  # by test_export.py
        "uv run dumb-bench export results/my_grid --attack-id ID --out images",
    ],
    "my-own-data.md": [  # 13 minutes of CPU; downloads, and days of GPUs
        "uv run dumb-bench run examples/tiny_dumb_2023.toml --data tiny_data",
        "uv run dumb-bench fetch grids/gubri_2022_cifar10.toml --data /shared/me/data",
        "uv run dumb-bench run grids/gubri_2022_cifar10.toml --data /shared/me/data --offline --address auto"
        " --store /shared/me/store",
    ],
    "on-my-cluster.md": [  # needs a cluster
        "uv run dumb-bench run grids/quickstart.toml --address auto --store /shared/me/store"
        " --results /shared/me/results/quickstart",
        "umask 077",
        "uv run ray get-auth-token --generate > /dev/null",
        "export RAY_AUTH_MODE=token",
        "uv run ray start --head --port 6379",
        "uv run ray start --address HEAD:6379",
        "uv run dumb-bench run grids/quickstart.toml --address HEAD:6379 --store /shared/me/store",
        "uv run ray stop",
        'export PATH="$PWD/.venv/bin:$PATH"',
        "deploy/submit_job.sh /shared/me/quickstart.toml /shared/me/results/quickstart /shared/me/store",
        "uv sync --extra cluster",
        "sbatch deploy/slurm.sbatch /shared/me/quickstart.toml /shared/me/results/quickstart /shared/me/store",
        "uv run dumb-bench status /shared/me/results/quickstart",
        "docker build --file deploy/Dockerfile --tag registry.example.org/dumb-bench:0.1.0 .",
        "docker push registry.example.org/dumb-bench:0.1.0",
        """python -c 'import secrets; print(secrets.token_hex(32), end="")' | kubectl create secret generic"""
        " dumb-bench-ray-token --from-file=auth_token=/dev/stdin",
        "kubectl apply -f deploy/rayjob.yaml",
        "uv run python benchmarks/fault_seeds.py --seeds 30",
    ],
}
"""All that stands in a fence ```sh not-run-here."""

BY_CI = ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest", "grids/quickstart.toml")


class Fence(NamedTuple):
    """A fenced block: its language, the words after it, its text."""

    language: str
    marks: tuple[str, ...]
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments."""
        return [line for line in (re.sub(r"(^|\s+)#.*", "", raw) for raw in self.text.splitlines()) if line]


def fences(page: Path) -> list[Fence]:
    found = re.findall(r"(?ms)^```(\w+)([^\n]*)\n(.*?)^```$", page.read_text())
    return [Fence(language, tuple(marks.split()), text) for language, marks, text in found]


def section(page: Path, heading: str) -> str:
    """The text below a heading of the third level, up to the next heading."""
    parts = re.split(rf"(?m)^### {re.escape(heading)}$", page.read_text())
    assert len(parts) == 2, f"{page.name}: expected one heading `### {heading}`"
    return re.split(r"(?m)^#", parts[1])[0]


def first_cells(text: str) -> list[str]:
    """The names in backticks in the first cell of each row of a table."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what a clone of the repository has, and published result files in small."""
    write_dumb(tmp_path / "dumb_files")
    write_bnn(tmp_path / "bnn_files")
    for name in ("examples", "grids"):
        shutil.copytree(ROOT / name, tmp_path / name)
    if EXAMPLE.is_dir():
        shutil.copytree(EXAMPLE, tmp_path / "results" / "example")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MY_IMAGES", raising=False)
    return tmp_path


def run_command(line: str, command: Callable[..., Ended]) -> str:
    """Run one command of a page (`run` without Ray) and return what it printed."""
    words = shlex.split(line)
    if words[:3] == ["uv", "run", "dumb-bench"]:
        extra = ["--address", "serial"] if words[3] == "run" and "--address" not in words else []
        ended = command(*words[3:], *extra)
        assert ended.code == 0, f"{line}: exit code {ended.code}\n{ended.out}\n{ended.err}"
        return ended.out
    if words[:3] == ["uv", "run", "python"]:
        return subprocess.run([sys.executable, *words[3:]], check=True, capture_output=True, text=True).stdout
    raise AssertionError(f"{line}: expected `uv run dumb-bench` or `uv run python`; else fence it as `sh not-run-here`")


@EVERY_PAGE
def test_every_command_and_every_python_block_runs(page: Path, folder: Path, command: Callable[..., Ended]) -> None:
    assert folder.is_dir()
    blocks = fences(page)
    if any("results/example" in block.text for block in blocks if block.language in ("sh", "python")):
        assert EXAMPLE.is_dir(), f"{EXAMPLE} is missing: {page.name} draws and reads the stored example"
    printed = []
    for block in blocks:
        if block.language == "sh" and "not-run-here" not in block.marks:
            printed += [run_command(line, command) for line in block.commands]
        elif block.language == "python" and not block.marks:
            exec(compile(block.text, page.name, "exec"), {"__name__": "__main__"})
    lines = "".join(printed).splitlines()
    for block in blocks:
        if block.language == "text":
            missing = [line for line in block.text.splitlines() if line not in lines]
            assert not missing, f"{page.name} shows lines that no command printed: {missing}"


def test_what_is_not_run_is_exactly_what_is_listed() -> None:
    found = {page.name: [line for block in fences(page) if "not-run-here" in block.marks for line in block.commands]
             for page in PAGES}  # fmt: skip
    assert {name: lines for name, lines in found.items() if lines} == NOT_RUN


def test_the_pages_know_no_other_fences() -> None:
    allowed = {("sh", ()), ("sh", ("not-run-here",)), ("python", ()), ("text", ()), ("toml", ())}
    for page in PAGES:
        for block in fences(page):
            quoted = len(block.marks) == 1 and block.marks[0].startswith("file=")
            assert quoted or (block.language, block.marks) in allowed, f"{page.name}: ```{block.language} {block.marks}"


def test_ci_runs_what_is_not_run_here() -> None:
    script = ROOT / ".ci" / "run"
    assert script.is_file(), f"{script} is missing"
    text = script.read_text()
    assert [words for words in BY_CI if words not in text] == []


def test_the_installed_script_answers() -> None:
    script = Path(sys.executable).with_name("dumb-bench")
    answer = subprocess.run([script, "--help"], check=True, capture_output=True, text=True)
    assert "surrogate" in answer.stdout


def test_quoted_files_are_the_files() -> None:
    quoted = {}
    for page in PAGES:
        for block in fences(page):
            for mark in block.marks:
                if mark.startswith("file="):
                    quoted[mark.removeprefix("file=")] = block.text
    assert sorted(quoted) == [
        "examples/attack_package/my_attacks/smooth_fgsm.py", "examples/attack_package/pyproject.toml",
        "examples/attack_package/tests/test_it.py", "examples/my_attack.py", "examples/my_attack.toml",
        "examples/my_checkpoint.py", "examples/my_checkpoint.toml",
        "examples/my_cluster.toml", "examples/my_data.py", "examples/my_data.toml", "examples/my_grid.toml",
        "examples/my_network.py", "examples/my_transfer_attack.py", "examples/my_transfer_attack.toml",
        "examples/their_code.py", "examples/their_images_scored.toml",
    ]  # fmt: skip
    for name, text in quoted.items():
        assert text == (ROOT / name).read_text(), f"{name} differs from the page that quotes it"


@EVERY_PAGE
def test_links_point_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described_and_no_other(table: str) -> None:
    described = first_cells(section(ROOT / "docs" / "reading-results.md", f"`{table}`"))
    assert sorted(described) == sorted(TABLES[table].names)


def _keys(table: type[BaseModel]) -> list[str]:
    return sorted(table.model_fields)


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Top level", _keys(Grid)),
        ("`[tasks.NAME]`", _keys(TaskTable)),
        ("`[models]`", _keys(ModelAxes)),
        ("`[surrogates]`", sorted(set(_keys(SurrogateAxes)) - set(_keys(ModelAxes)))),
        ("`[images]`", _keys(Images)),
        ("`[training]`", _keys(Training)),
        ("Recipes", _keys(Recipe)),
        ("`[output]`", _keys(Output)),
        ("`[report]`", _keys(Report)),
        ("`[[checkpoints]]`", _keys(Checkpoint)),
        ("`[[attacks]]`", _keys(AttackEntry)),
        ("`tune`", _keys(Tune)),
    ],
)
def test_every_key_of_a_grid_is_described_and_no_other(heading: str, keys: list[str]) -> None:
    assert sorted(first_cells(section(ROOT / "docs" / "my-own-grid.md", heading))) == keys
    assert Grid.model_fields["victims"].annotation == list[ModelAxes]


def test_every_field_of_an_attack_is_described() -> None:
    page = (ROOT / "docs" / "my-own-attack.md").read_text()
    declared = page.split("\n## What is declared\n")[1].split("\n## ")[0]
    assert sorted(first_cells(declared)) == sorted(inspect.signature(attack).parameters)


def test_every_command_is_in_the_readme() -> None:
    names = [item.name or item.callback.__name__ for item in app.registered_commands if item.callback]
    names += [f"check {item.name or item.callback.__name__}" for item in checks.registered_commands if item.callback]
    names += [f"import {item.name}" for item in imports.registered_commands]
    text = (ROOT / "README.md").read_text().split("\n## Commands\n")[1].split("\n## ")[0]
    shown = [re.sub(r" [A-Z]+$", "", cell).removeprefix("dumb-bench ") for cell in first_cells(text)]
    assert sorted(shown) == sorted(names)


def test_every_attack_and_modifier_is_on_its_page() -> None:
    named = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "attacks.md").read_text()))
    catalogue = Catalogue()
    wanted = set(catalogue.names("attacks")) - {"identity", "sign_noise"} | set(catalogue.names("modifiers"))
    assert wanted - named == set()


def test_every_defence_is_on_its_page() -> None:
    text = (ROOT / "docs" / "defences.md").read_text()
    catalogue = Catalogue()
    assert {name for name in catalogue.names("defences") if not re.search(rf"`{name}`|\"{name}\"", text)} == set()
    axis = section(ROOT / "docs" / "my-own-grid.md", "`[models]`")
    assert {name for name in catalogue.names("defences") if f'`"{name}"`' not in axis} == set()


def test_every_figure_is_described_and_no_other() -> None:
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(described) == sorted(Catalogue().names("figures"))


def test_every_frame_is_named() -> None:
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    listed = text.partition("Frames: ")[2].partition("Rates are fractions")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(NAMES)
