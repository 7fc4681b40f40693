"""The contract of a delivery: how an image, clean or adversarial, reaches the victim."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from torch import Tensor

from dumb_bench.catalogue import PluginInfo, mark

_Delivery = TypeVar("_Delivery", bound=Callable[..., Tensor])


class DeliveryInfo(NamedTuple):
    """lossless: an 8-bit image arrives as it was, bit for bit, so that `identity` must never succeed.

    number: the whole-number parameter that stands behind the name in a grid, as 75 in `jpeg75`; empty: there is none.
    """

    lossless: bool
    number: str = ""


def delivery(name: str, *, lossless: bool, version: int = 1, number: str = "") -> Callable[[_Delivery], _Delivery]:
    """Declare a function `(images) -> images` on (N, C, H, W) float32 in [0, 1] as a delivery.

    It draws nothing at random. number: as in `DeliveryInfo`; the function's only keyword argument.
    """
    info = DeliveryInfo(lossless, number)

    def decorate(call: _Delivery) -> _Delivery:
        return mark(call, PluginInfo("deliveries", name, version, info))

    return decorate
