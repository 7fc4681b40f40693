"""What computes: library versions, processor, host."""

from __future__ import annotations

import functools
import json
import platform
import socket
from importlib.metadata import PackageNotFoundError, version

import torch


@functools.cache
def library_versions(*extra: str) -> str:
    """Return the versions of what computes, as JSON."""
    names = dict.fromkeys(["dumb-bench", "torch", "torchvision", "numpy", *(name.replace("_", "-") for name in extra)])
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return json.dumps({"python": platform.python_version(), **found}, sort_keys=True)


@functools.cache
def hardware(device: str) -> str:
    """Return the processor that computes, in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"


@functools.cache
def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()
