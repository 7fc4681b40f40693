"""Images made by somebody else's code, scored like all others: `external.NAME`, bound by `--set NAME=FOLDER`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, attack
from dumb_bench.catalogue import PluginInfo
from dumb_bench.data.base import Split
from dumb_bench.errors import AttackError, InputError
from dumb_bench.external_set import ExternalSet


class _Sets:
    """The family `external`: its names come from the command line, not from a library."""

    def names(self) -> tuple[str, ...]:
        return ()

    def refused(self) -> Mapping[str, str]:
        return {}

    def load(self, name: str) -> tuple[Callable[..., Any], PluginInfo, str]:
        raise InputError(f"attack 'external.{name}': its images are not here; name their folder: --set {name}=FOLDER")


FAMILY = _Sets()


def bound(found: ExternalSet) -> tuple[Callable[..., Any], PluginInfo]:
    """Return a set as an attack that looks at no surrogate and hands out the set's images."""

    @attack("external", norm=None, strength=None, uses="nothing", library="external")
    def external(
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        strength: float | None,
        *,
        generator: torch.Generator,
        targets: Tensor | None = None,
    ) -> Tensor:
        """Images made elsewhere, each in the place of the clean image that its index names by sha256.

        Raises:
            AttackError: the set lacks an image, or has one of another shape or label.
        """
        del surrogate, strength, generator, targets
        levels = (images * 255).round().to(torch.uint8).cpu().numpy()
        made = [_one(found, clean, label) for clean, label in zip(levels, labels.tolist(), strict=True)]
        return torch.tensor(np.stack(made), device=images.device).float() / 255

    info: PluginInfo = external.__plugin__  # type: ignore[attr-defined]
    return external, replace(info, name=f"external.{found.name}")


def _one(found: ExternalSet, clean: npt.NDArray[np.uint8], label: int) -> npt.NDArray[np.uint8]:
    image = found.images.get(key := sha256_of(clean))
    if image is None:
        raise AttackError(f"external.{found.name}: has no image for the clean image of sha256 {key[:12]}")
    if fault := _fault(found, image.levels.shape, image.label, clean.shape, label):
        raise AttackError(fault)
    return image.levels


def _fault(found: ExternalSet, shape: Any, label: int | None, wanted: Any, truth: int) -> str:
    if shape != wanted:
        return f"external.{found.name}: expected images of shape {tuple(wanted)}, got {tuple(shape)}"
    if label is not None and label != truth:
        return f"external.{found.name}: its index states label {label} for an image whose label is {truth}"
    return ""


def sha256_of(levels: npt.NDArray[np.uint8]) -> str:
    """Return what `images.sha256` and the index's `clean_sha256` hold: of an image (C, H, W) uint8."""
    return hashlib.sha256(np.ascontiguousarray(levels).tobytes()).hexdigest()


def obstacle(found: ExternalSet, split: Split) -> str:
    """Return why a set cannot stand for the images of a split, or nothing."""
    lacking = 0
    for clean, label in zip(split.images, split.labels.tolist(), strict=True):
        image = found.images.get(sha256_of(clean))
        if image is None:
            lacking += 1
        elif fault := _fault(found, image.levels.shape, image.label, clean.shape, label):
            return fault
    return f"external.{found.name}: lacks {lacking:,} of the {len(split.ids):,} images" if lacking else ""
