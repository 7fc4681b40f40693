"""No defence: ordinary training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dumb_bench.defences.base import Defence, defence
from dumb_bench.spec import ModelSpec


class _None:
    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        return nn.functional.cross_entropy(model(images), labels)

    def wrap(self, model: nn.Module) -> nn.Module:
        return model

    def parents(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        del spec
        return ()


@defence("none")
def none() -> Defence:
    """Cross entropy on the training images; the model is deployed as it is."""
    return _None()
