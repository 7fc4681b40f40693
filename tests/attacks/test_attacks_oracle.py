"""Attacks against known answers: a linear classifier's optimum, and torchattacks called by hand."""

from __future__ import annotations

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from dumb_bench.attacks.base import check_strength
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.tifgsm import fitting_kernel
from dumb_bench.catalogue import Catalogue
from dumb_bench.conformance import check_attack
from dumb_bench.errors import InputError
from dumb_bench.perturbation import l2, linf
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
ATTACKS = CATALOGUE.names("attacks")
GRADIENT = [name for name in ATTACKS if CATALOGUE.get("attacks", name).info.gradient]


class Linear(nn.Module):
    """Logits (-w x, w x): the loss gradient of class 0 is along w everywhere, whatever the image."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        weights = torch.randn(3 * 32 * 32, generator=torch.Generator().manual_seed(5)) * scale
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        score = images.flatten(1) @ self.weights / 50
        return torch.stack([-score, score], 1)


def grey(count: int = 6) -> tuple[Tensor, Tensor]:
    return torch.full((count, 3, 32, 32), 0.5), torch.arange(count) % 2


def made(name: str, network: nn.Module, images: Tensor, labels: Tensor, eps: float, **params: object) -> Crafted:
    entry = CATALOGUE.get("attacks", name)
    (found,) = craft(
        entry, LockedSurrogate([network], 2), images, labels, [eps], params=params, chunk=64, seed_key=(name,)
    )
    return found


@pytest.mark.parametrize("eps", [4 / 255, 0.1, 0.3])
@pytest.mark.parametrize("name, params", [
    ("fgsm", {}), ("pgd", {}), ("pgd", {"steps": 40, "relative_step": 0.1}), ("mifgsm", {}), ("mifgsm", {"steps": 3}),
    ("difgsm", {"diversity_prob": 0.0}),
])  # fmt: skip
def test_a_gradient_attack_reaches_the_optimum_of_a_linear_classifier(
    name: str, params: dict[str, object], eps: float
) -> None:
    images, labels = grey()
    network = Linear()
    found = made(name, network, images, labels, eps, **params)
    direction = network.weights.detach().sign().view(3, 32, 32)
    towards = torch.where(labels == 0, 1.0, -1.0).view(-1, 1, 1, 1)
    assert float((found.images - (images + eps * towards * direction)).abs().max()) < 1e-6
    assert float((linf(found.images, images) - eps).abs().max()) < 1e-6


@pytest.mark.parametrize("eps", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("name", GRADIENT)
def test_the_step_follows_eps_so_that_the_budget_is_reached_at_every_strength(name: str, eps: float) -> None:
    images, labels = grey()
    found = made(name, Linear(), images, labels, eps)
    assert found.budget_violation <= 1e-6
    assert float((linf(found.images, images) - eps).abs().max()) < 1e-6


def small_network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.Softplus(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 2)
    ).eval()


@pytest.mark.parametrize("name, build", [
    ("fgsm", lambda net: torchattacks.FGSM(net, eps=0.1)),
    ("pgd", lambda net: torchattacks.PGD(net, eps=0.1, alpha=0.025, steps=10)),
    ("mifgsm", lambda net: torchattacks.MIFGSM(net, eps=0.1, alpha=0.01, steps=10, decay=1.0)),
    ("difgsm", lambda net: torchattacks.DIFGSM(net, eps=0.1, alpha=0.01, steps=10)),
    ("tifgsm", lambda net: torchattacks.TIFGSM(net, eps=0.1, alpha=0.01, steps=10, len_kernel=5)),
])  # fmt: skip
def test_an_attack_is_torchattacks_own_with_the_same_seed(name: str, build: object) -> None:
    from dumb_bench.seeding import derive_seed

    network = small_network()
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(8) % 2
    found = made(name, network, images, labels, 0.1)
    torch.manual_seed(derive_seed(name, "chunk", 0))
    theirs = build(network)(images, labels)  # type: ignore[operator]
    agree = ((found.images - theirs).abs() < 1e-6).float().mean()
    assert float(agree) > 0.999  # a sign of a gradient near 0 may turn in the last bit
    assert float((found.images - theirs).abs().max()) <= 0.2 + 1e-6


def test_a_confident_network_does_not_stop_an_attack() -> None:
    images, labels = grey()
    towards = torch.where(labels == 0, -1.0, 1.0).view(-1, 1, 1, 1)
    images = images + 0.3 * towards * Linear().weights.detach().sign().view(3, 32, 32)
    confident = Linear(scale=12.0)
    stuck = torchattacks.MIFGSM(confident, eps=0.1)(images, labels)  # float32's softmax underflows to a gradient of 0
    assert torch.equal(stuck, images)
    found = made("mifgsm", confident, images.clamp(0, 1), labels, 0.1)
    assert float(linf(found.images, images.clamp(0, 1)).min()) == pytest.approx(0.1, abs=1e-6)


def test_a_targeted_attack_moves_towards_its_target() -> None:
    images, labels = grey()
    network = Linear()
    entry = CATALOGUE.get("attacks", "fgsm")
    (found,) = craft(
        entry, LockedSurrogate([network], 2), images, labels, [0.1],
        params={}, chunk=64, seed_key=("t",), targets=torch.ones(6, dtype=torch.int64),
    )  # fmt: skip
    assert (network(found.images).argmax(1) == 1).all()


def test_sign_noise_has_the_size_it_says() -> None:
    images, labels = grey(40)
    entry = CATALOGUE.get("attacks", "sign_noise")
    (noise,) = craft(entry, None, images, labels, [0.1], params={}, chunk=64, seed_key=("n",))
    assert torch.allclose((noise.images - images).abs(), torch.tensor(0.1), atol=1e-6)
    assert abs(float((noise.images > images).float().mean()) - 0.5) < 4 * 0.5 / (40 * 3072) ** 0.5
    (long,) = craft(entry, None, images, labels, [2.0], params={"norm": "l2"}, chunk=64, seed_key=("n",))
    assert float((l2(long.images, images) - 2.0).abs().max()) < 1e-3


def test_box_blur_of_radius_one_is_the_mean_of_nine_pixels() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[0, :, 10, 10] = 0.9
    entry = CATALOGUE.get("attacks", "box_blur")
    labels = torch.zeros(1, dtype=torch.int64)
    made = craft(entry, None, images, labels, [1.0, 0.5, 0.0], params={}, chunk=64, seed_key=("b",))
    blurred, half, none = (item.images for item in made)
    assert torch.allclose(blurred[0, :, 9:12, 9:12], torch.tensor(0.1), atol=1e-6)
    assert float(blurred.sum()) == pytest.approx(3 * 0.9, abs=1e-4)
    assert half[0, 0, 10, 10].item() == pytest.approx(0.9 / 4, abs=1e-6)
    assert torch.allclose(none, images, atol=1e-6)


@pytest.mark.parametrize("side, kernel", [(28, 5), (32, 5), (64, 11), (96, 15), (224, 15), (8, 3)])
def test_the_kernel_of_tifgsm_fits_the_image(side: int, kernel: int) -> None:
    assert fitting_kernel(side) == kernel


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(InputError, match="odd number"):
        made("tifgsm", Linear(), *grey(), 0.1, kernel=4)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_passes_the_conformance_checks(name: str) -> None:
    failed = [check for check in check_attack(CATALOGUE, name) if check.verdict == "failed"]
    assert failed == []


def test_a_strength_is_checked_against_the_declared_range() -> None:
    blur = CATALOGUE.get("attacks", "box_blur").info
    check_strength("box_blur", blur, 3.0)
    with pytest.raises(InputError, match="expected 0 <= radius <= 100"):
        check_strength("box_blur", blur, -1.0)
    with pytest.raises(InputError, match="needs `strength`"):
        check_strength("box_blur", blur, None)
