"""Fewer bits a channel: Xu, Evans, Qi, Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks,
NDSS 2018.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dumb_bench.defences.base import Defence, defence
from dumb_bench.defences.inputs import InputDefence, straight_through


@defence("bit_depth", paper="arXiv:1704.01155", trains=False)
def bit_depth(*, bits: Annotated[int, Field(ge=1, le=8)] = 4) -> Defence:
    """Images are rounded to 2**bits levels from 0 to 1 before the network; backward is the identity."""
    most = 2**bits - 1
    return InputDefence(straight_through(lambda images: (images * most).round() / most))
