"""Fast max pooling is PyTorch's: the same pixel of each window, so the same values, gradients and second gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from dumb_bench.architectures import pooling
from dumb_bench.architectures.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, MaxPool2d, largest


def features(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Few distinct values, negative zeros among them: most windows hold equal ones."""
    generator = torch.Generator().manual_seed(len(shape) + shape[-1])
    drawn = torch.randint(-3, 4, shape, generator=generator).to(dtype) / 2
    return torch.where(torch.rand(shape, generator=generator) < 0.1, -torch.zeros((), dtype=dtype), drawn)


def gradient(pool: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    leaf = images.clone().requires_grad_()
    pooled = pool(leaf)
    weights = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1)).to(images.dtype)
    return pooled.detach(), torch.autograd.grad(pooled, leaf, weights)[0]


@pytest.mark.parametrize("shape", [(32, 8, 32, 32), (3, 5, 9, 7), (1, 1, 2, 2), (2, 1, 6, 4), (1, 3, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_pytorch(shape, dtype, layout):
    images = features(shape, dtype).contiguous(memory_format=layout)
    for one, other in zip(gradient(MaxPool2d(2), images), gradient(nn.MaxPool2d(2), images), strict=True):
        assert torch.equal(one, other) and torch.equal(one.signbit(), other.signbit())
        assert one.dtype == other.dtype and one.stride() == other.stride()


@pytest.mark.parametrize("shape", [(32, 48, 8, 8), (2, 3, 8, 12), (2, 3, 9, 8), (4, 2, 4, 4), (3, 2, 3, 5)])
def test_adaptive_pooling_is_that_of_pytorch_for_even_and_uneven_windows(shape):
    images = features(shape)
    for one, other in zip(
        gradient(AdaptiveMaxPool2d(4), images), gradient(nn.AdaptiveMaxPool2d(4), images), strict=True
    ):
        assert torch.equal(one, other) and one.stride() == other.stride()


@pytest.mark.parametrize("shape", [(3, 2, 4, 4), (3, 2, 8, 8), (3, 2, 6, 4), (1, 1, 5, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_mean_of_one_number_is_that_number(shape, layout):
    images = features(shape).contiguous(memory_format=layout)
    for one, other in zip(
        gradient(AdaptiveAvgPool2d(4), images), gradient(nn.AdaptiveAvgPool2d(4), images), strict=True
    ):
        assert torch.equal(one, other)


def test_a_number_that_is_none_is_passed_on():
    images = features((2, 3, 4, 4))
    images[0, 1, 2, 3] = torch.nan
    expected = nn.MaxPool2d(2)(images)
    assert expected.isnan().sum() == 1 and torch.equal(MaxPool2d(2)(images).isnan(), expected.isnan())


def test_the_fast_way_is_taken_where_planes_lie_one_by_one_and_nowhere_else(monkeypatch):
    taken = []
    monkeypatch.setattr(pooling, "largest", lambda images, window: taken.append(window) or largest(images, window))
    planes = features((2, 3, 8, 8))
    MaxPool2d(2)(planes)
    AdaptiveMaxPool2d(2)(planes)
    assert taken == [(2, 2), (4, 4)]
    MaxPool2d(2)(planes.contiguous(memory_format=torch.channels_last))
    MaxPool2d(2)(planes[0])
    AdaptiveMaxPool2d(3)(planes)
    assert len(taken) == 2


def test_gradients_of_gradients_and_of_each_image_are_those_of_pytorch():
    images = features((4, 2, 8, 8), torch.float64) + torch.rand(4, 2, 8, 8, dtype=torch.float64) / 10
    images.requires_grad_()
    found = []
    for pool in (MaxPool2d(2), nn.MaxPool2d(2)):
        network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, dtype=torch.float64), pool)
        torch.manual_seed(0)
        nn.init.normal_(network[0].weight)
        nn.init.zeros_(network[0].bias)
        first = torch.autograd.grad(network(images).pow(3).sum(), images, create_graph=True)[0]
        second = torch.autograd.grad(first.square().sum(), images)[0]
        weights = dict(network.named_parameters())

        def loss(given: dict[str, Tensor], image: Tensor, network: nn.Module = network) -> Tensor:
            return functional_call(network, given, (image[None],)).square().sum()

        each = vmap(grad(loss), (None, 0))(weights, images.detach())
        found.append((second, each["0.weight"]))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
