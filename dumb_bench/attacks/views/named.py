"""The input transformations that a grid can name in `inputs`, each at its paper's settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from dumb_bench.attacks.views.base import Scene, Transformation, View, compose

InputName = Literal["none"]

NAMED: dict[str, Transformation] = {"none": lambda scene: View()}
assert set(NAMED) == set(get_args(InputName))


def views(names: Sequence[str], scene: Scene) -> View:
    """Return the named transformations, applied one after the other, the first first."""
    return compose([NAMED[name](scene) for name in names]) if names else View()
