"""Feature attacks against hand computations: which layer, which weights, which direction."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import craft
from dumb_bench.attacks.features import FeatureReader, feature_layers, of_member
from dumb_bench.attacks.fia import aggregate_gradient
from dumb_bench.attacks.naa import integrated_attention, probability_slope
from dumb_bench.attacks.tap import signed_power, smoothness_gradient
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
FEATURE_ATTACKS = ("fia", "ila", "naa", "tap")
EPS = 16 / 255


def built(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network: nn.Module = CATALOGUE.get("architectures", name).call(2, (3, 32, 32))
    return network


def made(name: str, networks: list[nn.Module], images: Tensor, labels: Tensor, eps: float, **params: object) -> Tensor:
    entry = CATALOGUE.get("attacks", name)
    surrogate = LockedSurrogate(networks, 2)
    (found,) = craft(entry, surrogate, images, labels, [eps], params=params, chunk=64, seed_key=(name,))
    assert found.budget_violation <= 1e-6
    return found.images


def hooks(*networks: nn.Module) -> int:
    every = [module for network in networks for module in network.modules()]
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in every)


class Reused(nn.Module):
    """One ReLU serves two convolutions and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3)
        self.head = nn.Linear(2, 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        features = self.relu(self.second(self.relu(self.first(images))))
        logits: Tensor = self.relu(self.head(features.mean((2, 3))))
        return logits


@pytest.mark.parametrize("network, names", [
    (built("small_alexnet"), ("network.1", "network.4", "network.6")),
    (built("small_resnet"), ("network.2", "network.3", "network.4", "network.5")),
    (built("small_vgg"), ("network.2", "network.6", "network.10", "network.13")),
    (Reused(), ("relu", "relu#2")),
    (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 2)), ()),
    (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sigmoid(), nn.Flatten(), nn.Linear(3, 2)), ()),
    (nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU(), nn.Sequential(nn.MaxPool2d(2), nn.Softplus())), ("1", "2.1")),
])  # fmt: skip
def test_layers_are_activations_and_whole_blocks_that_give_maps(network: nn.Module, names: tuple[str, ...]) -> None:
    assert feature_layers(network, (3, 32, 32)) == names


def test_asking_for_layers_leaves_modes_statistics_and_randomness() -> None:
    network = nn.Sequential(built("small_vgg"), nn.Dropout()).train()
    network[0].network[1].eval()
    before = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    state = torch.get_rng_state()
    feature_layers(network, (3, 32, 32))
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in network.modules()] == before[1]
    assert all(torch.equal(value, before[0][name]) for name, value in network.state_dict().items())
    assert hooks(network) == 0


@pytest.mark.parametrize("depth, index", [(0.0, 0), (0.3, 1), (0.5, 2), (0.8, 2), (1.0, 3)])
def test_a_relative_depth_picks_a_layer_and_none_takes_all(depth: float, index: int) -> None:
    network, images = built("small_resnet").eval(), torch.rand(2, 3, 32, 32)
    expected = [network.network[:number]((images - 0.5) / 0.5) for number in (3, 4, 5, 6)]
    surrogate = LockedSurrogate([network], 2)
    with FeatureReader(surrogate, depth) as read:
        (found,) = read(images).maps[0]
    assert torch.equal(found, expected[index])
    with FeatureReader(surrogate, None) as read:
        assert all(torch.equal(*pair) for pair in zip(read(images).maps[0], expected, strict=True))


def test_members_that_are_one_object_or_take_turns_are_told_apart() -> None:
    class Turns(LockedSurrogate):
        turn = 0

        def forward(self, images: Tensor) -> Tensor:
            self.turn += 1
            logits: Tensor = self.members[self.turn % len(self.members)](images)
            return logits

    first, second, images = built("small_alexnet"), built("small_vgg"), torch.rand(2, 3, 32, 32)
    with FeatureReader(LockedSurrogate([first, second, first], 2), 0.5) as read:
        maps = read(images).maps
    assert list(maps) == [0, 1, 2] and torch.equal(maps[0][0], maps[2][0])
    assert [tuple(maps[member][0].shape[1:]) for member in (0, 1)] == [(32, 8, 8), (32, 8, 8)]
    with FeatureReader(Turns([first, second], 2), 0.5) as read:
        taken = [read(images).maps for _ in range(2)]
        assert [list(each) for each in taken] == [[1], [0]]
        assert torch.equal(taken[0][1][0], maps[1][0]) and torch.equal(taken[1][0][0], maps[0][0])
        assert sorted(read.constants(images)) == [0, 1]
        with pytest.raises(InputError, match="member 1 had none"):
            of_member({0: 1}, 1)


@pytest.mark.parametrize("name", FEATURE_ATTACKS)
def test_hooks_are_removed_also_when_a_pass_fails(name: str) -> None:
    class Failing(LockedSurrogate):
        def forward(self, images: Tensor) -> Tensor:
            if hooks(*self.members):
                super().forward(images)
                raise RuntimeError("out of memory")
            return super().forward(images)

    network = built("small_alexnet")
    entry = CATALOGUE.get("attacks", name)
    images, labels = torch.rand(2, 3, 32, 32), torch.tensor([0, 1])
    for surrogate in (LockedSurrogate([network], 2), Failing([network], 2)):
        run = craft(entry, surrogate, images, labels, [EPS], params={}, chunk=8, seed_key=("k",))
        if isinstance(surrogate, Failing):
            with pytest.raises(RuntimeError, match="out of memory"):
                next(run)
        else:
            next(run)
        assert hooks(network) == 0


@pytest.mark.parametrize("name", FEATURE_ATTACKS)
def test_a_network_without_feature_maps_is_refused_with_the_reason(name: str) -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.ReLU(), nn.Linear(4, 2))
    networks = [built("small_alexnet"), plain]
    with pytest.raises(InputError, match=r"member 1 of the surrogate: no activation or residual block gives"):
        made(name, networks, torch.rand(2, 3, 32, 32), torch.tensor([0, 1]), EPS)
    assert hooks(*networks) == 0


def tiny() -> nn.Sequential:
    """Convolution, ReLU (the layer, 3 x 2 x 2), linear, ReLU, linear; no biases: features are linear along a ray."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.Flatten(),
        nn.Linear(12, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False),
    )  # fmt: skip


def by_hand(network: nn.Sequential, images: Tensor, slope: Tensor) -> Tensor:
    """The gradient by the layer of slope * logits, with the chain rule written out."""
    first, last = network[3].weight.double(), network[5].weight.double()
    hidden = network[1](network[0](images)).flatten(1).double() @ first.T
    return (((slope @ last) * (hidden > 0)) @ first).view(-1, 3, 2, 2).detach()


def test_the_aggregate_gradient_of_fia_is_the_unit_sum_over_dropped_copies() -> None:
    network, labels = tiny(), torch.tensor([0, 2, 1, 1])
    images = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(1)) - 0.5
    generator = torch.Generator().manual_seed(7)
    total = torch.zeros(4, 3, 2, 2, dtype=torch.float64)
    for _ in range(5):
        kept = torch.rand(images.shape, generator=generator) >= 0.4
        total += by_hand(network, images * kept, torch.eye(3, dtype=torch.float64)[labels])
    with FeatureReader(LockedSurrogate([network], 3), 0.5) as read:
        found = aggregate_gradient(read, images, labels, 5, 0.4, torch.Generator().manual_seed(7))[0]
    assert torch.allclose(found, total / total.flatten(1).norm(dim=1)[:, None, None, None], atol=1e-6)


def test_the_attributions_of_naa_are_complete_and_their_attention_the_mean_gradient() -> None:
    network, labels, count = tiny(), torch.tensor([0, 2, 1, 1]), 30
    images = 40 * torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(1)) - 20
    total = torch.zeros(4, 3, 2, 2, dtype=torch.float64)
    with FeatureReader(LockedSurrogate([network], 3), 0.5) as read:
        found = integrated_attention(read, images, labels, count)[0]
        features = read(images).maps[0][0].double()
    along = []  # what the quadrature sums: d probability / d position on the ray
    for number in range(count + 1):
        point = images * number / count
        probability = network(point).double().softmax(1)
        own = probability.gather(1, labels[:, None])
        slope = by_hand(network, point, own * (torch.eye(3, dtype=torch.float64)[labels] - probability))
        along.append((slope * features).flatten(1).sum(1))
        total += slope if number else 0
    assert torch.allclose(found, total / count, atol=1e-6)
    change = [network(point).double().softmax(1).gather(1, labels[:, None])[:, 0] for point in (images, images * 0)]
    error = ((features * found).flatten(1).sum(1) - (change[0] - change[1])).abs()
    variation = torch.stack(along).diff(dim=0).abs().sum(0)  # right-hand rule: error <= variation / count
    assert (variation > 0.01).all() and (error <= variation / count + 1e-6).all()


def test_the_slope_of_a_probability_is_the_softmax_gradient_and_lives_at_any_confidence() -> None:
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    (expected,) = torch.autograd.grad(logits.softmax(1).gather(1, labels[:, None]).sum(), logits)
    assert torch.allclose(probability_slope(logits, labels), expected, atol=1e-15)
    sure = probability_slope(torch.tensor([[200.0, 0.0, -1.0]]), torch.tensor([0]))[0]
    assert sure[0] > 0 > sure[2] > sure[1] and float(sure.sum()) == pytest.approx(0, abs=1e-100)


def test_ila_follows_the_guide_of_its_first_attack_in_a_linear_network() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 1, 3, padding=1)
    nn.init.constant_(convolution.bias, 100.0)  # every ReLU is open
    network = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    images, labels = torch.full((3, 3, 8, 8), 0.5), torch.tensor([0, 1, 0])
    features = nn.functional.conv2d
    point = images.double().requires_grad_()
    loss = nn.functional.cross_entropy(network.double()(point), labels, reduction="sum")
    signs = torch.autograd.grad(loss, point)[0].sign()
    weights = convolution.weight.detach()
    guide = features(signs, weights, padding=1)  # in the direction of A s; its projection has gradient A'A s
    expected = nn.functional.conv_transpose2d(guide, weights, padding=1).sign()
    assert 0.05 < (expected != signs).double().mean() < 0.5
    found = made("ila", [network.float()], images, labels, 0.1, steps=3, first_steps=1)
    assert float((found - (images + 0.1 * expected)).abs().max()) < 1e-6


def test_the_terms_of_tap() -> None:
    values = torch.tensor([4.0, -9.0, 0.0], dtype=torch.float64, requires_grad=True)
    assert signed_power(values, 0.5).tolist() == [2.0, -3.0, 0.0]
    assert torch.autograd.grad(signed_power(values, 0.5).sum(), values)[0].tolist() == pytest.approx([1 / 4, 1 / 6, 0])
    clean = torch.zeros(1, 1, 5, 5)
    moved = clean.clone()
    moved[0, 0, 2, 2] = -0.3  # nine means of -.3 / 9, each 1/9 of a pixel
    found = smoothness_gradient(moved, clean, 3)[0, 0]
    assert float(found[2, 2]) == pytest.approx(-1.0) and float(found[0, 0]) == pytest.approx(-1 / 9)
    assert not smoothness_gradient(clean, clean, 3).any()
    with pytest.raises(InputError, match="odd number of pixels, got 4"):
        made("tap", [built("small_vgg")], torch.rand(2, 3, 32, 32), torch.tensor([0, 1]), EPS, box=4)


def test_tap_starts_with_the_cross_entropy_and_goes_on_with_all_terms() -> None:
    network, images, labels = built("small_vgg"), torch.rand(4, 3, 32, 32), torch.arange(4) % 2
    first = made("tap", [network], images, labels, EPS / 2, steps=1)
    assert torch.equal(first, made("mifgsm", [network], images, labels, EPS / 2, steps=1))
    exact = copy.deepcopy(network).double()
    point, stages = first.double().requires_grad_(), (3, 7, 11, 14)
    now, was = ([exact.network[:stage]((at - 0.5) / 0.5) for stage in stages] for at in (point, images.double()))
    distance = sum((signed_power(a, 0.5) - signed_power(b, 0.5)).square().sum() for a, b in zip(now, was, strict=True))
    loss = nn.functional.cross_entropy(exact(point), labels, reduction="sum") + 0.005 * distance
    (rough,) = torch.autograd.grad(loss, point)
    slope = rough + 0.3 * smoothness_gradient(first, images, 3)
    assert float((slope.sign() == rough.sign()).double().mean()) < 0.95  # the last term matters
    expected = (first + EPS / 2 * slope.sign()).clamp(0, 1)
    agree = (made("tap", [network], images, labels, EPS, steps=2, smooth_weight=0.3) - expected).abs() < 1e-6
    assert float(agree.float().mean()) > 0.999  # a sign of a gradient near 0 may turn in the last bit


@pytest.mark.parametrize("name", FEATURE_ATTACKS)
def test_an_image_without_any_gradient_stays_as_it_is(name: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 2))
    nn.init.constant_(network[0].bias, -100.0)  # every ReLU is shut
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(made(name, [network], images, torch.tensor([0, 1]), EPS), images)


@cache
def trained() -> tuple[list[nn.Module], Tensor, Tensor]:
    """Two architectures that tell upright from level stripes in noise, and images that both get right."""
    rows = (torch.arange(32) // 4 % 2).float()[:, None].expand(32, 32) - 0.5
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(96) % 2
    stripes = torch.stack([rows, rows.T])[labels][:, None]
    images = (0.5 + 0.3 * stripes + 0.1 * torch.randn(96, 3, 32, 32, generator=generator)).clamp(0, 1)
    networks = [built("small_alexnet"), built("small_resnet")]
    for network in networks:
        for step in range(15):
            batch = slice(32 * (step % 2), 32 * (step % 2) + 32)
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            slopes = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for weight, slope in zip(network.parameters(), slopes, strict=True):
                    weight -= 0.05 * slope
    return [network.eval().requires_grad_(False) for network in networks], images[64:], labels[64:]


@pytest.mark.parametrize("members", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("name", FEATURE_ATTACKS)
def test_an_attack_fools_its_own_surrogate_also_two_architectures_at_once(name: str, members: tuple[int, ...]) -> None:
    networks, images, labels = trained()
    chosen = [copy.deepcopy(networks[member]) for member in members]
    found = made(name, chosen, images, labels, 0.3)
    for network in chosen:
        assert float((network(images).argmax(1) == labels).float().mean()) == 1.0
        assert float((network(found).argmax(1) == labels).float().mean()) <= 0.1
