"""Wide residual networks, for 32x32 images."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from dumb_bench.architectures.base import architecture
from dumb_bench.architectures.cifar import Convolution, PreactivationBlock, preactivation_network
from dumb_bench.errors import InputError

_STEM = 16
_WIDTHS = (16, 32, 64)


@architecture("wide_resnet", min_side=8, paper="Zagoruyko, Komodakis, BMVC 2016, arXiv:1605.07146")
def wide_resnet(
    num_classes: int,
    image_shape: tuple[int, int, int],
    *,
    depth: Annotated[int, Field(ge=10, le=1000)] = 28,
    widen: Annotated[int, Field(ge=1, le=64)] = 10,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> nn.Module:
    """Wide ResNet for CIFAR: basic pre-activation blocks in three stages of 16, 32 and 64 channels times `widen`.

    Maps images (N, C, H, W) in [0, 1] to logits (N, num_classes), H and W at least 8. depth: 6n + 4, n blocks a stage;
    28 with widen 10 has 36.5 million weights. dropout: between the two convolutions of a block, probability. The
    convolutions have no biases, as in the paper's code (those of Gubri et al. have some: 0.03 % more weights).

    Raises:
        InputError: no whole number of blocks makes the depth.
    """
    if (depth - 4) % 6:
        low = depth - (depth - 4) % 6
        raise InputError(
            f"architecture 'wide_resnet': parameter 'depth': expected 6n + 4, such as {low} or {low + 6}, got {depth}"
        )
    blocks: list[PreactivationBlock] = []
    before = _STEM
    for stage, narrow in enumerate(_WIDTHS):
        for number in range((depth - 4) // 6):
            stride = 2 if stage > 0 and number == 0 else 1
            convolutions = (Convolution(3, narrow * widen, stride), Convolution(3, narrow * widen))
            blocks.append(PreactivationBlock(before, convolutions, dropout))
            before = narrow * widen
    return preactivation_network(image_shape[0], _STEM, blocks, num_classes)
