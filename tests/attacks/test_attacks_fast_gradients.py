"""Gradients in small passes and through recorded graphs: the same numbers, the same counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.gradient_graphs import CALLS_BEFORE, GradientGraphs
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.tifgsm import tifgsm
from dumb_bench.surrogate import LockedSurrogate

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def surrogate(device: str = "cpu") -> LockedSurrogate:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 4))
    flat = (nn.Flatten(), nn.Linear(768, 4))
    return LockedSurrogate([nn.Sequential(*each).to(device) for each in (layers, flat)], 4)


def batch(device: str = "cpu") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.rand(8, 3, 16, 16, generator=generator), torch.arange(8) % 4
    return images.to(device), labels.to(device)


def double(images: Tensor) -> Tensor:
    return images.roll(1, 2) * 0.5


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "logit_margin"])
def test_small_passes_give_the_whole_gradient(targeted: bool, loss: str) -> None:
    images, labels = batch()
    targets = labels.roll(1) if targeted else None
    images, whole, split = images.double(), surrogate().double(), surrogate().double()
    split.gradient_batch = 3
    sizes: list[int] = []
    split.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    wanted = Objective(whole, labels, targets, loss).gradient(images)
    found = Objective(split, labels, targets, loss).gradient(images)
    assert sizes == [3, 3, 2]
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-14) and whole.cost == split.cost


def test_what_looks_at_the_whole_batch_is_not_split() -> None:
    class Own(Objective):
        def values(self, logits: Tensor) -> Tensor:
            return super().values(logits) * torch.arange(len(logits))  # an image's place in the batch counts

    images, labels = batch()
    split, whole = surrogate(), surrogate()
    split.gradient_batch = 3
    assert torch.equal(Own(split, labels).gradient(images), Own(whole, labels).gradient(images))
    viewed = Objective(split, labels).gradient(images, double)
    assert torch.equal(viewed, Objective(whole, labels).gradient(images, double))


def gradients(model: Surrogate, images: Tensor, labels: Tensor) -> list[Tensor]:
    """As attacks take them: other images and labels at each call, and every second time through a view."""
    found = []
    for number in range(2 * CALLS_BEFORE + 4):
        objective = Objective(model, labels.roll(number), labels.roll(number + 1) if number % 4 > 1 else None)
        found.append(objective.gradient(images.roll(number, 3), double if number % 2 else None))
    return found


def check_recorded(device: str) -> None:
    images, labels = batch(device)
    plain, recorded = surrogate(device), surrogate(device)
    recorded.gradient_graphs = GradientGraphs(recorded)
    for wanted, found in zip(gradients(plain, images, labels), gradients(recorded, images, labels), strict=True):
        assert torch.equal(wanted, found) and wanted.abs().max() > 0
    assert recorded.cost == plain.cost
    made = [
        tifgsm(model, images, labels, 0.1, generator=torch.Generator(device).manual_seed(3), steps=9)
        for model in (plain, recorded)
    ]
    assert torch.equal(*made) and recorded.cost == plain.cost


def test_a_runner_of_gradients_changes_nothing() -> None:
    check_recorded("cpu")


@needs_gpu
def test_recorded_gradients_are_the_same_bit_for_bit() -> None:
    check_recorded("cuda")


@needs_gpu
def test_what_cannot_be_recorded_is_called_as_ever() -> None:
    class Waits(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :4] * float(images.max())  # no graph holds a number that the host must see

    images, labels = batch("cuda")
    model = LockedSurrogate([Waits()], 4)
    model.gradient_graphs = GradientGraphs(model)
    plain = gradients(LockedSurrogate([Waits()], 4), images, labels)
    assert all(torch.equal(one, other) for one, other in zip(plain, gradients(model, images, labels), strict=True))
