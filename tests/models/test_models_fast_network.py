"""Networks rebuilt for speed: the same function, nothing folded or overwritten that somebody else uses."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed
from dumb_bench.catalogue import Catalogue
from dumb_bench.models.fast_network import fast_network

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def lively(network: nn.Module) -> nn.Module:
    """Give every normalisation statistics and weights that are far from the identity's."""
    generator = torch.Generator().manual_seed(3)
    for layer in network.modules():
        if isinstance(layer, NORMS):
            for tensor, low, high in ((layer.running_mean, -0.3, 0.3), (layer.running_var, 0.5, 2.0)):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
            with torch.no_grad():
                layer.weight.copy_(torch.rand(layer.weight.shape, generator=generator) + 0.5)
                layer.bias.copy_(torch.rand(layer.bias.shape, generator=generator) - 0.5)
    return network.eval().requires_grad_(False)


def named(name: str, pixels: int, params: dict[str, int]) -> nn.Module:
    torch.manual_seed(5)
    network: nn.Module = Catalogue().get("architectures", name).call(3, (3, pixels, pixels), **params)
    return lively(network)


def count(network: nn.Module, kind: type | tuple[type, ...]) -> int:
    return sum(isinstance(layer, kind) for layer in network.modules())


def answers(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    point = images.clone().requires_grad_(True)
    logits = network(point)
    (slope,) = torch.autograd.grad((logits * torch.tensor([1.0, -2.0, 0.5])).sum(), point)
    return logits.detach(), slope


def assert_close(network: nn.Module, rebuilt: nn.Module, side: int) -> None:
    images = torch.rand(5, 3, side, side, generator=torch.Generator().manual_seed(8))
    (logits, slope), (found, found_slope) = answers(network, images), answers(rebuilt, images)
    assert float((logits - found).abs().max()) <= 2e-5 * float(logits.abs().max())
    assert float((slope - found_slope).norm()) <= 0.1 * float(slope.norm())  # ReLUs at 0, ties of maxima


@pytest.mark.parametrize(
    ("name", "side", "params", "left"),
    [
        ("small_alexnet", 32, {}, 0),
        ("small_resnet", 32, {}, 0),
        ("small_vgg", 32, {}, 0),
        ("resnet18", 64, {"side": 64}, 0),
        ("torchvision.vgg11_bn", 64, {"side": 0}, 0),
        ("torchvision.mobilenet_v2", 64, {"side": 64}, 0),
        ("torchvision.densenet121", 64, {"side": 64}, 62),  # only those whose input no other layer reads
        ("torchvision.efficientnet_b0", 64, {"side": 64}, 0),
        ("preresnet", 32, {}, 37),  # before each block stands one whose input the shortcut reads, too
        ("wide_resnet", 32, {}, 13),
    ],
)
def test_the_function_stays_and_what_can_be_folded_is(name: str, side: int, params: dict[str, int], left: int) -> None:
    network = named(name, side, params)
    rebuilt = fast_network(network, (3, side, side))
    assert rebuilt is not network
    assert count(rebuilt, NORMS) == left
    assert_close(network, rebuilt, side)


def test_the_network_itself_is_left_alone() -> None:
    network = named("small_vgg", 32, {})
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()
    fast_network(network, (3, 32, 32))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())
    assert not any(layer.inplace for layer in network.modules() if isinstance(layer, nn.ReLU))
    assert torch.equal(state, torch.get_rng_state())


def test_linear_weights_are_shared_and_the_rest_is_copied() -> None:
    network = named("small_vgg", 32, {})
    rebuilt = fast_network(network, (3, 32, 32))
    own = {name: tensor.data_ptr() for name, tensor in network.named_parameters()}
    for name, tensor in rebuilt.named_parameters():
        layer = rebuilt.get_submodule(name.rpartition(".")[0])
        assert (
            (own[name] == tensor.data_ptr()) if isinstance(layer, nn.Linear) else (own.get(name) != tensor.data_ptr())
        )


class Shortcut(nn.Module):
    """The convolution's output goes to the normalisation and past it; the ReLU's input is read again."""

    def __init__(self, *, late: bool) -> None:
        super().__init__()
        self.first, self.norm, self.relu = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.last, self.late = nn.Linear(4, 3), late

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        if self.late:
            normed = self.norm(features)
            features = self.relu(normed) + normed
        else:
            features = self.relu(self.norm(features)) + features
        logits: Tensor = self.last(features.mean((2, 3)))
        return logits


@pytest.mark.parametrize(("late", "norms", "in_place"), [(False, 1, 1), (True, 0, 0)])
def test_what_another_layer_reads_is_neither_folded_nor_overwritten(late: bool, norms: int, in_place: int) -> None:
    torch.manual_seed(0)
    network = lively(Shortcut(late=late))
    rebuilt = fast_network(network, (3, 12, 12))
    assert rebuilt is not network and count(rebuilt, NORMS) == norms
    assert sum(layer.inplace for layer in rebuilt.modules() if isinstance(layer, nn.ReLU)) == in_place
    assert_close(network, rebuilt, 12)


class Shared(nn.Module):
    """One convolution before two normalisations, or two convolutions of one weight."""

    def __init__(self, *, twice: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.one, self.two, self.last = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.second.weight = self.first.weight
        self.twice = twice

    def forward(self, images: Tensor) -> Tensor:
        other = self.first if self.twice else self.second
        features = self.one(self.first(images)) + self.two(other(images * 0.5))
        logits: Tensor = self.last(features.mean((2, 3)))
        return logits


@pytest.mark.parametrize("twice", [False, True])
def test_shared_convolutions_are_not_folded(twice: bool) -> None:
    torch.manual_seed(0)
    network = lively(Shared(twice=twice))
    rebuilt = fast_network(network, (3, 12, 12))
    assert rebuilt is not network and count(rebuilt, NORMS) == 2
    assert_close(network, rebuilt, 12)


class Nosy(nn.Module):
    """Looks at the weights of the normalisation that would be folded: once by name, once for their values."""

    def __init__(self, *, by_name: bool) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.by_name = by_name

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.first(images))
        scale = self.norm.weight.sum() if self.by_name else self.first.weight.abs().sum()
        logits: Tensor = self.last(features.mean((2, 3))) * scale
        return logits


@pytest.mark.parametrize("by_name", [True, False])
def test_a_network_that_would_be_another_one_stays_as_it_is(by_name: bool) -> None:
    torch.manual_seed(0)
    network = lively(Nosy(by_name=by_name))
    assert fast_network(network, (3, 12, 12)) is network


def test_a_network_that_draws_random_numbers_in_another_order_stays_or_draws_the_same() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

        def forward(self, images: Tensor) -> Tensor:
            features = torch.dropout(self.norm(self.first(images)), 0.5, True)
            logits: Tensor = self.last(features.mean((2, 3)))
            return logits

    torch.manual_seed(0)
    network = lively(Noisy())
    rebuilt = fast_network(network, (3, 12, 12))
    images = torch.rand(4, 3, 12, 12)
    torch.manual_seed(1)
    wanted = network(images)
    torch.manual_seed(1)
    assert torch.allclose(rebuilt(images), wanted, atol=1e-5)


def test_preprocessing_stays_in_front() -> None:
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    network = lively(Preprocessed(nn.Sequential(*layers), mean=(0.4,) * 3, std=(0.2,) * 3, side=8))
    rebuilt = fast_network(network, (3, 12, 12))
    assert rebuilt is not network and count(rebuilt, NORMS) == 0
    assert_close(network, rebuilt, 12)
