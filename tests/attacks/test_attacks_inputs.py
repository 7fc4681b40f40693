"""The attacks through input transformations: a linear classifier's optimum, mates, sizes, dead gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import craft
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.views.base import Scene
from dumb_bench.attacks.views.named import NAMED
from dumb_bench.catalogue import Catalogue
from dumb_bench.perturbation import l2, linf
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
METHODS = ("difgsm", "tifgsm", "sifgsm", "admix", "ssa", "sia", "bsr", "decowa")
LONG = ("logit", "logit_margin")
FEW: dict[str, dict[str, int]] = {
    "ssa": {"spectra": 3}, "sia": {"copies": 3}, "bsr": {"copies": 3}, "decowa": {"warps": 2}, "logit": {"steps": 9},
    "logit_margin": {"steps": 9},
}  # fmt: skip


class Linear(nn.Module):
    """Logits (-w x, w x) of images with these weights (C, H, W): the optimum of class 0 is x + eps sign(w)."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        score = (images * self.weights).flatten(1).sum(1) / 50
        return torch.stack([-score, score], 1)


def convolutional(channels: int = 3, side: int = 32) -> nn.Module:
    """A smooth network whose three logits are centred on `pictures`."""
    torch.manual_seed(7)
    head = nn.Linear(54, 3)
    layers = nn.Sequential(
        nn.Conv2d(channels, 6, 3, stride=2), nn.Softplus(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), head
    )
    with torch.no_grad():
        head.bias -= layers(pictures(6, channels, side)[0]).mean(0)
    return layers.eval()


def pictures(count: int = 4, channels: int = 3, side: int = 32) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(1))
    return images, torch.arange(count) % 3


def made(name: str, network: nn.Module, images: Tensor, labels: Tensor, eps: float = 0.1, **params: Any) -> Tensor:
    targets = params.pop("targets", None)
    (found,) = craft(
        CATALOGUE.get("attacks", name), LockedSurrogate([network], 3), images, labels, [eps],
        params=params, chunk=64, seed_key=(name,), targets=targets,
    )  # fmt: skip
    assert found.budget_violation <= 1e-6 and found.box_violation == 0
    return found.images


def optimum(network: Linear, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    towards = torch.where(labels == 0, 1.0, -1.0).view(-1, 1, 1, 1)
    return images + eps * towards * network.weights.detach().sign()


@pytest.mark.parametrize("name, params", [
    ("sifgsm", {}), ("ssa", {}), ("admix", {}), ("sifgsm", {"loss": "logit_margin"}),
    ("difgsm", {"diversity_prob": 0.0}), ("tifgsm", {"diversity_prob": 0.0, "kernel": 1}),
    ("bsr", {"blocks": 1, "max_angle": 0.0}), ("decowa", {"spread": 0.0, "rate": 0.0}),
    ("logit", {"inputs": ()}), ("logit_margin", {"inputs": ()}),
])  # fmt: skip
def test_what_keeps_pixels_in_place_reaches_the_optimum_of_any_linear_classifier(
    name: str, params: dict[str, Any]
) -> None:
    network = Linear(torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(5)))
    images, labels = torch.full((4, 3, 32, 32), 0.5), torch.arange(4) % 2
    found = made(name, network, images, labels, 0.2, **FEW.get(name, {}) | {"steps": 10} | params)
    assert float((found - optimum(network, images, labels, 0.2)).abs().max()) < 1e-6


@pytest.mark.parametrize("name", METHODS + LONG)
def test_what_moves_pixels_reaches_the_optimum_where_all_pixels_count_alike(name: str) -> None:
    network = Linear(torch.ones(3, 32, 32))
    images, labels = torch.full((4, 3, 32, 32), 0.5), torch.arange(4) % 2
    found = made(name, network, images, labels, 0.1, **({"steps": 20} if name in LONG else {}))
    assert float((found - optimum(network, images, labels, 0.1)).abs().max()) < 1e-6


@pytest.mark.parametrize("name", METHODS + LONG)
def test_an_image_does_not_depend_on_its_mates_unless_that_is_declared(name: str) -> None:
    images, labels = pictures()
    others = images.clone()
    others[1:] = images[1:].flip(3) * 0.5
    few = FEW.get(name, {})
    here, there = (made(name, convolutional(), each, labels, **few)[0] for each in (images, others))
    independent = CATALOGUE.get("attacks", name).info.batch_independent
    assert independent == (name != "admix")
    assert torch.equal(here, there) == independent


@pytest.mark.parametrize("channels, side", [(1, 32), (3, 32), (3, 48)])
@pytest.mark.parametrize("name", METHODS + LONG)
def test_it_takes_any_channels_and_sides_and_fools_its_surrogate(name: str, channels: int, side: int) -> None:
    images, _ = pictures(6, channels, side)
    network = convolutional(channels, side)
    labels = network(images).argmax(1)
    found = made(name, network, images, labels, 0.3, **FEW.get(name, {}))
    assert float(linf(found, images).max()) == pytest.approx(0.3, abs=1e-6)
    before, after = (network(each).gather(1, labels[:, None]).sum() for each in (images, found))
    assert after < before
    assert (network(found).argmax(1) != labels).float().mean() > 0.5


@pytest.mark.parametrize("name", METHODS + LONG)
def test_a_gradient_of_zero_leaves_the_image_alone(name: str) -> None:
    images, labels = pictures()
    network = Linear(torch.zeros(3, 32, 32))
    assert torch.equal(made(name, network, images, labels % 2, **FEW.get(name, {})), images)


@pytest.mark.parametrize("name", METHODS + LONG)
def test_it_takes_l2_a_random_start_other_inputs_and_a_single_image(name: str) -> None:
    images, labels = pictures(1)
    more = FEW.get(name, {}) | {"steps": 3, "norm": "l2", "random_start": True, "inputs": ("di", "si", "ti")}
    found = made(name, convolutional(), images, labels, 2.0, **more)
    assert 0.5 < float(l2(found, images).min()) <= 2 + 1e-6


@pytest.mark.parametrize("name", NAMED)
def test_entry_n_is_made_of_image_n_alone_as_far_as_the_gradient_knows_on_an_oblong_image_too(name: str) -> None:
    point = torch.rand(3, 2, 32, 41, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels = torch.arange(3)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    scene = Scene(Objective(LockedSurrogate([network], 3), labels), torch.Generator().manual_seed(2), 0.1)
    view = NAMED[name](scene)
    for copy in range(view.copies):
        seen = view.apply(point, copy)
        assert seen.shape == point.shape and torch.isfinite(seen).all()
        (back,) = torch.autograd.grad(seen[1].sum(), point)
        assert torch.isfinite(back).all() and back[1].abs().sum() > 0
        assert back[0].abs().sum() == 0 and back[2].abs().sum() == 0
    assert (name == "ti") == (view.smooth is not None)


def test_inputs_change_what_is_made_and_every_name_runs() -> None:
    images, labels = pictures()
    plain = made("mifgsm", convolutional(), images, labels, steps=6)
    for name in NAMED:
        assert not torch.equal(made("mifgsm", convolutional(), images, labels, steps=6, inputs=(name,)), plain), name


def test_the_published_form_of_tifgsm_stops_at_its_step_whatever_eps_is() -> None:
    images, labels = pictures()
    found = made("tifgsm", convolutional(), images, labels, 0.3, reference=True)
    assert 0.05 < float(linf(found, images).max()) <= 20 / 255 + 1e-6
    assert float(linf(made("tifgsm", convolutional(), images, labels, 0.3), images).max()) == pytest.approx(
        0.3, abs=1e-6
    )
    wide = made("tifgsm", convolutional(), images, labels, 0.3, reference=True, kernel=15)
    assert torch.equal(found, wide)
