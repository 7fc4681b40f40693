"""What a command imports, what it prints, and the installed script."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from minigrid import Ended, mini_grid

HEAVY = ("torch", "ray", "pandas", "matplotlib", "scipy", "sklearn", "torchvision", "torchattacks", "torchmetrics")
PROBE = """
import sys
sys.argv = ["dumb-bench", *{arguments!r}]
from dumb_bench.cli import main
try:
    main()
except SystemExit as ending:
    code = ending.code or 0
print("CODE", code, "LOADED", *[name for name in {heavy!r} if name in sys.modules])
"""


def loaded(*arguments: str) -> list[str]:
    """Run a command in a fresh interpreter; return which heavy packages it imported."""
    probe = PROBE.format(arguments=arguments, heavy=HEAVY)
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    words = ended.stdout.splitlines()[-1].split()
    assert words[:2] == ["CODE", "0"], ended.stdout + ended.stderr
    return words[3:]


def test_help_and_status_import_nothing_heavy(mini_run: Path) -> None:
    assert loaded("--help") == []
    assert loaded("run", "--help") == []
    assert loaded("status", str(mini_run)) == []


def test_a_report_needs_neither_torch_nor_ray(mini_run: Path, tmp_path: Path) -> None:
    assert set(loaded("report", str(mini_run), "--out", str(tmp_path / "out"))) <= {"pandas", "matplotlib", "scipy"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Identity: unchanged images" in page and "small_alexnet" in page


def test_plan_and_list_load_torch_but_not_ray(tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(mini_grid())
    for arguments in (("plan", str(grid)), ("list", "architectures")):
        found = loaded(*arguments)
        assert "torch" in found
        assert not {"ray", "sklearn", "torchattacks", "matplotlib"} & set(found)
    assert "ray" not in loaded("list", "attacks")


@pytest.mark.parametrize("kind, name", [
    ("attacks", "tifgsm"), ("attacks", "torchattacks.VMIFGSM"), ("modifiers", "none"),
    ("sources", "rendered"), ("tasks", "digits"), ("architectures", "small_vgg"),
    ("posteriors", "point"), ("defences", "none"), ("deliveries", "uint8"), ("figures", "success_by_case"),
])  # fmt: skip
def test_list_names_every_plugin(kind: str, name: str, command: Callable[..., Ended]) -> None:
    rows = json.loads(command("list", kind, "--json").out)
    assert name in [row["name"] for row in rows]
    assert all(row["summary"] for row in rows)
    shown = command("list", kind)
    assert shown.code == 0 and name in shown.out


def test_the_attacks_listed_are_those_promised(command: Callable[..., Ended]) -> None:
    rows = {row["name"]: row for row in json.loads(command("list", "attacks", "--json").out)}
    promised = {"fgsm", "pgd", "mifgsm", "difgsm", "tifgsm", "box_blur", "identity", "sign_noise"}
    assert promised <= rows.keys()
    assert (rows["tifgsm"]["norm"], rows["tifgsm"]["strength"], rows["tifgsm"]["targeted"]) == ("linf", "eps", True)
    assert rows["box_blur"]["uses"] == "nothing" and rows["box_blur"]["unit"] == "pixel"
    assert rows["tifgsm"]["parameters"]["steps"] == 10


def test_a_plugin_file_is_listed_checked_and_refused_when_it_clashes(
    command: Callable[..., Ended], tmp_path: Path
) -> None:
    good = tmp_path / "good.py"
    good.write_text(
        "from dumb_bench.attacks.base import attack\n\n\n"
        '@attack("darker", uses="nothing")\n'
        "def darker(surrogate, images, labels, strength, *, generator, targets=None, share: float = 1.0):\n"
        '    """Subtract the whole budget."""\n'
        "    return (images - share * strength).clamp(0, 1)\n"
    )
    rows = {row["name"]: row for row in json.loads(command("list", "attacks", "--plugin", good, "--json").out)}
    assert rows["darker"]["from"] == "good.py" and rows["darker"]["parameters"] == {"share": 1.0}
    checked = command("check", "attack", "darker", "--plugin", good)
    assert checked.code == 0 and "failed" not in checked.out
    bad = tmp_path / "bad.py"
    bad.write_text(good.read_text().replace("images - share", "images - 3 * share"))
    assert command("check", "attack", "darker", "--plugin", bad).code == 3
    clash = tmp_path / "clash.py"
    clash.write_text(good.read_text().replace('"darker"', '"fgsm"'))
    for file, sentence in (
        (clash, "attack 'fgsm' exists already"),
        (tmp_path / "none.py", "cannot be read"),
        (tmp_path / "broken.py", "is not valid Python"),
        (tmp_path / "empty.py", "defines no plugin"),
        (tmp_path / "fails.py", "fails on import (ZeroDivisionError"),
    ):
        (tmp_path / "broken.py").write_text("def (")
        (tmp_path / "empty.py").write_text("x = 1\n")
        (tmp_path / "fails.py").write_text("1 / 0\n")
        ended = command("list", "attacks", "--plugin", file)
        assert ended.code == 2 and sentence in ended.err and len(ended.err.splitlines()) == 1, ended.err


def test_without_arguments_the_help_is_shown(command: Callable[..., Ended]) -> None:
    assert "How well do adversarial examples" in command().out
    assert command("--help").code == 0
