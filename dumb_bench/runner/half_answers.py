"""Victims' answers in bfloat16 where that is as good: which networks can, and how far each errs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from dumb_bench.evaluation import mean_logits_of
from dumb_bench.models.half_scoring import Halves, ask, pays, tolerance_of
from dumb_bench.models.scoring_batches import batch_for, side_inside
from dumb_bench.spec import FAST, ImagesSpec, ModelSpec


class Scored(NamedTuple):
    """A victim's answer. logits: (N, K). rescored: images asked again in float32; None where all were."""

    logits: Tensor
    rescored: int | None


class HalfAnswers:
    """Networks in bfloat16 and their tolerances, kept as long as the slot.

    Args:
        plain: a model's networks where nothing is around them and none is random, else None.
    """

    def __init__(self, plain: Callable[[ModelSpec], tuple[nn.Module, ...] | None]) -> None:
        self._plain = plain
        self._halves = Halves()
        self._tolerances: dict[tuple[str, ImagesSpec], float] = {}

    def of(
        self,
        spec: ModelSpec,
        images: ImagesSpec,
        delivered: Tensor,
        full: Callable[[Tensor], Tensor],
        clean: Callable[[], tuple[Tensor, Tensor]],
    ) -> Scored | None:
        """Return a model's answer to a delivered set; None where bfloat16 does not pay or the model knows none.

        full: its answer in float32 to images (N, C, H, W), logits (N, K). clean: gives the clean images of the set and
        that answer to them; asked for once.
        """
        bare = self._plain(spec)
        if bare is None or not pays(delivered, side_inside(delivered, bare)):
            return None
        halves = self._halved(bare, delivered[:1])
        if halves is None:
            return None

        def half(asked: Tensor) -> Tensor:
            return mean_logits_of(halves, asked, batch=batch_for(asked, FAST, halves))

        key = (spec.id, images)
        if key not in self._tolerances:
            unchanged, logits = clean()
            self._tolerances[key] = tolerance_of(half(unchanged), logits)
        return Scored(*ask(delivered, half, full, self._tolerances[key]))

    def networks(self, spec: ModelSpec, image: Tensor) -> tuple[nn.Module, ...] | None:
        """Return a model's networks in bfloat16; None where one is random, in a defence, or knows no bfloat16."""
        bare = self._plain(spec)
        return None if bare is None else self._halved(bare, image)

    def _halved(self, bare: tuple[nn.Module, ...], image: Tensor) -> tuple[nn.Module, ...] | None:
        found = [self._halves.of(network, image) for network in bare]
        return None if any(half is None for half in found) else tuple(half for half in found if half is not None)
