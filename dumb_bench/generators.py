"""PyTorch's global random generators, seeded for a while and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def forked(device: torch.device) -> Iterator[None]:
    """Put the global generators of the CPU and of a device back after the block."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def forked_and_seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of the CPU and of a device inside the block and put them back after.

    The same numbers as after `torch.manual_seed`, which formats three stack traces a call, and keeps them, where there
    is no GPU.
    """
    with forked(device):
        reseed(seed, device)
        yield


def reseed(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of a device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
