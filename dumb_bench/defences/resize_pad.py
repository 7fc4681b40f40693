"""Random resizing and padding: Xie, Wang, Zhang, Ren, Yuille, Mitigating Adversarial Effects Through Randomization,
ICLR 2018.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.defences.base import Defence, defence
from dumb_bench.defences.inputs import InputDefence


def resized(images: Tensor, smallest: float) -> Tensor:
    """Return each image resized (nearest) to a random size and placed at random on black; shape as before.

    images: (N, C, H, W). smallest: the least share of the side, 0..1; sizes are whole pixels from there to the side,
    all as likely, the same share for height and width; so is each place. Draws from the global generator of the images'
    device, three numbers an image whatever it shows.
    """
    height, width = images.shape[-2:]
    drawn = torch.rand(3, len(images), 1, device=images.device)
    least = max(1, round(smallest * height))
    tall = least + (drawn[0] * (height - least + 1)).long().clamp(max=height - least)
    wide = (tall * width / height).round().long().clamp(1, width)
    rows, inside_rows = _sources(height, tall, drawn[1])
    columns, inside_columns = _sources(width, wide, drawn[2])
    shape = images.shape
    picked = images.gather(2, rows[:, None, :, None].expand(shape))
    picked = picked.gather(3, columns[:, None, None, :].expand(shape))
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return torch.where(inside, picked, torch.zeros((), device=images.device, dtype=images.dtype))


def _sources(side: int, size: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Return which pixel each pixel of an axis shows, (N, side), and whether it shows one.

    size: (N, 1), of the resized image. place: (N, 1) in [0, 1), how far along the free room it begins.
    """
    first = torch.minimum((place * (side - size + 1)).long(), side - size)
    own = torch.arange(side, device=size.device) - first
    inside = (own >= 0) & (own < size)
    return (own.clamp(min=0) * side // size).clamp(max=side - 1), inside


@defence("resize_pad", paper="arXiv:1711.01991", trains=False, stochastic=True)
def resize_pad(*, smallest: Annotated[float, Field(gt=0, le=1)] = 0.9) -> Defence:
    """Each image is resized at random to between `smallest` and all of its side, then padded at random with black.

    The paper enlarges (299 pixels to between 299 and 331, a ratio of .903) and the network takes the larger image; here
    the shape stays, so that every architecture can be defended, and the image shrinks by the same ratio. Every image of
    a batch has a draw of its own.
    """
    return InputDefence(lambda images: resized(images, smallest))
