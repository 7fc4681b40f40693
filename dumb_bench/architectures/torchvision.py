"""torchvision's classification networks: `torchvision.resnet18`, or by a short name such as `resnet18`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dumb_bench.architectures.base import ArchitectureInfo, NamedWeights
from dumb_bench.architectures.library import IMAGENET_MEAN, IMAGENET_STD, SIDE, Channels, Side, read_tensors, side_in
from dumb_bench.architectures.library import wrapped as _wrapped
from dumb_bench.catalogue import PluginInfo
from dumb_bench.errors import InputError, unknown

LIBRARY = "torchvision"

REFUSED = dict.fromkeys(
    ("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    "its weights can only be loaded together with a version number that a table of tensors does not hold",
)

_LEFT_OUT = frozenset({"imagenet1k_features"})
"""Weights of torchvision's without a classifier, for images that are not in [0, 1]."""

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
"""Files of DenseNet name layers `norm.1`, the network `norm1`."""


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    from torchvision import models

    return tuple(sorted(models.list_models(module=models)))


def _versions(name: str) -> Iterable[Any]:
    from torchvision import models

    return [item for item in models.get_model_weights(name) if item.name.lower() not in _LEFT_OUT]


def _renamed(path: Path) -> Mapping[str, Tensor]:
    """Read weights as their network names them today, without the classifiers that only training would use."""
    return {
        _OLD_DENSENET.sub(r"\1\2", name): value
        for name, value in read_tensors(path).items()
        if not name.startswith(_AUXILIARY)
    }


class TorchvisionNetwork:
    """One network of torchvision's under this package's contract: `dumb_bench.architectures.base.architecture`."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.name = f"{LIBRARY}.{own}"
        versions = list(_versions(own))
        settings = versions[0].transforms.keywords
        self.mean = tuple(settings.get("mean", IMAGENET_MEAN))
        self.std = tuple(settings.get("std", IMAGENET_STD))
        self.info = ArchitectureInfo(1, "", {item.name.lower(): NamedWeights(item.url, _renamed) for item in versions})
        self.__doc__ = f"torchvision's {own}: {versions[0].meta['num_params'] / 1e6:.1f} million weights for ImageNet."

    def __call__(
        self,
        num_classes: int,
        image_shape: tuple[int, int, int],
        *,
        side: Side = SIDE,
        mean: Channels = None,
        std: Channels = None,
    ) -> nn.Module:
        """Return the network with `num_classes` logits, its weights drawn from PyTorch's global generator.

        Maps images (N, 3, H, W) in [0, 1] to logits (N, num_classes). side: images are resized to it (bilinear,
        antialiased), 0 for not at all. mean, std: of the normalisation, those of the published weights where None.

        Raises:
            InputError: images of other than three channels, or a side that the network does not take.
        """
        from torchvision import models

        network = models.get_model(self.own, weights=None, num_classes=num_classes, **self._settings(image_shape, side))
        return _wrapped(self.name, network, image_shape, side, tuple(mean or self.mean), tuple(std or self.std))

    def _settings(self, image_shape: tuple[int, int, int], side: int) -> dict[str, Any]:
        seen = side_in(image_shape, side)
        if self.own in ("googlenet", "inception_v3"):  # one output; inputs scaled as their published weights expect
            return {"aux_logits": False, "init_weights": True, "transform_input": True}
        if self.own.startswith("vit_"):
            return {"image_size": seen}
        return {"input_size": (seen, seen)} if self.own == "maxvit_t" else {}


class Torchvision:
    """The family, as `dumb_bench.catalogue.Family` wants it."""

    def names(self) -> tuple[str, ...]:
        return _names()

    def refused(self) -> Mapping[str, str]:
        return REFUSED

    def load(self, name: str) -> tuple[Callable[..., Any], PluginInfo, str]:
        import torchvision

        if name in REFUSED:
            raise InputError(f"architecture '{LIBRARY}.{name}' cannot be used: {REFUSED[name]}")
        if name not in _names():
            raise InputError(unknown(f"{LIBRARY} architecture", name, set(_names()) - REFUSED.keys()))
        call = TorchvisionNetwork(name)
        version = str(torchvision.__version__).partition("+")[0]
        return call, PluginInfo("architectures", call.name, 1, call.info), version


FAMILY = Torchvision()
