"""BSR: blocks of the input shuffled and rotated (Wang, He, Wang, Wang; CVPR 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.views.base import Scene, Transformation, View


def turned(block: Tensor, degrees: float) -> Tensor:
    """Return a block (N, C, h, w) rotated about its centre, bilinear, with 0 from outside."""
    height, width = block.shape[-2:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows = [[cosine, -sine * height / width, 0], [sine * width / height, cosine, 0]]
    turn = torch.tensor(rows, dtype=block.dtype, device=block.device)
    grid = functional.affine_grid(turn[None], [1, 1, height, width], align_corners=False)
    return functional.grid_sample(block, grid.expand(len(block), -1, -1, -1), align_corners=False)


def random_lengths(side: int, blocks: int, generator: torch.Generator) -> list[int]:
    """Return the lengths of `blocks` pieces of a side, in proportion to uniform numbers, each at least a pixel."""
    shares = torch.rand(blocks, generator=generator, device=generator.device, dtype=torch.float64)
    lengths: list[int] = [1 + int(share) for share in (shares / shares.sum() * (side - blocks)).tolist()]
    lengths[lengths.index(max(lengths))] += side - sum(lengths)
    return lengths


def bsr(*, copies: int = 20, blocks: int = 2, max_angle: float = 24.0) -> Transformation:
    """Return the mean over copies whose blocks x blocks random blocks are shuffled and rotated.

    The image is cut by a random grid; its rows and its columns are put in random order, and each block is rotated by an
    angle of its own, within +- max_angle degrees. All is drawn for each copy, the same for the whole batch.
    """

    def made(scene: Scene) -> View:
        generator = scene.generator

        def order() -> list[int]:
            found: list[int] = torch.randperm(blocks, generator=generator, device=generator.device).tolist()
            return found

        def apply(images: Tensor, copy: int) -> Tensor:
            del copy
            heights, widths = (random_lengths(side, blocks, generator) for side in images.shape[-2:])
            down, across = order(), order()
            draws = torch.rand(blocks, blocks, generator=generator, device=generator.device, dtype=torch.float64)
            angles = ((draws * 2 - 1) * max_angle).tolist()
            grid = [torch.split(row, widths, 3) for row in torch.split(images, heights, 2)]
            rows = [
                torch.cat([turned(grid[i][j], angles[i][j]) if max_angle else grid[i][j] for j in across], 3)
                for i in down
            ]
            return torch.cat(rows, 2)

        return View(copies=copies, apply=apply)

    return made
