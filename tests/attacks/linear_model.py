"""A classifier whose optimal perturbation is known in closed form, and how an attack is run on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.catalogue import Catalogue
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
STAGES: dict[str, dict[str, object]] = {
    "mifgsm": {}, "nifgsm": {}, "vmifgsm": {"neighbours": 3}, "vnifgsm": {"neighbours": 3}, "emifgsm": {"samples": 3},
    "gra": {"neighbours": 3}, "pgn": {"neighbours": 3}, "rap": {"steps": 20},
}  # fmt: skip
"""The gradient stages with fewer samples than by default, for the sake of speed."""


class Linear(nn.Module):
    """Logits (-w x, w x): the loss gradient of class 0 is along w everywhere, whatever the image."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        weights = torch.randn(3 * 32 * 32, generator=torch.Generator().manual_seed(5)) * scale
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        score = images.flatten(1) @ self.weights / 50
        return torch.stack([-score, score], 1)

    def optimum(self, images: Tensor, labels: Tensor, norm: str, eps: float) -> Tensor:
        """Return the images of highest loss within eps, where the box does not matter."""
        weights = self.weights.detach().view(3, 32, 32)
        towards = torch.where(labels == 0, 1.0, -1.0).view(-1, 1, 1, 1)
        return images + eps * towards * (weights.sign() if norm == "linf" else weights / weights.norm())


def grey(count: int = 6) -> tuple[Tensor, Tensor]:
    return torch.full((count, 3, 32, 32), 0.5), torch.arange(count) % 2


def noisy(count: int = 8) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return images, torch.arange(count) % 2


def small_network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.Softplus(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 2)
    ).eval()


def made(
    name: str, network: nn.Module, images: Tensor, labels: Tensor, eps: float, targets: Tensor | None = None,
    **params: object,
) -> Crafted:  # fmt: skip
    entry = CATALOGUE.get("attacks", name)
    (found,) = craft(
        entry, LockedSurrogate([network], 2), images, labels, [eps],
        params=params, chunk=64, seed_key=(name,), targets=targets,
    )  # fmt: skip
    return found
