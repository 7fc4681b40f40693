"""No defence: ordinary training."""

from __future__ import annotations

from dumb_bench.defences.base import Defence, Ordinary, defence


@defence("none", trains=False)
def none() -> Defence:
    """Cross entropy on the training images; the model is deployed as it is."""
    return Ordinary()
