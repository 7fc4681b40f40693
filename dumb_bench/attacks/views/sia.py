"""SIA: every block of the input is transformed in its own way (Wang, Zhang, Zhang; ICCV 2023)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.views.base import Scene, Transformation, View
from dumb_bench.attacks.views.spectrum import dct, inverse_dct

NOISE = 16 / 255
SHRINK = 0.8
CUT_FREQUENCIES = 0.4
DROP = 0.1

Change = Callable[[Tensor, torch.Generator], Tensor]
"""A block (N, C, h, w) and where its random numbers come from -> a block of the same shape."""


def _rolled(block: Tensor, generator: torch.Generator, dim: int) -> Tensor:
    shift = torch.randint(block.shape[dim], (1,), generator=generator, device=generator.device)
    return block.roll(int(shift), dim)


def _scaled(block: Tensor, generator: torch.Generator) -> Tensor:
    return block * torch.rand(1, generator=generator, device=generator.device, dtype=block.dtype)


def _noisy(block: Tensor, generator: torch.Generator) -> Tensor:
    return (block + torch.empty_like(block).uniform_(-NOISE, NOISE, generator=generator)).clamp(0, 1)


def _resized(block: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    height, width = block.shape[-2:]
    small = (int(SHRINK * height) + 1, int(SHRINK * width) + 1)
    block = functional.interpolate(block, size=small, mode="bilinear", align_corners=False)
    return functional.interpolate(block, size=(height, width), mode="bilinear", align_corners=False)


def _low_passed(block: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    height, width = (side - int(CUT_FREQUENCIES * side) for side in block.shape[-2:])
    mask = torch.zeros(block.shape[-2:], dtype=block.dtype, device=block.device)
    mask[:height, :width] = 1
    return inverse_dct(dct(block) * mask)


def _dropped(block: Tensor, generator: torch.Generator) -> Tensor:
    shares = torch.rand(*block.shape[:2], 1, 1, generator=generator, device=block.device)
    return block * (shares >= DROP) / (1 - DROP)


CHANGES: dict[str, Change] = {
    "vertical shift": lambda block, generator: _rolled(block, generator, 2),
    "horizontal shift": lambda block, generator: _rolled(block, generator, 3),
    "vertical flip": lambda block, generator: block.flip(2),
    "horizontal flip": lambda block, generator: block.flip(3),
    "half turn": lambda block, generator: block.flip(2, 3),
    "scale": _scaled,
    "noise": _noisy,
    "resize": _resized,
    "low pass": _low_passed,
    "dropout": _dropped,
}
"""The ten of the paper: shifts wrap round, dropout takes whole channels of a block as the authors' code does."""


def cut_lengths(side: int, blocks: int, generator: torch.Generator) -> list[int]:
    """Return the lengths of `blocks` pieces of a side that is cut at different random pixels."""
    cuts = torch.randperm(side - 1, generator=generator, device=generator.device)[: blocks - 1] + 1
    edges = [0, *sorted(cuts.tolist()), side]
    return [end - start for start, end in pairwise(edges)]


def sia(*, copies: int = 20, blocks: int = 3, changes: tuple[str, ...] = tuple(CHANGES)) -> Transformation:
    """Return the mean over copies in which each of blocks x blocks random blocks gets one random change.

    Cuts and changes are drawn for each copy, the same for the whole batch.
    """
    chosen = [CHANGES[name] for name in changes]

    def made(scene: Scene) -> View:
        generator = scene.generator

        def apply(images: Tensor, copy: int) -> Tensor:
            del copy
            heights, widths = (cut_lengths(side, blocks, generator) for side in images.shape[-2:])
            kinds = torch.randint(len(chosen), (blocks, blocks), generator=generator, device=generator.device).tolist()
            rows = []
            for line, row in zip(kinds, torch.split(images, heights, 2), strict=True):
                blocks_of_row = zip(line, torch.split(row, widths, 3), strict=True)
                rows.append(torch.cat([chosen[kind](block, generator) for kind, block in blocks_of_row], 3))
            return torch.cat(rows, 2)

        return View(copies=copies, apply=apply)

    return made
