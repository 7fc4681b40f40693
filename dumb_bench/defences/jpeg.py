"""JPEG: Dziugaite, Ghahramani, Roy, A study of the effect of JPG compression on adversarial images, 2016."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dumb_bench.defences.base import Defence, defence
from dumb_bench.defences.inputs import InputDefence, straight_through
from dumb_bench.deliveries import jpeg as channel


@defence("jpeg", paper="arXiv:1608.00853", trains=False)
def jpeg(*, quality: Annotated[int, Field(ge=1, le=95)] = 75) -> Defence:
    """Images are compressed as JPEG by Pillow first, as by the delivery `jpegN`; backward is the identity."""
    return InputDefence(straight_through(lambda images: channel.jpeg(images, quality=quality)))
