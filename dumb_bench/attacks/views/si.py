"""SI: copies of the input at smaller scales (Lin, Song, He, Wang, Hopcroft; ICLR 2020)."""

from __future__ import annotations

from dumb_bench.attacks.views.base import Scene, Transformation, View


def si(*, scales: int = 5) -> Transformation:
    """Return the mean over copies x / 2^i, i = 0 .. scales - 1."""

    def made(scene: Scene) -> View:
        del scene
        return View(copies=scales, apply=lambda images, copy: images / 2**copy)

    return made
