"""Work counted from outside, by kind of unit: passes, gradients, builds, reads, encodes, hashes, writes."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from minigrid import Quiet
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from dumb_bench.attacks import craft
from dumb_bench.catalogue import Catalogue, Entry
from dumb_bench.data import balance, images
from dumb_bench.models import chosen_images, weights
from dumb_bench.perturbation import ssim
from dumb_bench.runner.execute import Worker
from dumb_bench.runner.run import RunOptions, run_grid
from dumb_bench.runner.units import Outcome, Unit, kind_of
from dumb_bench.store.filesystem import LocalPlace
from dumb_bench.store.status import default_store

DRIVER = "driver"
"""Where work is counted that no unit does: planning, and what comes after the last unit."""


@dataclass
class Work:
    """What was done: (kind of unit, what) -> how often. Of passes, encodes and SSIM the number of images.

    answers, gradient_passes: images passed forward through networks without and with gradients on. backwards: images
    that a gradient came back for. hashed: (kind, bytes) of every longer text that was hashed by sha256.
    """

    set_bytes: int
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    hashed: Counter[tuple[str, int]] = field(default_factory=Counter)
    weight_sizes: set[int] = field(default_factory=set)
    kind: str = DRIVER

    def add(self, what: str, number: int = 1) -> None:
        self.done[self.kind, what] += number

    @property
    def kinds(self) -> set[str]:
        """The kinds of unit that did anything."""
        return {kind for (kind, _), number in self.done.items() if number}

    def of(self, kind: str) -> dict[str, int]:
        """What units of a kind did; sha256 of adversarial sets and of weights among it."""
        found = {what: number for (where, what), number in self.done.items() if where == kind and number}
        sizes = {size: number for (where, size), number in self.hashed.items() if where == kind}
        hashed = {
            "sets_hashed": sizes.get(self.set_bytes, 0),
            "weights_hashed": sum(sizes.get(size, 0) for size in self.weight_sizes),
        }
        return found | {what: number for what, number in hashed.items() if number}


def run_counted(folder: Path, text: str, set_bytes: int) -> Work:
    """Run a grid serially in this process and count; set_bytes: of an adversarial set's float32 numbers."""
    grid = folder / "grid.toml"
    grid.write_text(text)
    results = str(folder / "out")
    for cached in (images.load_split, chosen_images._balanced):
        cached.cache_clear()
    work = Work(set_bytes)
    handle = register_optimizer_step_post_hook(lambda *_: work.add("steps"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            _count(work, patch)
            options = RunOptions(results=results, store=default_store(results), address="serial")
            assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    finally:
        handle.remove()
    return work


def _count(work: Work, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Worker, "__call__", _within_unit(work, Worker.__call__))
    patch.setattr(Catalogue, "_load", _counted_plugins(work, Catalogue._load))
    patch.setattr(hashlib, "sha256", _counted_hash(work, hashlib.sha256))
    patch.setattr(hashlib, "file_digest", _counted_digest(work, hashlib.file_digest))
    patch.setattr(LocalPlace, "write", _counted_write(work, LocalPlace.write))
    patch.setattr(LocalPlace, "read", _counted_read(work, LocalPlace.read))
    for function, what, size in (
        (ssim, "ssim", lambda pictures, clean: len(pictures)),
        (craft.bounded, "sets", lambda *_: 1),
        (balance.subsample, "subsamples", lambda *_: 1),
        (weights.from_bytes, "weights_read", lambda *_: 1),
        (weights.from_file, "weights_read", lambda *_: 1),
    ):
        _everywhere(patch, function, _counted(work, function, what, size))


def _everywhere(patch: pytest.MonkeyPatch, function: Callable[..., Any], counted: Callable[..., Any]) -> None:
    """Replace a function in every module of the package that holds it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("dumb_bench") and vars(module).get(function.__name__) is function:
            patch.setattr(module, function.__name__, counted)


def _counted(work: Work, function: Any, what: str, size: Callable[..., int]) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **settings: Any) -> Any:
        work.add(what, size(*args))
        return function(*args, **settings)

    return call


def _within_unit(work: Work, execute: Callable[..., Outcome]) -> Callable[..., Outcome]:
    def call(self: Worker, unit: Unit, halvings: int = 0) -> Outcome:
        work.kind = kind_of(unit)
        work.add("units")
        try:
            return execute(self, unit, halvings)
        finally:
            work.kind = DRIVER

    return call


def _counted_plugins(work: Work, load: Callable[..., Entry]) -> Callable[..., Entry]:
    counters = {
        "sources": lambda entry: _counted(work, entry.call, "splits_read", lambda *_: 1),
        "deliveries": lambda entry: _counted(work, entry.call, "encodes", lambda pictures: len(pictures)),
        "architectures": lambda entry: _watched(work, entry.call),
    }

    def call(self: Catalogue, kind: str, name: str) -> Entry:
        entry = load(self, kind, name)
        numbered = isinstance(entry.call, functools.partial)  # `jpeg75` calls `jpeg`, which counts
        return entry if kind not in counters or numbered else replace(entry, call=counters[kind](entry))

    return call


def _watched(work: Work, build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Count networks that are built, and all that passes through them."""

    def passed(network: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del network
        number = len(inputs[0])
        work.add("gradient_passes" if torch.is_grad_enabled() else "answers", number)
        if output.requires_grad:
            output.register_hook(lambda gradient: work.add("backwards", number))

    @functools.wraps(build)
    def call(*args: Any, **params: Any) -> nn.Module:
        network = build(*args, **params)
        work.add("builds")
        network.register_forward_hook(passed)
        return network

    return call


def _counted_hash(work: Work, sha256: Any) -> Any:
    def call(data: Any = b"", **settings: Any) -> Any:
        if len(data) > 1000:
            work.hashed[work.kind, len(data)] += 1
        return sha256(data, **settings)

    return call


def _counted_digest(work: Work, digest: Any) -> Any:
    """Count the files of weights that are read through to see that they are whole."""

    def call(stream: Any, *asked: Any) -> Any:
        size = os.fstat(stream.fileno()).st_size
        work.hashed[work.kind, size] += 1
        if stream.name.endswith(".safetensors"):
            work.add("weights_files_read")
            work.weight_sizes.add(size)
        return digest(stream, *asked)

    return call


def _counted_write(work: Work, write: Callable[..., None]) -> Callable[..., None]:
    def call(self: LocalPlace, path: str, data: bytes) -> None:
        if path.startswith(("parts/", "artifacts/")):
            work.add(f"{path.partition('/')[0]}_written")
        if path.endswith(".safetensors"):
            work.weight_sizes.add(len(data))
        write(self, path, data)

    return call


def _counted_read(work: Work, read: Callable[..., bytes]) -> Callable[..., bytes]:
    def call(self: LocalPlace, path: str) -> bytes:
        data = read(self, path)
        if path.startswith("parts/"):
            work.add("parts_read")
        assert not path.endswith(".safetensors"), "weights are mapped, not read"
        return data

    return call
