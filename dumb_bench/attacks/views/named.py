"""The input transformations that a grid can name in `inputs`, each at its paper's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from dumb_bench.attacks.views.admix import admix
from dumb_bench.attacks.views.base import Scene, Transformation, View, compose
from dumb_bench.attacks.views.bsr import bsr
from dumb_bench.attacks.views.decowa import decowa
from dumb_bench.attacks.views.di import di
from dumb_bench.attacks.views.si import si
from dumb_bench.attacks.views.sia import sia
from dumb_bench.attacks.views.ssa import ssa
from dumb_bench.attacks.views.ti import ti

InputName = Literal["di", "ti", "si", "admix", "ssa", "sia", "bsr", "decowa"]

NAMED: dict[str, Transformation] = {
    "di": di(), "ti": ti(), "si": si(), "admix": admix(), "ssa": ssa(), "sia": sia(), "bsr": bsr(), "decowa": decowa(),
}  # fmt: skip
assert set(NAMED) == set(get_args(InputName))

TARGETED: dict[str, Transformation] = {**NAMED, "di": di(diversity_prob=0.7), "ti": ti(kernel=5)}
"""The same names at the settings of the long targeted attacks (Zhao et al., NeurIPS 2021)."""


def views(names: Sequence[str], scene: Scene, meaning: Mapping[str, Transformation] = NAMED) -> View:
    """Return the named transformations, applied one after the other, the first first."""
    return compose([meaning[name](scene) for name in names]) if names else View()
