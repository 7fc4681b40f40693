"""What the conformance checks try an attack on: small networks, random images, and what must stay as it was."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.generators import forked_and_seeded
from dumb_bench.surrogate import LockedSurrogate, StateSnapshot

SIDE = 32
COUNT = 6
MARGIN = 3.0
"""The logit of the label; those of all other classes are 0."""

_NOISE = 15


class SmallNetwork(nn.Module):
    """Two stages of features and a linear layer.

    It has BatchNorm and Dropout, so that whatever touches modes or statistics is seen.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.Softplus(), nn.Dropout(0.2),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.last = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        logits: Tensor = self.last(self.pool(self.features(images)))
        return logits


class Subject(NamedTuple):
    """Images (N, C, H, W) of 8 bit in [0, 1], their labels (N,), and a fresh surrogate that gets them right."""

    images: Tensor
    labels: Tensor
    surrogate: WatchedSurrogate


def random_images(classes: int, channels: int, side: int = SIDE, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return square images and labels that take turns.

    The images share a random texture and differ by a little noise: a network that knows them looks at small
    differences, so that small perturbations fool it.
    """
    generator = torch.Generator().manual_seed(seed)
    texture = torch.randint(0, 256, (1, channels, side, side), generator=generator)
    noise = torch.randint(-_NOISE, _NOISE + 1, (COUNT, channels, side, side), generator=generator)
    return (texture + noise).clamp(0, 255).float() / 255, torch.arange(COUNT) % classes


def subject(classes: int, channels: int, side: int = SIDE, *, count: int = COUNT, members: int = 1) -> Subject:
    """Return so many images and a surrogate of so many networks."""
    images, labels = random_images(classes, channels, side)
    networks = [copy.deepcopy(_fitted(classes, channels, side, seed)) for seed in range(members)]
    return Subject(images[:count], labels[:count], WatchedSurrogate(networks, classes))


@lru_cache(maxsize=16)
def _fitted(classes: int, channels: int, side: int, seed: int) -> SmallNetwork:
    """Return a network with random features and the smallest last layer that gives each image's label `MARGIN` logits.

    It must weigh small differences heavily, so that its gradients live.
    """
    images, labels = random_images(classes, channels, side)
    with forked_and_seeded(seed, torch.device("cpu")), torch.no_grad():
        network = SmallNetwork(channels, classes)
        for _ in range(50):
            network(images)  # for BatchNorm's statistics
        network.eval()
        features = network.pool(network.features(images)).double()
        wanted = MARGIN * functional.one_hot(labels, classes).double()
        last = network.last
        last.weight.copy_((torch.linalg.pinv(features - features.mean(0)) @ wanted).T)
        last.bias.copy_(wanted.mean(0) - last.weight.double() @ features.mean(0))
    return network


class WatchedSurrogate(LockedSurrogate):
    """A surrogate that notes what an attack did to it, where `craft` would stop at the first harm.

    changed: what was found altered and put back. asked: whether any layer of any network was called.
    """

    def __init__(self, networks: list[SmallNetwork], classes: int) -> None:
        super().__init__(networks, classes)
        self.changed: list[str] = []
        calls: list[int] = []
        self._calls = calls
        for module in self.modules():
            if not list(module.children()):
                module.register_forward_pre_hook(lambda *_: calls.append(1))

    @property
    def asked(self) -> bool:
        """Whether any layer of any network was called."""
        return bool(self._calls)

    def snapshot(self) -> StateSnapshot:
        """Return a copy of all that an attack must leave alone, layers and hooks included."""
        return _Noting(self)


class _Noting(StateSnapshot):
    def __init__(self, surrogate: WatchedSurrogate) -> None:
        super().__init__(surrogate)
        self.noted = surrogate.changed
        self.anatomy = _anatomy(surrogate)

    def restore(self) -> str | None:
        found = super().restore()
        if found is None and _anatomy(self.module) != self.anatomy:
            found = "a layer was exchanged, or a hook left behind"
        if found is not None:
            self.noted.append(found)
        return None


def _anatomy(module: nn.Module) -> list[tuple[Any, ...]]:
    """Return the layers, the number of their hooks, and whether their `forward` was replaced."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        (name, id(child), type(child), "forward" in vars(child), *(len(getattr(child, kind)) for kind in hooks))
        for name, child in module.named_modules()
    ]


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic mode": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "cuDNN's deterministic mode": (
        lambda: torch.backends.cudnn.deterministic,
        lambda value: setattr(torch.backends.cudnn, "deterministic", value),
    ),
}


@contextmanager
def settings_kept(changed: list[str]) -> Iterator[None]:
    """Note which of torch's global settings differ at the end, and whether a global random state does.

    Settings are put back, so that one harm is told once.
    """
    before = {name: read() for name, (read, _) in _SETTINGS.items()}
    states = _random_states()
    try:
        yield
    finally:
        for name, (read, write) in _SETTINGS.items():
            if read() != before[name]:
                changed.append(f"torch's {name}")
                write(before[name])
        if _random_states() != states:
            changed.append("a global random state")


def _random_states() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=False)["state"]
    return random.getstate(), numpy_state["key"].tobytes(), numpy_state["pos"], torch.get_rng_state().numpy().tobytes()
