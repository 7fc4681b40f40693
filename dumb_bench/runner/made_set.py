"""A set that was made, and what is measured of it once, whatever its deliveries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from dumb_bench.attacks.craft import Crafted
from dumb_bench.perturbation import l2, linf


@dataclass(frozen=True)
class MadeSet:
    """crafted: the set, at one strength. clean: (N, C, H, W) float32 in [0, 1], the images it was made of."""

    crafted: Crafted
    clean: Tensor

    @cached_property
    def sha256(self) -> str:
        """The sha256 of the images as they were crafted, float32."""
        return hashlib.sha256(self.crafted.images.cpu().numpy().tobytes()).hexdigest()

    @cached_property
    def linf(self) -> Tensor:
        """Each image's Linf distance, (N,) float64."""
        return linf(self.crafted.images, self.clean)

    @cached_property
    def l2(self) -> Tensor:
        """Each image's L2 distance, (N,) float64."""
        return l2(self.crafted.images, self.clean)
