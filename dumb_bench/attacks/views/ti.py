"""TI: the gradient smoothed by a kernel, that is, averaged over translations (Dong, Pang, Su, Zhu; CVPR 2019)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.views.base import Scene, Transformation, View
from dumb_bench.errors import InputError

KernelName = Literal["gaussian", "linear", "uniform"]


def fitting_kernel(side: int) -> int:
    """Return the odd kernel side, in pixels, for images of a side: about a sixth, within 3 and the paper's 15.

    The paper's 15 pixels are meant for 299; on 32 pixels they would blur the whole digit (5 fits), on 224 they stay.
    """
    return min(15, max(3, 2 * (side // 12) + 1))


def kernel_line(name: KernelName, side: int) -> Tensor:
    """Return one dimension of a kernel, (side,) float64, sum 1; the kernel is its outer product with itself.

    gaussian: three standard deviations to each border. linear: falls to 0 one pixel outside. uniform: constant.
    """
    if name == "gaussian":
        weights = torch.exp(-0.5 * torch.linspace(-3, 3, side, dtype=torch.float64) ** 2)
    elif name == "linear":
        reach = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        weights = 1 - reach.abs() / ((side + 1) / 2)
    else:
        weights = torch.ones(side, dtype=torch.float64)
    return weights / weights.sum()


def smoothed(gradient: Tensor, line: Tensor) -> Tensor:
    """Return a gradient (N, C, H, W) convolved, channel by channel, with the kernel of a line; 0 beyond the border."""
    planes = gradient.flatten(0, 1)[:, None]
    line = line.to(gradient)
    across = functional.conv2d(planes, line.view(1, 1, 1, -1), padding="same")
    return functional.conv2d(across, line.view(1, 1, -1, 1), padding="same").view_as(gradient)


def ti(*, kernel: int = 0, kernel_name: KernelName = "gaussian") -> Transformation:
    """Return the smoothing of the gradient by a kernel of an odd side in pixels; 0: `fitting_kernel`.

    Raises:
        InputError: an even kernel, which has no centre.
    """
    if kernel and kernel % 2 == 0:
        raise InputError(f"TI: parameter 'kernel': expected an odd number of pixels, got {kernel}")

    def made(scene: Scene) -> View:
        del scene

        def smooth(gradient: Tensor) -> Tensor:
            return smoothed(gradient, kernel_line(kernel_name, kernel or fitting_kernel(min(gradient.shape[-2:]))))

        return View(smooth=smooth)

    return made
