"""What the tests of DeepFool and Square share: networks, images, and a sweep of strengths that keeps the surrogate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.catalogue import Catalogue
from dumb_bench.surrogate import LockedSurrogate


class Linear(nn.Module):
    """Logits W x + b: every boundary is a plane."""

    def __init__(self, classes: int, features: int, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.weights = nn.Parameter(torch.randn(classes, features, generator=generator, dtype=torch.float64) * scale)
        self.bias = nn.Parameter(torch.randn(classes, generator=generator, dtype=torch.float64) * 0.1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = ((images - 0.5).flatten(1).double() @ self.weights.T + self.bias).to(images.dtype)
        return logits


class Recorded(nn.Module):
    """A network that remembers what it answered: a list of (images, logits)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.asked: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        self.asked.append((images.detach().clone(), logits.detach().clone()))
        return logits


def small_network(classes: int) -> nn.Module:
    """A network that is curved enough for DeepFool to need several steps on some images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2), nn.Tanh(), nn.Conv2d(8, 12, 3, stride=2), nn.Tanh(),
            nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(108, classes),
        ).eval()  # fmt: skip
        for place in (0, 2):
            layers[place].weight.data *= 16
        return layers


def scene(classes: int, count: int = 40, side: int = 32) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network, images, and its own labels for nine of ten of them."""
    network = small_network(classes)
    generator = torch.Generator().manual_seed(4)
    smooth = torch.rand(count, 3, 4, 4, generator=generator)
    images = nn.functional.interpolate(smooth, size=(side, side), mode="bilinear")
    logits = network(images)
    network[-1].bias.data -= logits.detach().mean(0)  # so that every class is given to some image
    labels = network(images).argmax(1)
    labels[::10] = (labels[::10] + 1) % classes
    return network, images, labels


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the label wins, (N,); negative when it lost."""
    own = logits.gather(1, labels[:, None])
    return (own - logits.scatter(1, labels[:, None], -torch.inf)).amin(1)


def sweep(
    name: str,
    network: nn.Module,
    classes: int,
    images: Tensor,
    labels: Tensor,
    strengths: Sequence[float],
    **params: object,
) -> tuple[list[Crafted], LockedSurrogate]:
    surrogate = LockedSurrogate([network], classes)
    targets = params.pop("targets", None)
    made = craft(
        Catalogue().get("attacks", name), surrogate, images, labels, strengths, params=params, chunk=1024,
        seed_key=(name,), targets=targets,  # type: ignore[arg-type]
    )  # fmt: skip
    return list(made), surrogate
