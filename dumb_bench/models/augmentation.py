"""Training images altered at random, drawn on the CPU so that they are the same on every device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PADDING = 4
"""Pixels of zeros on each side of an image before it is cropped."""


def sent(drawn: Tensor, device: torch.device) -> Tensor:
    """Return what was drawn on the CPU on the device that needs it; a GPU's queue of work is not waited for.

    A copy from ordinary memory waits until the GPU has done all before it, at each step; one from pinned memory does
    not. PyTorch keeps the pinned memory until the copy is done.
    """
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)


def crop_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by -4 to 4 pixels in both directions, zeros moving in, and mirror it with probability 1/2.

    images: (N, C, H, W) uint8, on any device; the same shape and type is returned. generator: of the CPU. Three draws
    an image: row, column, mirror.

    Source: C.-Y. Lee et al., Deeply-supervised nets (AISTATS 2015); K. He et al. (CVPR 2016), section 4.2.
    """
    count, _, height, width = images.shape
    shifts = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator)
    mirrored = torch.randint(0, 2, (count, 1), generator=generator) == 1
    rows = shifts[0] + torch.arange(height)
    ahead = torch.arange(width)
    columns = shifts[1] + torch.where(mirrored, ahead.flip(0), ahead)
    padded = functional.pad(images, (PADDING,) * 4)
    device = images.device
    places = torch.arange(count, device=device)[:, None, None]
    taken = padded[places, :, sent(rows, device)[:, :, None], sent(columns, device)[:, None, :]]
    return taken.permute(0, 3, 1, 2).contiguous()
