"""Training written out: one model, one loop, the seeds and batches of the harness, so that the weights are equal."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.training import training_images

from .study import Model

EVALUATED = 256
"""Images a forward pass when validating, as in the harness."""


class Trained(NamedTuple):
    """A network in eval mode, frozen. images: passed forward and backward; validated: forward alone."""

    network: nn.Module
    images: int
    validated: int


def train(model: Model, catalogue: Catalogue) -> Trained:
    """Train one network and keep the epoch of the highest validation F1, then of the lowest validation loss."""
    recipe = model.recipe
    data = training_images(model.spec, catalogue)
    images, labels = torch.tensor(data.train.images), torch.tensor(data.train.labels)
    unseen, truth = torch.tensor(data.validation.images).float() / 255, torch.tensor(data.validation.labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.seed("init"))
        network = model.build()
        layout = torch.channels_last if recipe.channels_last else torch.preserve_format
        network.to(memory_format=layout)
        torch.manual_seed(model.seed("dropout"))
        order, noise = (torch.Generator().manual_seed(model.seed(name)) for name in ("order", "noise"))
        adam = torch.optim.Adam(
            network.parameters(), lr=recipe.lr, betas=(recipe.momentum, 0.999), weight_decay=recipe.weight_decay,
            fused=recipe.fused or None,
        )  # fmt: skip
        batches = math.ceil(len(labels) / recipe.batch)
        best, kept = (-math.inf, -math.inf), {}
        reference, since, step = -math.inf, 0, 0
        passed = 0
        for _ in range(recipe.epochs):
            network.train()
            passed += 1
            for part in torch.randperm(len(labels), generator=order).tensor_split(batches):
                seen = images[part].float() / 255
                if recipe.noise:
                    sigma = recipe.noise * torch.rand(len(part), 1, 1, 1, generator=noise)
                    seen = (seen + sigma * torch.randn(seen.shape, generator=noise)).clamp_(0, 1)
                adam.param_groups[0]["lr"] = _rate(model, step, batches)
                adam.zero_grad()
                functional.cross_entropy(network(seen.to(memory_format=layout)), labels[part]).backward()  # type: ignore[no-untyped-call]
                adam.step()
                step += 1
            loss, f1 = _validate(network, unseen, truth)
            if f1 > reference + recipe.min_delta:
                reference, since = f1, 0
            else:
                since += 1
            if (f1, -loss) > best:
                best, kept = (f1, -loss), {name: value.clone() for name, value in network.state_dict().items()}
            if since >= recipe.patience:
                break
    network.load_state_dict(kept)
    return Trained(network.eval().requires_grad_(False), passed * len(labels), passed * len(truth))


def _rate(model: Model, step: int, batches: int) -> float:
    recipe = model.recipe
    if recipe.schedule == "cosine":
        return recipe.lr * (1 + math.cos(math.pi * step / (recipe.epochs * batches))) / 2
    if recipe.schedule == "steps":
        return recipe.lr * recipe.decay ** (step // (recipe.decay_epochs * batches))
    return recipe.lr


def _validate(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross entropy and macro F1."""
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(part) for part in torch.split(images, EVALUATED)])
    classes = logits.shape[1]
    table = torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2).view(classes, classes).double()
    f1 = float((2 * table.diag() / (table.sum(0) + table.sum(1)).clamp(min=1)).mean())
    return float(functional.cross_entropy(logits, labels)), f1
