"""Attacks against known answers: a linear classifier's optimum, and torchattacks called by hand."""

from __future__ import annotations

import pytest
import torch
import torchattacks
from linear_model import CATALOGUE, Linear, grey, made, small_network

from dumb_bench.attacks.base import check_strength
from dumb_bench.attacks.craft import craft
from dumb_bench.attacks.tifgsm import fitting_kernel
from dumb_bench.catalogue import parameters
from dumb_bench.conformance import check_attack
from dumb_bench.errors import InputError
from dumb_bench.perturbation import l2, linf

ATTACKS = CATALOGUE.names("attacks")
INFO = {name: CATALOGUE.get("attacks", name).info for name in ATTACKS}
GRADIENT = [name for name in ATTACKS if INFO[name].gradient and INFO[name].uses == "model"]
FEW = {
    "neighbours": 1, "samples": 2, "copies": 2, "warps": 2, "spectra": 2, "scales": 2, "mates": 1, "inner_steps": 1,
    "integration_steps": 2,
}  # fmt: skip


def few(name: str, **less: int) -> dict[str, object]:
    """Fewer samples of a gradient than an attack takes by default: what is tested here holds for any number."""
    known = parameters(CATALOGUE.get("attacks", name))
    return {key: value for key, value in {**FEW, **less}.items() if key in known}


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
    assert float((found.images - network.optimum(images, labels, "linf", eps)).abs().max()) < 1e-6
    assert float((linf(found.images, images) - eps).abs().max()) < 1e-6


@pytest.mark.parametrize("eps", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("name", GRADIENT)
def test_the_step_follows_eps_so_that_the_budget_is_reached_at_every_strength(name: str, eps: float) -> None:
    images, labels = grey()
    found = made(name, Linear(), images, labels, eps, **few(name, steps=20, n_queries=100))
    assert found.budget_violation <= 1e-6
    assert float((linf(found.images, images) - eps).abs().max()) < 1e-6


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
    found = made("fgsm", network, images, labels, 0.1, targets=torch.ones(6, dtype=torch.int64))
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
    failed = [check for check in check_attack(CATALOGUE, name, few(name)) if check.verdict == "failed"]
    assert failed == []


def test_a_strength_is_checked_against_the_declared_range() -> None:
    blur = CATALOGUE.get("attacks", "box_blur").info
    check_strength("box_blur", blur, 3.0)
    with pytest.raises(InputError, match="expected 0 <= radius <= 100"):
        check_strength("box_blur", blur, -1.0)
    with pytest.raises(InputError, match="needs `strength`"):
        check_strength("box_blur", blur, None)
