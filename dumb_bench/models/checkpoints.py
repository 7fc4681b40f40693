"""A user's own network: read from safetensors, held against its architecture and task, and refused with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed, head_of
from dumb_bench.catalogue import Catalogue
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import InputError
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.weights import tensors_sha256
from dumb_bench.posteriors.base import State, state_of
from dumb_bench.spec import ModelSpec

_INNER = "network."
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, as torch.save writes it, which holds pickle",
    b"\x80": "pickle",
    b"\x89HDF": "HDF5",
}
_REMEDY = "save it with safetensors.torch.save_file(network.state_dict(), ...)"
_NAMED = 3


class Own(NamedTuple):
    """A checkpoint that fits. state: of the whole network, preprocessing included. sha256: of its tensors."""

    state: State
    sha256: str


def read_checkpoint(path: Path, spec: ModelSpec, catalogue: Catalogue) -> Own:
    """Read a checkpoint and see that it is one of the spec's architecture and task.

    The tensors are named as in the architecture's network, or as in the network inside its preprocessing (the names
    that torchvision and timm give). float16, bfloat16 and float64 become float32.

    Raises:
        InputError: one line that begins with the file: it is missing, no safetensors, or does not fit.
    """
    given = _tensors(path)
    network = fresh_network(spec, catalogue, seed=0)
    own = state_of(network)
    bare = isinstance(network, Preprocessed) and not any(name.startswith(_INNER) for name in given)
    if bare:
        given = {_INNER + name: tensor for name, tensor in given.items()}
        given |= {name: tensor for name, tensor in own.items() if not name.startswith(_INNER)}
    shown = spec.architecture.label
    problem = _misnamed(own, given, shown, _INNER if bare else "") or _misshaped(
        network, own, given, len(task_named(spec.task, catalogue).classes), spec
    )
    if not problem:
        given = {name: _as(own[name], tensor) for name, tensor in given.items()}
        problem = _unusable(own, given)
    if problem:
        raise InputError(f"{path}: {problem}")
    state = {name: given[name].contiguous() for name in own}
    return Own(state, tensors_sha256(state))


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a safetensors file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    for magic, kind in _FOREIGN.items():
        if data.startswith(magic):
            raise InputError(f"{path}: is {kind}, and is not opened; {_REMEDY}")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no safetensors file ({error}); {_REMEDY}") from None


def _misnamed(own: State, given: Mapping[str, Tensor], architecture: str, prefix: str) -> str:
    """Return which tensors are missing or not expected, or nothing."""
    lacking = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    beyond = [name for name in given if name not in own]
    faults = []
    for verb, names in (("lacks", lacking), ("does not expect", beyond)):
        if names:
            first = ", ".join(name.removeprefix(prefix) for name in names[:_NAMED])
            faults.append(f"{verb} {len(names):,} tensors ({first}{', ...' if len(names) > _NAMED else ''})")
    if not faults:
        return ""
    words = [fault if fault.startswith("lacks") else f"{architecture} {fault}" for fault in faults]
    return f"is no checkpoint of {architecture}: " + "; ".join(words)


def _misshaped(network: nn.Module, own: State, given: Mapping[str, Tensor], classes: int, spec: ModelSpec) -> str:
    """Return which shapes differ from the network's, or nothing; of the last layer alone as a number of classes."""
    wrong = [name for name, tensor in given.items() if tensor.shape != own[name].shape]
    if not wrong:
        return ""
    head = head_of(network)
    if head and all(name.startswith(f"{head}.") for name in wrong):
        shape = given[wrong[0]].shape
        if shape[1:] == own[wrong[0]].shape[1:]:
            return f"has {shape[0] if shape else 0:,} classes ({wrong[0]}), the task {spec.task!r} has {classes}"
    first = "; ".join(
        f"{name} is {tuple(given[name].shape)}, expected {tuple(own[name].shape)}" for name in wrong[:_NAMED]
    )
    return f"{len(wrong):,} tensors of another shape than {spec.architecture.label}'s: {first}"


def _as(own: Tensor, given: Tensor) -> Tensor:
    """Return a tensor in the network's type where nothing but precision is lost or gained, else as it is."""
    alike = own.is_floating_point() and given.dtype in _FLOATS
    counts = own.dtype == torch.int64 and given.dtype in (torch.int32, torch.int64)
    return given.to(own.dtype) if alike or counts else given


def _unusable(own: State, given: dict[str, Tensor]) -> str:
    """Return which tensor is of another type or holds what no weight can be, or nothing; adds missing counters."""
    for name, tensor in given.items():
        if tensor.dtype != own[name].dtype:
            kinds = "float16, bfloat16, float32 or float64" if own[name].is_floating_point() else str(own[name].dtype)
            return f"{name} is {str(tensor.dtype).removeprefix('torch.')}, expected {kinds}"
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            return f"{name} holds NaN or infinite values"
    for name, tensor in own.items():
        given.setdefault(name, tensor)
    return ""
