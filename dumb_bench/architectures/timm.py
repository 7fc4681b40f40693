"""timm's networks, `timm.<name>`: an extra that is installed with `dumb-bench[timm]`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dumb_bench.architectures.base import ArchitectureInfo, NamedWeights
from dumb_bench.architectures.library import IMAGENET_MEAN, IMAGENET_STD, SIDE, Channels, Side, side_in, wrapped
from dumb_bench.catalogue import PluginInfo
from dumb_bench.errors import InputError

LIBRARY = "timm"
INSTALL = "pip install 'dumb-bench[timm]'"

_PINNED = re.compile(r"-[0-9a-f]{8,64}\.(pth|pt|safetensors)$")
"""Ends the address of weights whose file name says their sha256; weights without are not offered."""


def _library(what: str) -> Any:
    try:
        return importlib.import_module(LIBRARY)
    except ImportError:
        raise InputError(f"{what}: timm is not installed; {INSTALL}") from None


class TimmNetwork:
    """One network of timm's under this package's contract: `dumb_bench.architectures.base.architecture`."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.name = f"{LIBRARY}.{own}"
        timm = _library(f"architecture {self.name!r}")
        self.settings: dict[str, Any] = {}
        default = timm.get_pretrained_cfg(own)
        if default is not None:
            self.settings = default.to_dict()
        self.mean = tuple(self.settings.get("mean", IMAGENET_MEAN))
        self.std = tuple(self.settings.get("std", IMAGENET_STD))
        self.info = ArchitectureInfo(1, "", dict(self._inits(timm)))
        self.__doc__ = f"timm's {own}."

    def _inits(self, timm: Any) -> list[tuple[str, NamedWeights]]:
        found = []
        for full in timm.list_pretrained(f"{self.own}.*"):
            cfg = timm.get_pretrained_cfg(full)
            url = cfg.url if isinstance(cfg.url, str) else ""
            if _PINNED.search(url) and (tuple(cfg.mean), tuple(cfg.std)) == (self.mean, self.std):
                found.append((full.partition(".")[2], NamedWeights(url, partial(_read, full))))
        return found

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
        antialiased), 0 for not at all. mean, std: of the normalisation, those of timm's `pretrained_cfg` where None.

        Raises:
            InputError: images of other than three channels, or a side that the network does not take.
        """
        timm = _library(f"architecture {self.name!r}")
        fixed = {"img_size": side_in(image_shape, side)} if self.settings.get("fixed_input_size") else {}
        network = timm.create_model(self.own, pretrained=False, num_classes=num_classes, **fixed)
        return wrapped(self.name, network, image_shape, side, tuple(mean or self.mean), tuple(std or self.std))


def _read(full: str, path: Path) -> Mapping[str, Tensor]:
    """Read weights through timm, which knows their older names; `file` makes it look nowhere else."""
    timm = _library(full)
    network: nn.Module = timm.create_model(full, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
    return network.state_dict()


class Timm:
    """The family, as `dumb_bench.catalogue.Family` wants it."""

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(_library(f"architectures {LIBRARY}.*").list_models()))

    def refused(self) -> Mapping[str, str]:
        return {}

    def load(self, name: str) -> tuple[Callable[..., Any], PluginInfo, str]:
        timm = _library(f"architecture '{LIBRARY}.{name}'")
        own, _, tag = name.partition(".")
        if tag:
            raise InputError(
                f"architecture '{LIBRARY}.{name}': name the network alone, and its weights as init = {tag!r}"
            )
        if not timm.is_model(own):
            near = ", ".join(timm.list_models(f"*{own[:4]}*")[:5])
            raise InputError(
                f"unknown timm architecture {name!r}; timm.list_models() has all"
                + (f", such as {near}." if near else ".")
            )
        call = TimmNetwork(own)
        return call, PluginInfo("architectures", call.name, 1, call.info), str(timm.__version__)


FAMILY = Timm()
