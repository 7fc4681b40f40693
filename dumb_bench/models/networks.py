"""The network that a spec names, without its weights."""

from __future__ import annotations

import torch
from torch import nn

from dumb_bench.architectures.base import ArchitectureInfo
from dumb_bench.catalogue import Catalogue
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import InputError
from dumb_bench.models.fitting import seeded
from dumb_bench.spec import ModelSpec


def fresh_network(spec: ModelSpec, catalogue: Catalogue, seed: int) -> nn.Module:
    """Return the spec's network on the CPU, in train mode, its weights drawn by the seed; global generators unchanged.

    Where the spec names initial weights, `initial.start` puts them in.

    Raises:
        InputError: unknown task or architecture, or images smaller than the architecture takes.
    """
    task = task_named(spec.task, catalogue)
    entry = catalogue.get("architectures", spec.architecture.name)
    info: ArchitectureInfo = entry.info
    side = min(task.image_shape[1:])
    if side < info.min_side:
        raise InputError(
            f"architecture {spec.architecture.name!r}: takes images of at least {info.min_side} px, "
            f"those of task {spec.task!r} have {side}"
        )
    with seeded(seed, torch.device("cpu")):
        network: nn.Module = entry.call(len(task.classes), task.image_shape, **spec.architecture.as_dict())
    return network
