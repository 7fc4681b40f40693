"""Labels from bfloat16 passes that equal those of float32: images near a decision boundary are asked again.

A pass in bfloat16 errs; how far is measured on clean images, where both passes are made. An image whose two largest
logits lie further apart than six times the largest error seen there keeps its bfloat16 answer, every other one gets
that of float32.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed

SAFETY = 6.0
"""Images whose two largest logits are closer than this times the largest error on clean images are asked again.

On attacked images the largest error was at most 2.7 times that on clean ones (120,960 pairs of image and network of
the digits task, `benchmarks/half_scoring.py`).
"""

CHECK = 0.5
"""Where the images asked again show an error above this share of the tolerance, all are asked again."""

KEPT_BYTES = 32 * 2**20
"""Of the largest network in bfloat16 that is kept; converting a larger one takes little beside its passes."""

Ask = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] -> logits (N, K) float32."""


class HalfNetwork(nn.Module):
    """A copy of a network in bfloat16, behind its own preprocessing in float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        inner = network.network if isinstance(network, Preprocessed) else network
        self.before = copy.deepcopy(network, {id(inner): nn.Identity()}) if inner is not network else nn.Identity()
        halved: dict[int, Tensor] = {id(weight): _half(weight) for weight in inner.parameters()}
        halved |= {id(buffer): _half(buffer) for buffer in inner.buffers()}
        self.inner = copy.deepcopy(inner, halved).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1], float32, to logits (N, K) float32."""
        logits: Tensor = self.inner(self.before(images).to(torch.bfloat16)).float()
        return logits

    @property
    def nbytes(self) -> int:
        """Bytes of the weights and buffers."""
        return sum(tensor.nbytes for tensor in self.inner.state_dict().values())


LEAST_PIXELS = {"cpu": 2**18, "cuda": 2**21}
"""By device: sets of fewer pixels gain nothing, since the second pass, however small, has a cost of its own.

Measured: on a CPU 120 images of 32 x 32 pixels break even; on a GPU 1,024 of them, while 64 of 224 x 224 gain.
"""


def _half(tensor: Tensor) -> Tensor:
    """Return a tensor in bfloat16, without a copy in float32 on the way; one of whole numbers as it is."""
    found = tensor.detach().to(torch.bfloat16) if tensor.is_floating_point() else tensor
    return nn.Parameter(found, requires_grad=False) if isinstance(tensor, nn.Parameter) else found


def pays(images: Tensor, side: int) -> bool:
    """Whether images (N, C, H, W) are enough to be asked in bfloat16. side: in pixels, at which the network works."""
    return len(images) * side**2 >= LEAST_PIXELS.get(images.device.type, 0)


def half_of(network: nn.Module, image: Tensor) -> HalfNetwork | None:
    """Return a network in bfloat16; None where its layers, on this device, know no bfloat16. image: (1, C, H, W)."""
    if image.device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return None
    found = HalfNetwork(network)
    try:
        with torch.inference_mode():
            found(image)
    except (RuntimeError, NotImplementedError):
        return None
    return found


class Halves:
    """Networks in bfloat16, kept as long as the network is, if they are small; large ones are made anew each time."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[nn.Module, HalfNetwork | None] = weakref.WeakKeyDictionary()

    def of(self, network: nn.Module, image: Tensor) -> HalfNetwork | None:
        """Return `half_of(network, image)`."""
        if network in self._kept:
            return self._kept[network]
        found = half_of(network, image)
        if found is None or found.nbytes <= KEPT_BYTES:
            self._kept[network] = found
        return found


def errors(half: Tensor, full: Tensor) -> Tensor:
    """Return, (N,), how far bfloat16 logits (N, K) put the others too near to their largest one, or too far from it.

    The label of an image can differ only if its two largest bfloat16 logits are no further apart than this.
    """
    top = half.argmax(1, keepdim=True)
    return ((half - half.gather(1, top)) - (full - full.gather(1, top))).abs().amax(1)


def gaps(logits: Tensor) -> Tensor:
    """Return, (N,), the largest logit less the second."""
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return first - second


class Answer(NamedTuple):
    """logits: (N, K) float32; those of `rescored` images from float32 passes, the others from bfloat16 ones."""

    logits: Tensor
    rescored: int


def ask(images: Tensor, half: Ask, full: Ask, tolerance: float) -> Answer:
    """Ask in bfloat16, and again in float32 where the two largest logits are within the tolerance, or not finite."""
    found = half(images)
    doubtful = torch.nonzero(~(gaps(found) > tolerance)).flatten()
    if len(doubtful) == 0:
        return Answer(found, 0)
    again = full(images[doubtful])
    if float(errors(found[doubtful], again).max()) > CHECK * tolerance:
        return Answer(full(images), len(images))
    return Answer(found.index_copy(0, doubtful, again), len(doubtful))


def tolerance_of(half: Tensor, full: Tensor) -> float:
    """Return the tolerance of a network from its logits (N, K) for clean images; infinite where they are not finite."""
    largest = float(errors(half, full).max())
    return SAFETY * largest if largest < float("inf") else float("inf")
