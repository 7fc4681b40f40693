"""The network that a spec names, without its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

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
    with seeded(seed, torch.device("cpu")):
        return _built(spec, catalogue)


def blank_network(spec: ModelSpec, catalogue: Catalogue) -> nn.Module:
    """Return the spec's network on the CPU, in train mode, for weights that are yet to be loaded; most are 0.

    Drawing the weights of a vgg11_bn takes twice as long as reading and verifying them.

    Raises:
        InputError: as `fresh_network`.
    """
    with seeded(0, torch.device("cpu")), _Zeroing():
        return _built(spec, catalogue)


class _Zeroing(TorchFunctionMode):
    """Puts 0 into parameters, where `torch.nn.init` would draw; all parameters are in a network's state.

    PyTorch lets `uniform_`, `normal_`, `constant_` and `kaiming_uniform_` be replaced so, with which linear layers and
    convolutions begin; what draws by other functions is drawn.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensor = kwargs.get("tensor", args[0] if args else None)
        if getattr(func, "__module__", "") == "torch.nn.init" and isinstance(tensor, nn.Parameter):
            return tensor.detach().zero_()
        return func(*args, **kwargs)


def _built(spec: ModelSpec, catalogue: Catalogue) -> nn.Module:
    task = task_named(spec.task, catalogue)
    entry = catalogue.get("architectures", spec.architecture.name)
    info: ArchitectureInfo = entry.info
    side = min(task.image_shape[1:])
    if side < info.min_side:
        raise InputError(
            f"architecture {spec.architecture.name!r}: takes images of at least {info.min_side} px, "
            f"those of task {spec.task!r} have {side}"
        )
    network: nn.Module = entry.call(len(task.classes), task.image_shape, **spec.architecture.as_dict())
    return network
