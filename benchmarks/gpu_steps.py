"""One training step of one network under an option, timed: what `gpu_training.py` runs, with PyTorch alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

IMAGES = 1024


@dataclass(frozen=True)
class Option:
    """How a step is executed. inputs: resident on the device as uint8, or sent from the CPU each step."""

    name: str
    channels_last: bool = False
    bf16: bool = False
    tf32: bool = False
    fused: bool = False
    graph: bool = False
    compiled: bool = False
    inputs: str = "resident"


PLAIN = Option("plain")
BEST = Option("channels_last + bf16 + tf32 + fused", channels_last=True, bf16=True, tf32=True, fused=True)
OPTIONS = (
    PLAIN,
    Option("channels_last", channels_last=True),
    Option("tf32", tf32=True),
    Option("channels_last + tf32", channels_last=True, tf32=True),
    Option("bf16", bf16=True),
    Option("channels_last + bf16", channels_last=True, bf16=True),
    Option("fused", fused=True),
    Option("inputs sent, pinned", inputs="pinned"),
    Option("inputs sent, pageable", inputs="pageable"),
    BEST,
    Option("graph", graph=True),
    replace(BEST, name="all these + graph", graph=True),
)
COMPILED = replace(BEST, name="all these + compiled", compiled=True)


class Case(NamedTuple):
    """A network, the side of its images and the batch."""

    network: str
    side: int
    batch: int


class Block(nn.Module):
    """The basic residual block."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*_normalised(before, after, stride), nn.ReLU(), *_normalised(after, after, 1))
        moved = stride != 1 or before != after
        self.skip = nn.Sequential(*_normalised(before, after, stride, 1)) if moved else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, before, H, W) to (N, after, H / stride, W / stride)."""
        return torch.relu(self.branch(features) + self.skip(features))


def _normalised(before: int, after: int, stride: int = 1, side: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(before, after, side, stride, side // 2, bias=False), nn.BatchNorm2d(after)]


def built(name: str) -> nn.Module:
    """Return a network with two classes: torchvision's, or one of the package's small ones, for one channel."""
    if not name.startswith("small_"):
        import torchvision

        return getattr(torchvision.models, name)(num_classes=2)
    if name == "small_resnet":
        blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
        stem = [*_normalised(1, 16, 2), nn.ReLU()]
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))
    if name == "small_vgg":
        layers: list[nn.Module] = []
        for widths in ((1, 8), (8, 16), (16, 32, 32)):
            for before, after in zip(widths, widths[1:]):  # noqa: B905, RUF007
                layers += [*_normalised(before, after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 2)]
        return nn.Sequential(*layers)
    layers = [nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(768, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 2))


class Trainer:
    """One network in training under an option; calling it takes a step."""

    def __init__(self, case: Case, option: Option, device: torch.device) -> None:
        self.case, self.option, self.device = case, option, device
        self.layout = torch.channels_last if option.channels_last else torch.contiguous_format
        self.network = built(case.network).to(device=device, memory_format=self.layout)
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=1e-3, fused=option.fused or None, capturable=option.graph
        )
        held = device if option.inputs == "resident" else torch.device("cpu")
        channels = 1 if case.network.startswith("small_") else 3
        count = max(IMAGES, case.batch) if case.side < 100 else 2 * case.batch
        self.images = torch.randint(0, 256, (count, channels, case.side, case.side), dtype=torch.uint8, device=held)
        self.labels = torch.arange(count, device=device) % 2
        self.number = 0
        self.model = torch.compile(self.network, mode="reduce-overhead") if option.compiled else self.network
        self.played: Any = self.record() if option.graph else None

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return the next images, uint8, and labels on the device."""
        size = self.case.batch
        first = (self.number * size) % (len(self.images) - size + 1)
        self.number += 1
        images = self.images[first : first + size]
        if self.option.inputs == "pinned":
            images = images.pin_memory().to(self.device, non_blocking=True)
        return images.to(self.device), self.labels[first : first + size]

    def pass_through(self, images: Tensor, labels: Tensor) -> None:
        """Take a step on a batch, (N, C, H, W) uint8."""
        self.optimiser.zero_grad()
        scaled = images.float().div_(255).contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16) if self.option.bf16 else nullcontext():
            loss = nn.functional.cross_entropy(self.model(scaled), labels)
        loss.backward()
        self.optimiser.step()

    def record(self) -> Callable[[], None]:
        """Record a step as a CUDA graph, its inputs copied into fixed places before each replay."""
        images, labels = (tensor.clone() for tensor in self.batch())
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                self.pass_through(images, labels)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.pass_through(images, labels)

        def play() -> None:
            for place, tensor in zip((images, labels), self.batch(), strict=True):
                place.copy_(tensor, non_blocking=True)
            graph.replay()

        return play

    def __call__(self) -> None:
        """Take a step."""
        if self.played is not None:
            self.played()
        else:
            self.pass_through(*self.batch())


def settled(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


class Window(NamedTuple):
    """Steps a second by the wall clock, and the device's milliseconds a step (the CPU's own, without a GPU)."""

    rate: float
    device_ms: float


def windows(step: Callable[[], object], device: torch.device, seconds: float, count: int = 5) -> Iterator[Window]:
    """Warm up, then measure `count` windows that take `seconds` together."""
    for _ in range(3):
        step()
    settled(device)
    started = time.perf_counter()
    for _ in range(3):
        step()
    settled(device)
    steps = max(2, int(seconds / count / ((time.perf_counter() - started) / 3)))
    for _ in range(count):
        started = time.perf_counter()
        if device.type == "cuda":
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
        for _ in range(steps):
            step()
        if device.type == "cuda":
            after.record()
        settled(device)
        wall = time.perf_counter() - started
        yield Window(steps / wall, (before.elapsed_time(after) if device.type == "cuda" else 1e3 * wall) / steps)


def spread(values: list[float]) -> str:
    """Return median [min, max]."""
    return f"{statistics.median(values):.4g} [{min(values):.4g}, {max(values):.4g}]"


def apply(option: Option) -> None:
    """Set what PyTorch keeps for the whole process, by its newer names where it has them."""
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        precision = "tf32" if option.tf32 else "ieee"
        torch.backends.cuda.matmul.fp32_precision = precision
        torch.backends.cudnn.conv.fp32_precision = precision
    else:
        torch.backends.cuda.matmul.allow_tf32 = option.tf32
        torch.backends.cudnn.allow_tf32 = option.tf32
