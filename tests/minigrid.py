"""What several test modules share: small grids, and the ending of a command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

MINI = """
name = "mini"
task = "digits"
[models]
source = {sources}
architecture = {architectures}
balance = {balances}
seed = {seeds}
[victims]
seed = {victim_seeds}
[images]
per_class = 10
source = "{image_source}"
[training]
recipe = {{ name = "small", epochs = {epochs} }}
{attacks}
"""

FGSM = '[[attacks]]\nname = "fgsm"\nstrength = [0.1, 0.2]\n'
BLUR = '[[attacks]]\nname = "box_blur"\nstrength = 1.0\n'


def mini_grid(
    sources: str = '["optdigits", "rendered"]',
    architectures: str = '["small_alexnet"]',
    balances: str = '["50/50"]',
    seeds: str = "[0]",
    victim_seeds: str | None = None,
    image_source: str = "all",
    attacks: str = FGSM + BLUR,
    epochs: int = 1,
) -> str:
    """A grid that runs in a few seconds."""
    return MINI.format(
        sources=sources, architectures=architectures, balances=balances, seeds=seeds,
        victim_seeds=victim_seeds or seeds, image_source=image_source, attacks=attacks, epochs=epochs,
    )  # fmt: skip


STEPS = '[[attacks]]\nname = "bim"\nstrength = 0.1\nparams = { steps = 3 }\nrecord_steps = [1]\n'


def kept_grid(keep: str, victim_seeds: str = "[0]", deliveries: str = '["uint8"]', attacks: str = "") -> str:
    """One source, one network, and what is kept of its images."""
    text = mini_grid(
        sources='["optdigits"]', image_source="surrogate", victim_seeds=victim_seeds,
        attacks=f'[output]\nkeep_adversarial = "{keep}"\n' + (attacks or FGSM + BLUR + STEPS),
    )  # fmt: skip
    return text.replace("per_class = 10", f"per_class = 10\ndeliveries = {deliveries}")


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Quiet:
    def started(self, units: object) -> None: ...

    def ended(self, unit: object, outcome: object, failed: bool) -> None: ...

    def tick(self) -> None: ...


def files_below(folder: Path) -> list[str]:
    return sorted(os.path.join(base, name) for base, _, names in os.walk(folder) for name in names)
