"""Bad grids: exit code 2, one clear line each, nothing written, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from minigrid import BLUR, FGSM, Ended, files_below, mini_grid

GOOD = mini_grid()


def changed(old: str, new: str) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new, 1)


CASES: dict[str, tuple[str, str]] = {
    "wrong type": (changed("seed = [0]", 'seed = ["zero"]'), "models.seed[0]: expected a whole number, got 'zero'"),
    "boolean for a number": (changed("seed = [0]", "seed = [true]"), "models.seed[0]: expected a whole number, got True"),
    "float seed": (changed("seed = [0]", "seed = [0.5]"), "models.seed[0]: expected a whole number, got 0.5"),
    "negative seed": (changed("seed = [0]", "seed = [-1]"), "models.seed[0]: expected at least 0, got -1"),
    "unknown key": (changed("per_class", "per_clas"), "images: unknown key 'per_clas'. Did you mean 'per_class'?"),
    "unknown table": (GOOD + "\n[extra]\nx = 1\n", "unknown key 'extra'"),
    "unknown attack": (changed('"fgsm"', '"fgsn"'), "attacks[0].name: unknown attack 'fgsn'. Did you mean 'fgsm'?"),
    "unknown source": (changed('"rendered"', '"renderd"'), "models.source: unknown source 'renderd'. Did you mean"),
    "unknown architecture": (changed("small_alexnet", "alex_net"), "architecture 'alex_net'. Did you mean 'alexnet'?"),
    "unknown task": (changed('"digits"', '"letters"'), "unknown task 'letters'. Available: bike_motorbike, cat_dog, cifar10, digits, imagenet, man_woman, objects9, ten_digits."),
    "unknown recipe": (changed('"small"', '"smal"'), "training.recipe: unknown recipe 'smal'. Did you mean 'small'?"),
    "unknown recipe value": (changed("epochs = 1", "epoch = 1"), "training.recipe"),
    "recipe value out of range": (changed("epochs = 1", "epochs = 0"), "training.recipe"),
    "unknown parameter": (changed("strength = [0.1, 0.2]", "strength = 0.1\nparams = { steps = 3 }"),
                          "attack 'fgsm': unknown parameter 'steps'"),
    "parameter out of range": (mini_grid(attacks='[[attacks]]\nname = "pgd"\nstrength = 0.1\nparams = { steps = 0 }\n'),
                               "attack 'pgd': parameter 'steps'"),
    "parameter of a wrong type": (
        mini_grid(attacks='[[attacks]]\nname = "pgd"\nstrength = 0.1\nparams = { steps = "ten" }\n'), "attack 'pgd': parameter 'steps'"),
    "strength out of range": (changed("[0.1, 0.2]", "[0.1, 8]"),
                              'attacks[0].strength: attack \'fgsm\': expected 0 <= eps <= 1 ([0, 1] pixel), got 8: write "8/255"'),
    "strength is text": (changed("[0.1, 0.2]", '["much"]'), 'attacks[0].strength[0]: expected a number or a fraction such as "8/255"'),
    "strength divides by zero": (changed("[0.1, 0.2]", '["8/0"]'), "attacks[0].strength[0]: division by zero"),
    "strength is infinite": (changed("[0.1, 0.2]", "[inf]"), "attacks[0].strength[0]: expected a finite number"),
    "strength beyond any float": (changed("[0.1, 0.2]", "[" + "9" * 401 + "]"), "attacks[0].strength[0]: expected a finite number"),
    "balance that the images do not allow": (changed('["50/50"]', '["1/99"]'), "at balance '1/99'"),
    "same strength twice": (changed("[0.1, 0.2]", "[0.1, 0.1]"), "attacks[0].strength: 0.1 is given twice"),
    "balance not summing to 100": (changed('["50/50"]', '["30/60"]'), "models.balance:"),
    "balance of three": (changed('["50/50"]', '["30/30/40"]'), "models.balance:"),
    "balance with nothing": (changed('["50/50"]', '["0/100"]'), "models.balance:"),
    "balance in words": (changed('["50/50"]', '["equal"]'), "models.balance:"),
    "duplicate attack": (GOOD + FGSM, "attacks[2].name: 'fgsm' is given twice with the same parameters"),
    "duplicate value": (changed('"small_alexnet"', '"small_alexnet", "small_alexnet"'), "models.architecture: 'small_alexnet' is given twice"),
    "a control asked for": (GOOD + '[[attacks]]\nname = "sign_noise"\n', "'sign_noise' is a control, which every grid gets without asking"),
    "empty axis": (changed("seed = [0]", "seed = []"), "models.seed: expected at least one value, got an empty list"),
    "no attack": (mini_grid(attacks=""), "attacks: missing; this key is needed"),
    "no models": ('name = "x"\ntask = "digits"\n' + FGSM, "models: missing; this key is needed"),
    "no source": (changed('source = ["optdigits", "rendered"]\n', ""), "models.source: missing"),
    "no name": (changed('name = "mini"\n', ""), "name: missing; this key is needed"),
    "a contrast that the grid does not make": (GOOD + '[report]\nprimary = "pgd@0.1"\n', "report.primary: 'pgd@0.1' is not made by this grid. Available: fgsm@0.1, fgsm@0.2, box_blur@1."),
    "a contrast that is none": (GOOD + '[report]\nprimary = "fgsm@much"\n', "report.primary: expected a number or a fraction"),
    "huge product": (changed("seed = [0]", f"seed = {list(range(60_000))}"), "shorten an axis"),
    "path in a name": (changed('"mini"', '"../../etc/mini"'), "name: expected lower-case letters"),
    "path as a plugin": (changed('"fgsm"', '"../fgsm.py"'), "attacks[0].name: unknown attack '../fgsm.py'"),
    "too few images": (changed("per_class = 10", "per_class = 1"), "images.per_class: expected at least 2, got 1"),
    "wrong image source": (changed('source = "all"', 'source = "mine"'), "images.source: expected 'surrogate', 'victim' or 'all'"),
    "unknown delivery": (changed("per_class = 10", 'per_class = 10\ndeliveries = ["jpg"]'), "images.deliveries: unknown delivery 'jpg'"),
    "table where a list belongs": (changed('source = ["optdigits", "rendered"]', "source = { a = 1 }"), "models.source[0]: expected a table with a `name`"),
    "number where a table belongs": (changed("[training]\nrecipe", "[training]\nbalance_mode = 1\nrecipe"), "training.balance_mode: expected 'paper' or 'fixed_total'"),
    "a key of many parts": (GOOD + "a." * 2_000 + "b = 1\n", "more than 1,000 dots"),
    "deep nesting": (GOOD + "a = " + "[" * 100_000 + "]" * 100_000 + "\n", "is not TOML: "),
    "not TOML": ("name = \n= 3", "is not TOML"),
    "empty file": ("  \n", "is empty"),
    "strength for an attack's missing parameter": (mini_grid(attacks=BLUR + 'params = { radius = 2 }\n'), "attack 'box_blur': unknown parameter 'radius'"),
}  # fmt: skip


@pytest.mark.parametrize("text, sentence", CASES.values(), ids=CASES.keys())
def test_a_bad_grid_is_one_clear_line(
    text: str, sentence: str, tmp_path: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text(text)
    ended = command("run", "bad.toml", "--address", "serial")
    lines = ended.err.strip().splitlines()
    assert ended.code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: bad.toml: ")
    assert sentence in lines[0]
    assert files_below(tmp_path) == [str(tmp_path / "bad.toml")]


@pytest.mark.parametrize("name", ["missing.toml", "folder", "latin.toml", "large.toml"])
def test_a_bad_file_is_one_clear_line(name: str, tmp_path: Path, command: Callable[..., Ended]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    (tmp_path / "large.toml").write_bytes(b"# " + b"x" * 1_000_001)
    ended = command("plan", tmp_path / name)
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 1
    assert name in ended.err
    assert "Traceback" not in ended.err


def test_every_fault_of_a_grid_gets_its_line(write: Callable[..., Path], command: Callable[..., Ended]) -> None:
    text = changed("per_class = 10", "per_class = 0").replace("seed = [0]", "seed = []", 1)
    ended = command("plan", write(text))
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 2


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("run",), "Missing argument"),
        (("run", "x.toml", "--slots", "0"), "--slots"),
        (("fly",), "No such command"),
        (("list", "attaks"), "unknown kind 'attaks'. Did you mean 'attacks'?"),
        (("status", "nowhere"), "nowhere"),
        (("report", "nowhere"), "nowhere"),
        (("check", "attack", "fgsn"), "Did you mean 'fgsm'?"),
        (("check", "results", "nowhere"), "nowhere"),
        (("compact", "nowhere"), "nowhere"),
        (("list", "attacks", "--plugin", "nowhere.py"), "nowhere.py: cannot be read"),
    ],
)  # fmt: skip
def test_a_bad_command_line_is_one_clear_line(
    arguments: tuple[str, ...],
    sentence: str,
    command: Callable[..., Ended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command(*arguments)
    assert ended.code == 2
    assert sentence in ended.err
    assert "Traceback" not in ended.err
    assert files_below(tmp_path) == []
