"""`plan` says what a grid can resolve."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from minigrid import Ended, mini_grid

from dumb_bench.power import Meeting, smallest_effects
from dumb_bench.runner.plan_power import power_text

TWO = '["small_alexnet", "small_vgg"]'
HALVES = '["50/50", "20/80"]'


def asked(command: Callable[..., Ended], path: Path) -> tuple[dict[str, dict[str, object]], str]:
    found = json.loads(command("plan", path, "--json").out)["smallest_effect"]
    lines = [line for line in command("plan", path).out.splitlines() if "smallest effect" in line]
    assert len(lines) == 1
    return found, lines[0]


def by_hand(seeds: int, images: int, *, shared: bool) -> float:
    """2 sources x 2 architectures x 2 balances, the same seeds on both sides."""
    cells = np.array([[n >> bit & 1 for bit in range(3)] for n in range(8)])
    differs = {str(bit): cells[:, None, bit] != cells[None, :, bit] for bit in range(3)}
    count = np.full(8, seeds)
    return smallest_effects(Meeting(count, count, differs, np.eye(8, dtype=int) * seeds * shared, images))["0"].effect


@pytest.mark.parametrize(("victims", "shared"), [("[0, 1, 2]", True), ("[7, 8, 9]", False)])
@pytest.mark.parametrize(("source", "images"), [("all", 40), ("surrogate", 20)])
def test_a_full_grid(
    command: Callable[..., Ended], write: Callable[..., Path], victims: str, shared: bool, source: str, images: int
) -> None:
    text = mini_grid(architectures=TWO, balances=HALVES, seeds="[0, 1, 2]", victim_seeds=victims, image_source=source)
    found, line = asked(command, write(text))
    assert list(found) == ["source", "architecture", "balance"]
    wanted = by_hand(3, images, shared=shared)
    for item in found.values():
        assert item == {"effect": pytest.approx(wanted), "reason": ""}
    points = f"{100 * wanted:.1f}"
    assert line.endswith(f": source {points}, architecture {points}, balance {points} points")
    assert line.startswith("  smallest effect that this grid can resolve (80 % power, ")


def test_one_seed_resolves_nothing(command: Callable[..., Ended], write: Callable[..., Path]) -> None:
    found, line = asked(command, write(mini_grid(architectures=TWO)))
    assert found["source"] == {"effect": None, "reason": "one seed in a cell"}
    assert ": source none, architecture none, balance none (one seed in a cell; no tests that" in line


def test_the_plainest_population_is_meant(command: Callable[..., Ended], write: Callable[..., Path]) -> None:
    """Defended victims are another population: they neither add seeds to a cell nor take any."""
    text = mini_grid(architectures=TWO, balances=HALVES, seeds="[0, 1, 2]", victim_seeds="[7, 8, 9]")
    plain = asked(command, write(text))[0]
    defended = text.replace("[victims]\n", '[victims]\ndefence = ["none", "jpeg"]\n')
    assert asked(command, write(defended, "other.toml"))[0] == plain


def test_an_ensemble_has_the_architecture_of_each_of_its_members(
    command: Callable[..., Ended], write: Callable[..., Path]
) -> None:
    text = mini_grid(architectures=TWO, seeds="[0, 1, 2]", victim_seeds="[7, 8, 9]")
    found, _ = asked(command, write(f'{text}\n[surrogates]\narchitecture = "small_alexnet+small_vgg"\n'))
    assert found["architecture"]["effect"] is None
    assert found["source"]["reason"] == ""


def test_nothing_is_said_where_no_case_is_known() -> None:
    assert power_text({}) == ""
