"""PyTorch's global generators, seeded without a look at hardware that is not used."""

from __future__ import annotations

import torch


def seed_global(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of a device, with 0 <= seed < 2**64.

    The draws there are those after `torch.manual_seed`, which also formats a stack trace for every kind of hardware
    that is not set up, and imports PyTorch's compiler.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
