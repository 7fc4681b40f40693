"""How many images a forward pass takes: the protocol's number, or what was measured to be fastest."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed
from dumb_bench.evaluation import BATCH
from dumb_bench.spec import FAST

FAST_BATCHES: dict[str, tuple[tuple[int, int], ...]] = {
    "cpu": ((128, 64), (1024, 16)),
    "cuda": ((64, 1024), (128, 512), (1024, 256)),
}
"""By device: (side in pixels up to which it holds, images a pass) of `numerics = "fast"`.

Measured by `benchmarks/batch_sizes.py`; never found at run time, since logits depend on it in their last bits.
"""


def batch_for(images: Tensor, numerics: str, networks: Iterable[nn.Module]) -> int:
    """Return how many images (N, C, H, W) a pass takes when these networks are asked."""
    if numerics != FAST:
        return BATCH
    table = FAST_BATCHES["cuda" if images.is_cuda else "cpu"]
    inside = side_inside(images, networks)
    return next((batch for side, batch in table if inside <= side), table[-1][1])


def side_inside(images: Tensor, networks: Iterable[nn.Module]) -> int:
    """Return the largest side in pixels at which one of some networks works on images (N, C, H, W)."""

    def side(network: nn.Module) -> int:
        found = (layer.side or 0 for layer in network.modules() if isinstance(layer, Preprocessed))
        return max(found, default=0) or max(images.shape[2:])

    return max(map(side, networks))
