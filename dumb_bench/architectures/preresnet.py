"""PreResNet: residual networks with identity mappings, for 32x32 images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from dumb_bench.architectures.base import architecture
from dumb_bench.architectures.cifar import Convolution, PreactivationBlock, preactivation_network
from dumb_bench.errors import InputError

_WIDTHS = (16, 32, 64)
_EXPANSION = 4
_BOTTLENECKS_FROM = 44

Block = Literal["basic", "bottleneck"]


@architecture("preresnet", min_side=8, paper="He, Zhang, Ren, Sun, ECCV 2016, arXiv:1603.05027")
def preresnet(
    num_classes: int,
    image_shape: tuple[int, int, int],
    *,
    depth: Annotated[int, Field(ge=8, le=1202)] = 110,
    block: Block | None = None,
) -> nn.Module:
    """Pre-activation ResNet for CIFAR: three stages of 16, 32 and 64 channels (times 4 with bottlenecks).

    Maps images (N, C, H, W) in [0, 1] to logits (N, num_classes), H and W at least 8. depth: 6n + 2 with basic blocks
    (two 3x3 convolutions), 9n + 2 with bottlenecks (1x1, 3x3, 1x1), n blocks a stage. block: None for bottlenecks from
    depth 44 on, as in the public code of Gubri et al. (UAI 2022) and the code that it builds on: their PreResNet110
    has bottlenecks, 1.15 million weights. That of the papers has basic blocks and 1.7 million: `block = "basic"`.

    Raises:
        InputError: no whole number of blocks makes the depth.
    """
    channels = image_shape[0]
    kind = block or ("bottleneck" if depth >= _BOTTLENECKS_FROM else "basic")
    each = 9 if kind == "bottleneck" else 6
    if (depth - 2) % each:
        low = depth - (depth - 2) % each
        raise InputError(
            f"architecture 'preresnet': parameter 'depth': expected {each}n + 2 with {kind} blocks, "
            f"such as {low} or {low + each}, got {depth}"
        )
    blocks: list[PreactivationBlock] = []
    before = _WIDTHS[0]
    for stage, width in enumerate(_WIDTHS):
        for number in range((depth - 2) // each):
            convolutions = _convolutions(kind, width, 2 if stage > 0 and number == 0 else 1)
            blocks.append(PreactivationBlock(before, convolutions))
            before = convolutions[-1].width
    return preactivation_network(channels, _WIDTHS[0], blocks, num_classes)


def _convolutions(kind: Block, width: int, stride: int) -> tuple[Convolution, ...]:
    if kind == "basic":
        return (Convolution(3, width, stride), Convolution(3, width))
    return (Convolution(1, width), Convolution(3, width, stride), Convolution(1, _EXPANSION * width))
