"""How a recipe's training steps are executed: which weights move, in which precision, in which memory layout."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dumb_bench.architectures.base import head_of
from dumb_bench.errors import InputError
from dumb_bench.recipes import Recipe

_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}

_Normalising = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class Steps:
    """Executes the steps of one training run of a network; without options of the recipe exactly as PyTorch does.

    `trainable = "head"`: all but the last layer stand still, their batch normalisation in eval mode, so that neither
    weights nor running statistics change. `precision`: passes under autocast, weights and their update in fp32; fp16
    with a scaled loss (Micikevicius et al., ICLR 2018, section 3). `channels_last`: weights and images in that layout.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._half = _HALVES.get(recipe.precision)
        self._layout = torch.channels_last if recipe.channels_last else torch.preserve_format
        self._scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self._frozen: list[nn.Parameter] = []
        self._still: list[nn.Module] = []
        if recipe.channels_last:
            network.to(memory_format=torch.channels_last)
        if recipe.trainable == "head":
            self._freeze(head_of(network))

    def _freeze(self, head: str) -> None:
        if not head:
            raise InputError("recipe: trainable = 'head': the network has no linear layer or convolution")
        kept = set(self._network.get_submodule(head).parameters())
        self._frozen = [weight for weight in self._network.parameters() if weight not in kept]
        for weight in self._frozen:
            weight.requires_grad_(False)
        self._still = [layer for layer in self._network.modules() if isinstance(layer, _Normalising)]

    def train_mode(self) -> None:
        """Put the network in train mode, but for what stands still."""
        self._network.train()
        for layer in self._still:
            layer.eval()

    def laid_out(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) in the memory layout of the run."""
        return images.to(memory_format=self._layout)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass and its loss."""
        return nullcontext() if self._half is None else torch.autocast(self._device.type, dtype=self._half)

    def backward(self, loss: Tensor, optimiser: Optimizer) -> None:
        """Leave the gradients of the loss, at their true size, in the weights."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(optimiser)

    def step(self, optimiser: Optimizer) -> None:
        """Step; not where fp16 gave gradients that are not finite: then the next loss is scaled less."""
        self._scaler.step(optimiser)
        self._scaler.update()

    def finish(self) -> None:
        """Let all weights move again."""
        for weight in self._frozen:
            weight.requires_grad_(True)
