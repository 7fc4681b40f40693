"""The networks for CIFAR-10: sizes by hand and as published, and what every network here must do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from dumb_bench.architectures.base import Preprocessed, as_residual
from dumb_bench.architectures.cifar import MEAN, STD
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.weights import from_bytes, to_bytes
from dumb_bench.posteriors.base import WeightSamples, state_of

CATALOGUE = Catalogue()
SMALL: list[tuple[str, dict[str, Any]]] = [
    ("preresnet", {"depth": 20}),
    ("preresnet", {"depth": 20, "block": "bottleneck"}),
    ("wide_resnet", {"depth": 10, "widen": 2}),
    ("wide_resnet", {"depth": 10, "widen": 2, "dropout": 0.3}),
    ("vgg_cifar", {}),
]
EVERY = pytest.mark.parametrize(("name", "params"), SMALL)


def built(name: str, params: dict[str, Any], classes: int = 10, shape: tuple[int, int, int] = (3, 32, 32)) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = CATALOGUE.get("architectures", name).call(classes, shape, **params)
    return network


def size(name: str, **params: Any) -> int:
    """The number of weights; no memory is used."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in built(name, params).parameters())


def basic(depth: int, widen: int = 1) -> int:
    """Weights of a network of basic pre-activation blocks, n a stage, added up by hand; 16 channels after the stem."""
    n = (depth - 2) // 6 if widen == 1 else (depth - 4) // 6
    total, before = 3 * 16 * 9, 16
    for width in (16 * widen, 32 * widen, 64 * widen):
        projected = before * width if before != width else 0
        total += projected + 9 * before * width + 2 * before + (2 * n - 1) * (9 * width**2 + 2 * width)
        before = width
    return total + 2 * before + before * 10 + 10


def bottleneck(depth: int) -> int:
    """Weights of a network of bottlenecks, 1x1, 3x3 and 1x1 to four times the width."""
    n, total, before = (depth - 2) // 9, 3 * 16 * 9, 16
    for width in (16, 32, 64):
        wide = 4 * width
        inner = 2 * width + 9 * width**2 + 2 * width + width * wide
        total += before * wide + 2 * before + before * width + inner
        total += (n - 1) * (2 * wide + wide * width + inner)
        before = wide
    return total + 2 * before + before * 10 + 10


def vgg(convolutions: tuple[int, ...]) -> int:
    total, before = 0, 3
    for width, count in zip((64, 128, 256, 512, 512), convolutions, strict=True):
        for _ in range(count):
            total += 9 * before * width + width + 2 * width
            before = width
    return total + 2 * (512 * 512 + 512) + 5120 + 10


def test_sizes_are_those_added_up_by_hand() -> None:
    assert size("preresnet") == bottleneck(110) and size("preresnet", depth=164) == bottleneck(164)
    assert size("preresnet", block="basic") == basic(110) and size("preresnet", depth=20) == basic(20)
    assert size("wide_resnet") == basic(28, 10) and size("wide_resnet", depth=16, widen=4) == basic(16, 4)
    assert size("vgg_cifar") == vgg((2, 2, 3, 3, 3)) and size("vgg_cifar", depth=19) == vgg((2, 2, 4, 4, 4))


def test_sizes_are_those_published() -> None:
    assert size("preresnet", block="basic") == pytest.approx(1.7e6, rel=0.03)  # He et al. 2016, table 6 of the first
    assert size("preresnet", depth=164) == pytest.approx(1.7e6, rel=0.03)
    assert size("wide_resnet") == pytest.approx(36.5e6, rel=0.001)  # Zagoruyko, Komodakis, table 4
    assert size("wide_resnet", depth=16, widen=8) == pytest.approx(11.0e6, rel=0.005)


@pytest.mark.parametrize(
    ("name", "params", "depth", "uncounted"),
    [
        ("preresnet", {}, 110, 3),  # the projections, which run beside the blocks
        ("preresnet", {"block": "basic"}, 110, 2),
        ("wide_resnet", {}, 28, 1),  # Zagoruyko and Komodakis count convolutions, projections too
        ("vgg_cifar", {}, 16, 0),
        ("vgg_cifar", {"depth": 19}, 19, 0),
    ],
)
def test_depth_counts_the_layers_with_weights(name: str, params: dict[str, Any], depth: int, uncounted: int) -> None:
    with torch.device("meta"):
        network = built(name, params)
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in network.modules()) == depth + uncounted


@EVERY
@pytest.mark.parametrize(("classes", "shape"), [(10, (3, 32, 32)), (2, (1, 48, 32))])
def test_logits_have_a_column_for_each_class(
    name: str, params: dict[str, Any], classes: int, shape: tuple[int, int, int]
) -> None:
    network = built(name, params, classes, shape)
    for mode in (True, False):
        logits = network.train(mode)(torch.rand(2, *shape))
        assert logits.shape == (2, classes) and logits.isfinite().all()


@EVERY
def test_gradients_reach_the_pixels_and_every_weight(name: str, params: dict[str, Any]) -> None:
    network = built(name, params).eval()
    images = torch.rand(4, 3, 32, 32, requires_grad=True)
    nn.functional.cross_entropy(network(images), torch.arange(4)).backward()
    assert images.grad is not None
    assert (images.grad.abs().amax(dim=(0, 1)) > 0).float().mean() > 0.95
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in network.parameters())


@EVERY
def test_in_eval_mode_an_image_does_not_see_its_batch(name: str, params: dict[str, Any]) -> None:
    network = built(name, params).double().eval()
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(network(images)[:1], network(images[:1]), rtol=0, atol=1e-10)


@EVERY
def test_the_weights_come_back_from_a_file(name: str, params: dict[str, Any]) -> None:
    network = built(name, params).train()
    network(torch.rand(4, 3, 32, 32))  # moves BatchNorm's statistics
    network.eval()
    (state,) = from_bytes(to_bytes(WeightSamples((state_of(network),)))).states
    torch.manual_seed(1)
    other = CATALOGUE.get("architectures", name).call(10, (3, 32, 32), **params).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(other(images), network(images))
        other.load_state_dict(dict(state))
        assert torch.equal(other(images), network(images))


@EVERY
def test_the_normalisation_is_a_layer(name: str, params: dict[str, Any]) -> None:
    network = built(name, params).eval()
    assert isinstance(network, Preprocessed) and network.side is None
    seen: list[torch.Tensor] = []
    network.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor(MEAN).view(1, 3, 1, 1).expand(1, 3, 32, 32) + torch.tensor(STD).view(1, 3, 1, 1))
    assert torch.allclose(seen[0], torch.ones(1, 3, 32, 32), atol=1e-5)


@pytest.mark.parametrize("params", [{"depth": 20}, {"depth": 20, "block": "bottleneck"}])
def test_preactivation_adds_and_does_nothing_after_the_sum(params: dict[str, Any]) -> None:
    network = built("preresnet", params).eval()
    blocks = [module for module in network.modules() if as_residual(module) is not None]
    assert len(blocks) == {"basic": 9, "bottleneck": 6}[params.get("block", "basic")]
    block = blocks[-1]
    features = torch.randn(2, block.layers[0].num_features, 8, 8)
    silent = copy.deepcopy(block)
    for weight in silent.layers.parameters():
        nn.init.zeros_(weight)
    with torch.no_grad():
        assert torch.equal(silent(features), features)  # negative features pass, too
        assert not torch.equal(block(features), features)


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("preresnet", {"depth": 111}, r"expected 9n \+ 2 with bottleneck blocks, such as 110 or 119, got 111"),
        ("preresnet", {"depth": 21}, r"expected 6n \+ 2 with basic blocks, such as 20 or 26, got 21"),
        ("preresnet", {"depth": 29, "block": "basic"}, r"expected 6n \+ 2 with basic blocks, such as 26 or 32, got 29"),
        ("wide_resnet", {"depth": 26}, r"expected 6n \+ 4, such as 22 or 28, got 26"),
    ],
)
def test_an_impossible_depth_is_one_line(name: str, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"architecture '{name}': parameter 'depth': {sentence}") as caught:
        built(name, params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "params"), [("vgg_cifar", {"depth": 17}), ("preresnet", {"block": "wide"}), ("wide_resnet", {"widen": 0})]
)
def test_other_values_are_refused_by_the_catalogue(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"architecture {name!r}: parameter"):
        CATALOGUE.resolve("architectures", name, params)
