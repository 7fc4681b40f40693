"""`list attacks` and `check attack`: by name, by family, all; what is refused, what is not installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from minigrid import Ended

from dumb_bench.attacks.base import attack
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.plugin_kinds import FAMILIES

MISSING = "attacks absent.*: the package is not installed; pip install absent"


NEEDY = "attack 'shades.Needy' needs the package more, which is not installed"


class Absent:
    def names(self) -> tuple[str, ...]:
        raise InputError(MISSING)

    def refused(self) -> dict[str, str]:
        return {}


class Shades:
    """A family of four: one is refused, one needs more than is installed; where share > 1 the budget is left."""

    def names(self) -> tuple[str, ...]:
        return ("Crash", "Dark", "Dim", "Needy")

    def refused(self) -> dict[str, str]:
        return {"Crash": "it divides by zero"}

    def load(self, name: str):  # type: ignore[no-untyped-def]
        if name == "Crash":
            raise InputError("attack 'shades.Crash' cannot be used: it divides by zero")

        if name == "Needy":
            raise InputError(NEEDY)

        def call(surrogate, images, labels, strength, *, generator, targets=None, share: float = 1.0):  # type: ignore[no-untyped-def]
            return (images - share * strength).clamp(0, 1)

        call.__doc__ = "Subtract the budget."
        info = attack("shade", uses="nothing", library="shades", paper="none")(call).__plugin__  # type: ignore[attr-defined]
        return call, info, "shades 1.0"


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two native attacks, a small family, and a family that is not installed."""
    monkeypatch.setitem(FAMILIES, "attacks", frozenset({"shades", "absent"}))
    monkeypatch.setitem(sys.modules, "dumb_bench.attacks.shades", SimpleNamespace(FAMILY=Shades()))
    monkeypatch.setitem(sys.modules, "dumb_bench.attacks.absent", SimpleNamespace(FAMILY=Absent()))
    native = Catalogue._built_in
    monkeypatch.setattr(
        Catalogue, "_built_in",
        staticmethod(lambda kind: frozenset({"fgsm", "identity"}) if kind == "attacks" else native(kind)),
    )  # fmt: skip


pytestmark = pytest.mark.usefixtures("families")


def test_the_list_says_what_can_be_used_and_why_the_rest_cannot(command: Callable[..., Ended]) -> None:
    rows = {row["name"]: row for row in json.loads(command("list", "attacks", "--json").out)}
    assert list(rows) == ["fgsm", "identity", "absent", "shades.Crash", "shades.Dark", "shades.Dim", "shades.Needy"]
    assert len({tuple(row) for row in rows.values()}) == 1
    usable = {name: (row["usable"], row["reason"]) for name, row in rows.items()}
    assert usable == {
        "fgsm": (True, None), "identity": (True, None), "absent": (False, MISSING),
        "shades.Crash": (False, "it divides by zero"), "shades.Dark": (True, None), "shades.Dim": (True, None),
        "shades.Needy": (False, NEEDY),
    }  # fmt: skip
    dark = rows["shades.Dark"]
    assert (dark["norm"], dark["strength"], dark["unit"], dark["targeted"]) == ("linf", "eps", "[0, 1] pixel", False)
    assert (dark["uses"], dark["paper"], dark["library"], dark["from"]) == ("nothing", "none", "shades", "shades")
    assert rows["shades.Crash"]["library"] == "shades" and rows["fgsm"]["targeted"] is True
    shown = command("list", "attacks").out.splitlines()
    assert f"cannot be used: {MISSING}" in next(line for line in shown if line.startswith("absent"))
    assert "cannot be used: it divides by zero" in next(line for line in shown if line.startswith("shades.Crash"))


def test_all_attacks_are_checked_with_one_row_each(command: Callable[..., Ended]) -> None:
    ended = command("check", "attack", "--all")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["fgsm", "passed"], ["identity", "passed"], ["absent", "refused"], ["shades.Crash", "refused"],
        ["shades.Dark", "passed"], ["shades.Dim", "passed"], ["shades.Needy", "refused"],
    ]  # fmt: skip
    assert MISSING in lines[2] and lines[-1] == "4 attacks checked: 4 passed, 0 failed; 3 refused"


def test_a_family_and_several_names_can_be_checked(command: Callable[..., Ended]) -> None:
    family = json.loads(command("check", "attack", "shades", "--json").out)
    assert [(row["name"], row["verdict"]) for row in family] == [
        ("shades.Crash", "refused"), ("shades.Dark", "passed"), ("shades.Dim", "passed"), ("shades.Needy", "refused")
    ]  # fmt: skip
    several = json.loads(command("check", "attack", "fgsm", "shades.Dim", "fgsm", "--json").out)
    assert [row["name"] for row in several] == ["fgsm", "shades.Dim"]
    assert several[0]["passed"] == sum(check["verdict"] == "passed" for check in several[0]["checks"])
    single = json.loads(command("check", "attack", "shades.Dim", "--json").out)
    assert single == several[1]["checks"]
    lines = command("check", "attack", "shades.Dim").out.splitlines()
    assert [line.split()[0] for line in lines] == [check["verdict"] for check in single]


def test_a_failure_is_named_and_ends_with_exit_code_three(command: Callable[..., Ended]) -> None:
    ended = command("check", "attack", "fgsm", "shades.Dim", "--set", "share=1.5")
    line = ended.out.splitlines()[1]
    assert ended.code == 3 and line.startswith("shades.Dim failed")
    assert "with share = 1.5 (default 1.0)" in line and "budget: linf 0.03137 exceeded by 0.016" in line
    assert ended.out.splitlines()[-1] == "2 attacks checked: 1 passed, 1 failed"
    (row,) = (row for row in json.loads(command("check", "attack", "shades", "--set", "share=1.5", "--json").out)
              if row["name"] == "shades.Dim")  # fmt: skip
    assert (row["verdict"], row["check"], row["failed"]) == ("failed", "budget", 1)
    assert command("check", "attack", "shades.Dim", "--set", "share=0.5").code == 0


@pytest.mark.parametrize(("arguments", "sentence"), [
    ((), "name an attack"),
    (("--all", "fgsm"), "--all checks every attack; leave fgsm out"),
    (("fgms",), "unknown attack 'fgms'. Did you mean 'fgsm'?"),
    (("fgsm", "shades.Crash"), "attack 'shades.Crash' cannot be used: it divides by zero"),
    (("absent",), MISSING),
    (("fgsm", "--set", "steps"), "--set steps: expected key=value"),
    (("fgsm", "shades.Dim", "--set", "shares=2"), "--set shares: no attack that is checked has a parameter 'shares'"),
    (("shades.Dim", "--set", "shares=2"), "attack 'shade': unknown parameter 'shares'. Did you mean 'share'?"),
    (("shades.Dim", "--set", "share=1.0", "--set", "share=2.0"), "--set share: given twice"),
    (("shades.Dim", "--set", 'share="much"'), "parameter 'share': input should be a valid number"),
])  # fmt: skip
def test_a_wrong_command_line_is_one_line_and_exit_code_two(
    arguments: tuple[str, ...], sentence: str, command: Callable[..., Ended]
) -> None:
    ended = command("check", "attack", *arguments)
    assert ended.code == 2 and sentence in ended.err and len(ended.err.splitlines()) == 1, ended.err
    assert ended.out == ""


def test_a_value_is_toml_or_a_word(command: Callable[..., Ended], tmp_path: Path) -> None:
    file = tmp_path / "said.py"
    file.write_text(
        "from dumb_bench.attacks.base import attack\n\n\n"
        '@attack("said", uses="nothing")\n'
        "def said(surrogate, images, labels, strength, *, generator, targets=None,"
        ' word: str = "a", flag: bool = False, number: int = 1):\n'
        '    """Say its parameters."""\n'
        "    raise ValueError(repr((word, flag, number)))\n"
    )
    settings = [word for text in ("word=b", "flag=true", "number=7") for word in ("--set", text)]
    ended = command("check", "attack", "said", "--plugin", file, *settings)
    assert ended.code == 3 and ended.out == "failed   runs                     ValueError: ('b', True, 7)\n"
    quoted = command("check", "attack", "said", "--plugin", file, "--set", 'word="7"')
    assert "ValueError: ('7', False, 1)" in quoted.out
