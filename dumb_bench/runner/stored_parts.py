"""Trained parts in the store, and ready in memory."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, NamedTuple

import torch
from torch import nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import DamagedFileError
from dumb_bench.models.fast_network import fast_network
from dumb_bench.models.parts import Part, Share
from dumb_bench.models.predictor import networks
from dumb_bench.models.training import TrainedModel
from dumb_bench.models.weights import from_bytes, from_file, to_bytes
from dumb_bench.posteriors.base import WeightSamples
from dumb_bench.runner.machine import hardware, host, library_versions
from dumb_bench.spec import NONE
from dumb_bench.store.store import Store

KEPT_NETWORKS = 64
KEPT_BYTES = 8 * 2**30
"""Networks that a slot keeps, and the bytes of their weights at most; the part used longest ago goes first."""

LATEST_BYTES = 2**26
"""Of the largest part whose weights are held once more, as they were read or trained last."""

WEIGHTS = "weights.safetensors"


class LoadedPart(NamedTuple):
    """A part, ready to be used.

    networks: one a sample, without what a defence puts around; a single one where it is stochastic. sample_bytes: of
    the weights and buffers of a sample. record: what its training took and where it was done.
    """

    networks: tuple[nn.Module, ...]
    stochastic: bool
    sample_bytes: int
    sha256: str
    record: dict[str, Any]

    def chosen(self, share: Share) -> tuple[nn.Module, ...]:
        """Return the networks of a model's share; a stochastic one as often as it has samples."""
        if self.stochastic:
            return self.networks * len(share.places)
        return tuple(self.networks[place] for place in share.places)

    def bytes_of(self, share: Share) -> int:
        """Return the bytes of a share's weights."""
        return self.sample_bytes * (1 if self.stochastic else len(share.places))


class StoredParts:
    """The trained parts of a store; behaves as `training.Kept` where training asks for them.

    Raises (all methods that read):
        DamagedFileError: weights are missing or damaged; `path` is the part's id.
    """

    def __init__(self, store: Store, catalogue: Catalogue, device: torch.device) -> None:
        self._store = store
        self._catalogue = catalogue
        self._device = device
        self._loaded: OrderedDict[str, LoadedPart] = OrderedDict()
        self._fast: dict[str, tuple[LoadedPart, LoadedPart]] = {}
        self._latest: tuple[str, TrainedModel, str] | None = None

    def get(self, name: str) -> TrainedModel | None:
        """Return a part's weights and record, None where it is not there."""
        if not self._store.has_artifact(name):
            return None
        return _owned(self._read(name)[0])

    def __setitem__(self, name: str, part: TrainedModel) -> None:
        """Store a part, and where and with what it was trained."""
        about = {
            "library_versions": library_versions(),
            "hardware": hardware(str(self._device)),
            "host": host(),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        meta = self._store.put_artifact(name, {WEIGHTS: to_bytes(part.samples)}, {"record": {**part.record, **about}})
        self._loaded.pop(name, None)
        self._hold(name, *_described(part.samples, meta))

    def loaded(self, part: Part) -> LoadedPart:
        """Return a part's networks, which are kept warm."""
        if part.id not in self._loaded:
            trained, sha256 = self._read(part.id)
            states = trained.samples.states
            stochastic = trained.samples.kind != "samples"
            spec = dataclasses.replace(part.spec, samples=1 if stochastic else len(states), defence=NONE)
            found = networks(spec, self._catalogue, trained.samples, device=str(self._device))
            size = sum(tensor.nbytes for state in states for tensor in state.values()) // len(found)
            self._loaded[part.id] = LoadedPart(found, stochastic, size, sha256, trained.record)
            while len(self._loaded) > 1 and self._too_many():
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(part.id)
        return self._loaded[part.id]

    def _too_many(self) -> bool:
        held = self._loaded.values()
        size = sum(len(item.networks) * item.sample_bytes for item in held)
        return sum(len(item.networks) for item in held) > KEPT_NETWORKS or size > KEPT_BYTES

    def fast(self, part: Part) -> LoadedPart:
        """Return a part with its networks rebuilt for speed, kept as long as they are; stochastic ones stay."""
        loaded = self.loaded(part)
        if loaded.stochastic:
            return loaded
        if self._fast.get(part.id, (None, None))[0] is not loaded:
            shape = task_named(part.spec.task, self._catalogue).image_shape
            rebuilt = tuple(fast_network(network, shape) for network in loaded.networks)
            self._fast = {key: pair for key, pair in self._fast.items() if self._loaded.get(key) is pair[0]}
            self._fast[part.id] = (loaded, loaded._replace(networks=rebuilt))
        return self._fast[part.id][1]

    def _read(self, name: str) -> tuple[TrainedModel, str]:
        """Return a part and its file's sha256; the part trained or read last is still in memory."""
        if self._latest is not None and self._latest[0] == name:
            return self._latest[1:]
        found, sha256 = self._from_store(name)
        self._hold(name, found, sha256)
        return found, sha256

    def _hold(self, name: str, part: TrainedModel, sha256: str) -> None:
        size = sum(tensor.nbytes for state in part.samples.states for tensor in state.values())
        self._latest = (name, _owned(part), sha256) if size <= LATEST_BYTES else None

    def _from_store(self, name: str) -> tuple[TrainedModel, str]:
        try:
            if here := self._store.local_artifact(name):
                return _described(from_file(here[0][WEIGHTS]), here[1])
            files, meta = self._store.get_artifact(name)
            samples = from_bytes(files[WEIGHTS])
        except (DamagedFileError, KeyError, FileNotFoundError) as error:
            raise DamagedFileError(name, f"weights cannot be read ({error})") from None
        return _described(samples, meta)


def _owned(part: TrainedModel) -> TrainedModel:
    """Return a part whose tensors are its own, not those of a mapped file."""
    states = tuple({name: tensor.clone() for name, tensor in state.items()} for state in part.samples.states)
    return part._replace(samples=WeightSamples(states, part.samples.kind))


def _described(samples: WeightSamples, meta: dict[str, Any]) -> tuple[TrainedModel, str]:
    """Return a part with the record in its artifact's meta, and its file's sha256."""
    return TrainedModel(samples, meta.get("record", {})), meta["files"][WEIGHTS]["sha256"]
