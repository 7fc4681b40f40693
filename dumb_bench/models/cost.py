"""What training took: recorded for each part of a run, added up for a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dumb_bench.posteriors.base import History

Record = dict[str, Any]
"""Columns of the table `models`, as plain JSON data."""

_CURVES = {
    "curve_epoch": "number",
    "curve_loss": "loss",
    "curve_validation_loss": "validation_loss",
    "curve_validation_f1": "validation_f1",
}


@dataclass
class Passed:
    """images: passed forward through networks on the way to a gradient, each as often as it was."""

    images: int = 0


@contextmanager
def counted(networks: Sequence[nn.Module]) -> Iterator[Passed]:
    """Count the images that pass networks meanwhile, but where gradients are off."""
    passed = Passed()

    def note(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        del network
        if torch.is_grad_enabled():
            passed.images += len(inputs[0])

    hooks = [network.register_forward_pre_hook(note) for network in networks]
    try:
        yield passed
    finally:
        for hook in hooks:
            hook.remove()


def record_of(histories: Sequence[History], seconds: float) -> Record:
    """Return the record of one part. selected_epoch: None unless it was a single run of the training loop."""
    epochs = [epoch for history in histories for epoch in history.epochs]
    return {
        "epochs": len(epochs),
        "gradients": sum(history.gradients for history in histories),
        "seconds": seconds,
        "selected_epoch": histories[0].selected if len(histories) == 1 else None,
        **{column: [getattr(epoch, name) for epoch in epochs] for column, name in _CURVES.items()},
    }


def total(records: Iterable[Record]) -> Record:
    """Return what several parts took together; curves one after the other, each from its own first epoch."""
    found = list(records)
    if len(found) == 1:
        return {key: found[0].get(key) for key in ("epochs", "gradients", "seconds", "selected_epoch", *_CURVES)}
    summed: Record = {key: sum(record[key] for record in found) for key in ("epochs", "gradients", "seconds")}
    curves: Record = {key: [value for record in found for value in record[key]] for key in _CURVES}
    return {**summed, "selected_epoch": None, **curves}
