"""Surrogate modifiers: the forward pass they promise, and the backward pass computed by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from dumb_bench.architectures.base import ResidualBlock, as_residual, is_residual
from dumb_bench.attacks.craft import craft
from dumb_bench.attacks.features import feature_layers
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
SMALL = ("small_alexnet", "small_resnet", "small_vgg")


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = CATALOGUE.get("architectures", name).call(2, (3, 32, 32))
    return network.eval().requires_grad_(False)


def torchvision_network(block: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    network = torchvision_resnet.ResNet(block, [2, 1, 1, 1], num_classes=3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return network.eval().requires_grad_(False)


def modified(name: str, network: nn.Module, **params: float) -> nn.Module:
    found: nn.Module = CATALOGUE.get("modifiers", name).call(copy.deepcopy(network), **params)
    return found


def slope(network: nn.Module, images: Tensor, column: int = 0) -> Tensor:
    point = images.clone().requires_grad_()
    (found,) = torch.autograd.grad(network(point)[:, column].sum(), point)
    return found


NETWORKS: list[Callable[[], nn.Module]] = [
    *(lambda name=name: built(name) for name in SMALL),
    lambda: torchvision_network(torchvision_resnet.BasicBlock),
    lambda: torchvision_network(torchvision_resnet.Bottleneck),
]
RESIDUAL = [NETWORKS[1], NETWORKS[3], NETWORKS[4]]
IMAGES = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))


class Mixer(ResidualBlock):
    """z + M z over channels, with whatever comes after M z and after the sum."""

    def __init__(self, weights: Tensor, inside: nn.Module | None = None, after: nn.Module | None = None) -> None:
        super().__init__()
        size = len(weights)
        self.mix = nn.Conv2d(size, size, 1, bias=False)
        self.mix.weight = nn.Parameter(weights[:, :, None, None].float(), requires_grad=False)
        self.inside = inside or nn.Identity()
        self.activation = after or nn.Identity()

    def branch(self, features: Tensor) -> Tensor:
        mapped: Tensor = self.inside(self.mix(features))
        return mapped

    def skip(self, features: Tensor) -> Tensor:
        return features


class Summed(nn.Module):
    """Blocks, then a weighted sum over channels and positions."""

    def __init__(self, weights: Tensor, *blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.register_buffer("weights", weights.float())

    def forward(self, images: Tensor) -> Tensor:
        score: Tensor = (self.blocks(images).sum((2, 3)) * self.weights).sum(1, keepdim=True)
        return score


def random_matrix(size: int, seed: int) -> Tensor:
    return torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_catalogue_knows_the_modifiers_and_none_hands_the_network_back() -> None:
    assert CATALOGUE.names("modifiers") == ("ghost", "linbp", "none", "sgm")
    stochastic = [name for name in CATALOGUE.names("modifiers") if CATALOGUE.get("modifiers", name).info.stochastic]
    assert stochastic == ["ghost"]
    network = built("small_vgg")
    assert CATALOGUE.get("modifiers", "none").call(network) is network


def test_small_resnet_keeps_names_and_values_as_a_residual_block() -> None:
    network = built("small_resnet")
    blocks = [module for module in network.modules() if is_residual(module)]
    assert [isinstance(block, ResidualBlock) for block in blocks] == [True] * 3
    first = [name for name in network.state_dict() if name.startswith("network.3.")]
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    for_branch = [f"network.3.{way}.{part}" for way in ("first", "second") for part in
                  ("0.weight", *(f"1.{part}" for part in parts))]  # fmt: skip
    assert first == for_branch
    features = torch.randn(2, 16, 8, 8)
    for block in blocks:
        expected = nn.functional.relu(block.second(block.first(features)) + block.shortcut(features))
        features = block(features)
        assert torch.equal(features, expected)


@pytest.mark.parametrize("block", [torchvision_resnet.BasicBlock, torchvision_resnet.Bottleneck])
def test_blocks_of_torchvision_are_taken_apart_bit_for_bit(block: type[nn.Module]) -> None:
    for original in (module for module in torchvision_network(block).modules() if isinstance(module, block)):
        features = torch.randn(2, next(original.parameters()).shape[1], 8, 8)
        apart = as_residual(original)
        assert apart is not None and torch.equal(apart(features), original(features))

    class Changed(block):  # type: ignore[valid-type, misc]
        pass

    assert is_residual(Changed(64, 16)) and as_residual(Changed(64, 16)) is None


@pytest.mark.parametrize("name, networks, params", [
    ("sgm", RESIDUAL, {}), ("sgm", RESIDUAL, {"gamma": 0.0}),
    ("linbp", NETWORKS, {}), ("linbp", NETWORKS, {"position": 0.0}),
])  # fmt: skip
def test_the_forward_pass_is_unchanged_bit_for_bit_and_the_backward_pass_is_not(
    name: str, networks: list[Callable[[], nn.Module]], params: dict[str, float]
) -> None:
    for build in networks:
        network = build()
        other = modified(name, network, **params)
        assert torch.equal(other(IMAGES), network(IMAGES))
        assert torch.equal(other(IMAGES.clone().requires_grad_()), network(IMAGES))
        assert not torch.allclose(slope(other, IMAGES), slope(network, IMAGES), rtol=0.01)
        assert not any(module.training for module in other.modules())
        assert not any(parameter.requires_grad for parameter in other.parameters())
        assert feature_layers(other, (3, 48, 48)) == feature_layers(network, (3, 48, 48))


@pytest.mark.parametrize("build", RESIDUAL)
def test_sgm_with_gamma_1_leaves_the_gradient_bit_for_bit(build: Callable[[], nn.Module]) -> None:
    network = build()
    assert torch.equal(slope(modified("sgm", network, gamma=1.0), IMAGES), slope(network, IMAGES))


@pytest.mark.parametrize("gamma", [0.0, 0.2, 0.5, 1.0])
def test_sgm_is_the_product_of_decayed_blocks(gamma: float) -> None:
    first, second, weights = random_matrix(4, 0), random_matrix(4, 1), random_matrix(4, 2)[0]
    network = Summed(weights, Mixer(first), nn.Sequential(Mixer(second)))
    identity = torch.eye(4, dtype=torch.float64)
    expected = weights @ (identity + gamma * second) @ (identity + gamma * first)
    images = torch.randn(2, 4, 3, 3)
    found = slope(modified("sgm", network, gamma=gamma), images)
    assert torch.allclose(found, expected[None, :, None, None].float().expand_as(found), atol=1e-5)
    assert torch.equal(modified("sgm", Mixer(first), gamma=gamma)(images), Mixer(first)(images))  # a block alone


@pytest.mark.parametrize("position, linear", [(0.0, (True, True)), (0.6, (False, True)), (1.0, (False, True))])
def test_linbp_drops_the_masks_from_its_position_on(position: float, linear: tuple[bool, bool]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)
    ).requires_grad_(False)
    image = torch.randn(1, 3, 2, 2)
    one, two, three = (network[index].weight.double() for index in (1, 3, 5))
    hidden = one @ image.flatten().double() + network[1].bias
    deeper = two @ hidden.clamp_min(0) + network[3].bias
    masks = [torch.ones(8).double() if free else (values > 0).double() for free, values in
             zip(linear, (hidden, deeper), strict=True)]  # fmt: skip
    expected = three[0] @ masks[1].diag() @ two @ masks[0].diag() @ one
    assert torch.allclose(slope(modified("linbp", network, position=position), image).flatten().double(), expected,
                          atol=1e-6)  # fmt: skip


def test_linbp_gives_the_branch_of_a_block_the_length_of_its_usual_gradient() -> None:
    matrix, weights = random_matrix(5, 3), random_matrix(5, 4)[0]
    network = Summed(weights, Mixer(matrix, inside=nn.ReLU(), after=nn.ReLU()))
    images = torch.randn(4, 5, 2, 2, generator=torch.Generator().manual_seed(0))
    found = slope(modified("linbp", network), images)
    for image, gradient in zip(images.double(), found.double(), strict=True):
        mixed = torch.einsum("ij,jhw->ihw", matrix, image)
        upper = weights[:, None, None] * (mixed.clamp_min(0) + image > 0)  # the ReLU after the sum keeps its mask
        usual = torch.einsum("ij,ihw->jhw", matrix, upper * (mixed > 0))
        linear = torch.einsum("ij,ihw->jhw", matrix, upper)
        assert torch.allclose(gradient, upper + linear * usual.norm() / linear.norm(), atol=1e-5)
    shut = Summed(weights, Mixer(matrix * 0, inside=nn.ReLU()))  # a gradient of 0 is not divided by its length
    assert torch.equal(slope(modified("linbp", shut), images), slope(shut, images))


def test_ghost_drops_activations_in_eval_mode_with_the_mean_of_the_plain_network() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 1)).requires_grad_(False)
    image, rate, passes = torch.rand(1, 3, 12, 12), 0.2, 2000
    eroded = modified("ghost", network, dropout=rate).eval()
    terms = network[3].weight[0] * network[:3](image)[0]
    # A logit's deviation: the sum over features of term^2 rate / (1 - rate). Five deviations: one in 1.7 million.
    deviation = float((terms.square().sum() * rate / (1 - rate)).sqrt())
    torch.manual_seed(1)
    logits = torch.stack([eroded(image)[0, 0] for _ in range(passes)])
    assert abs(float(logits.mean() - network(image)[0, 0])) < 5 * deviation / passes**0.5
    assert float(logits.std()) == pytest.approx(deviation, rel=0.1)
    torch.manual_seed(1)
    assert torch.equal(eroded(image)[0, 0], logits[0]) and not torch.equal(logits[0], logits[1])


def test_ghost_scales_each_skip_anew_at_each_pass() -> None:
    matrix, passes, size = random_matrix(3, 5), 2000, 0.22
    block, images = Mixer(matrix), torch.rand(2, 3, 4, 4) + 0.5
    eroded = modified("ghost", nn.Sequential(block, nn.ReLU()), skip=size)[0]
    torch.manual_seed(2)
    drawn = torch.stack([(eroded(images) - block.branch(images)) / images for _ in range(passes)]).flatten(1)
    factors = drawn.mean(1)
    assert torch.allclose(drawn, factors[:, None].expand_as(drawn), atol=1e-4)
    assert float(factors.min()) >= 1 - size - 1e-4 and float(factors.max()) <= 1 + size + 1e-4
    spread = size / 3**0.5  # the deviation of U[1 - size, 1 + size]
    assert abs(float(factors.mean()) - 1) < 5 * spread / passes**0.5
    assert float(factors.std()) == pytest.approx(spread, rel=0.1)
    assert len(set(factors.tolist())) > 0.9 * passes
    again = modified("ghost", built("small_resnet"), skip=0.0)
    assert torch.equal(again(IMAGES), built("small_resnet")(IMAGES))


@pytest.mark.parametrize("name", SMALL)
def test_a_ghost_surrogate_follows_the_seed_of_the_attack(name: str) -> None:
    network, attack = built(name), CATALOGUE.get("attacks", "mifgsm")

    def made(seed: int) -> Tensor:
        surrogate = LockedSurrogate([modified("ghost", network, dropout=0.1)], 2)
        labels = torch.tensor([0, 1, 0])
        (found,) = craft(attack, surrogate, IMAGES, labels, [0.1], params={}, chunk=8, seed_key=("ghost", seed))
        return found.images

    assert torch.equal(made(0), made(0)) and not torch.equal(made(0), made(1))


@pytest.mark.parametrize("name, network, sentence", [
    ("sgm", built("small_alexnet"), "modifier 'sgm': the network has no residual blocks"),
    ("sgm", built("small_vgg"), "modifier 'sgm': the network has no residual blocks"),
    ("ghost", nn.Sequential(nn.Flatten(), nn.Linear(12, 2)),
     "modifier 'ghost': the network has neither residual blocks nor activation modules"),
    ("linbp", nn.Sequential(nn.Conv2d(3, 2, 1), nn.GELU(), nn.Flatten(), nn.Linear(8, 2)),
     "modifier 'linbp': the network has no ReLU module from position 0.5 on"),
    ("linbp", nn.Sequential(nn.ReLU(), nn.ReLU(), Mixer(random_matrix(3, 0), inside=nn.GELU())),
     "modifier 'linbp': the network has no ReLU module from position 1 on"),
])  # fmt: skip
def test_a_network_that_does_not_fit_is_refused_with_the_reason(name: str, network: nn.Module, sentence: str) -> None:
    params = {"position": 1.0} if "position 1 on" in sentence else {}
    with pytest.raises(InputError) as refused:
        modified(name, network, **params)
    assert str(refused.value) == sentence
