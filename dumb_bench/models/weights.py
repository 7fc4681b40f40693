"""Weight samples as bytes: safetensors, never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from dumb_bench.errors import DamagedFileError
from dumb_bench.posteriors.base import Kind, WeightSamples

_KINDS: tuple[str, ...] = get_args(Kind)


def to_bytes(samples: WeightSamples) -> bytes:
    """Return samples as one safetensors file: tensor `3/name` is `name` of sample 3, the metadata holds the kind.

    Equal samples give equal bytes (the metadata has a single entry: safetensors writes several in no fixed order).
    """
    tensors = {
        f"{number}/{name}": value for number, state in enumerate(samples.states) for name, value in state.items()
    }
    return save(tensors, metadata={"kind": samples.kind})


def from_bytes(data: bytes) -> WeightSamples:
    """Return the samples that `to_bytes` wrote.

    Raises:
        DamagedFileError: the bytes are torn, or are not weight samples.
    """

    def read() -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        header: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return load(data), header["__metadata__"]

    return _samples(read)


def from_file(path: Path) -> WeightSamples:
    """Return the samples of a file whose content `to_bytes` wrote.

    The tensors lie in the file, mapped into memory: copy them where they are to be computed with. Their addresses are
    not aligned, on which the last bits of a matrix product may depend.

    Raises:
        DamagedFileError: the file is torn, or holds no weight samples.
        FileNotFoundError: there is none.
    """

    def read() -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        with safe_open(path, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118 - no mapping

    return _samples(read)


def _samples(read: Callable[[], tuple[Mapping[str, Tensor], Mapping[str, Any]]]) -> WeightSamples:
    """Return the samples in what is read: tensors by name, and the file's metadata."""
    try:
        tensors, about = read()
        kind: Any = about["kind"]
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            number, _, name = key.partition("/")
            states.setdefault(int(number), {})[name] = value
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedFileError("weights", f"no weight samples ({type(error).__name__}: {error})") from None
    if kind not in _KINDS or sorted(states) != list(range(len(states))) or not states:
        raise DamagedFileError("weights", f"no weight samples (kind {kind!r}, samples {sorted(states)})")
    return WeightSamples(tuple(states[number] for number in range(len(states))), kind)


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the sha256 of tensors by name: of names, types, shapes and values, whatever file they came from."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
