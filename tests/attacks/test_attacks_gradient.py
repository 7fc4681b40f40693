"""The basic attacks and the gradient stages: closed forms, torchattacks, budgets, targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torchattacks
from linear_model import CATALOGUE, STAGES, Linear, grey, made, noisy, small_network
from torch import Tensor, nn

from dumb_bench.attacks.base import PAPER_EPS
from dumb_bench.attacks.craft import craft
from dumb_bench.catalogue import Entry
from dumb_bench.errors import InputError
from dumb_bench.perturbation import l2, linf
from dumb_bench.seeding import derive_seed
from dumb_bench.surrogate import Cost, LockedSurrogate

BASIC = ("fgsm", "bim", "pgd", "rfgsm")


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 2.0)])
@pytest.mark.parametrize("name, params", [
    ("fgsm", {}), ("bim", {}), ("pgd", {"random_start": False}), *STAGES.items(),
])  # fmt: skip
def test_the_optimum_of_a_linear_classifier_is_reached(
    name: str, params: dict[str, object], norm: str, eps: float
) -> None:
    images, labels = grey()
    network = Linear()
    found = made(name, network, images, labels, eps, norm=norm, **params)
    assert float((found.images - network.optimum(images, labels, norm, eps)).abs().max()) < 1e-6


@pytest.mark.parametrize("name, params", [
    ("pgd", {"norm": "linf"}), ("rfgsm", {}), ("pgd", {"norm": "l2", "steps": 100}),
])  # fmt: skip
def test_from_a_random_start_the_optimum_is_reached_too_in_l2_with_more_steps(
    name: str, params: dict[str, object]
) -> None:
    images, labels = grey()
    network = Linear()
    norm = str(params.get("norm", "linf"))
    eps = {"linf": 0.1, "l2": 2.0}[norm]
    found = made(name, network, images, labels, eps, **params)
    assert float((found.images - network.optimum(images, labels, norm, eps)).abs().max()) < 1e-6


Build = Callable[[nn.Module], Callable[[Tensor, Tensor], Tensor]]
EQUAL: list[tuple[str, dict[str, object], Build]] = [
    ("fgsm", {}, lambda net: torchattacks.FGSM(net, eps=0.1)),
    ("bim", {}, lambda net: torchattacks.BIM(net, eps=0.1, alpha=0.01, steps=10)),
    ("bim", {"relative_step": 0.25}, lambda net: torchattacks.BIM(net, eps=0.1, alpha=0.025, steps=10)),
    ("bim", {"reference": True}, lambda net: torchattacks.BIM(net, eps=0.1)),
    ("pgd", {}, lambda net: torchattacks.PGD(net, eps=0.1, alpha=0.025, steps=10)),
    ("pgd", {"reference": True}, lambda net: torchattacks.PGD(net, eps=0.1)),
    ("rfgsm", {}, lambda net: torchattacks.RFGSM(net, eps=0.1, alpha=0.025, steps=10)),
    ("rfgsm", {"reference": True}, lambda net: torchattacks.RFGSM(net, eps=0.1)),
    ("mifgsm", {}, lambda net: torchattacks.MIFGSM(net, eps=0.1, alpha=0.01, steps=10)),
    ("mifgsm", {"relative_step": 0.25}, lambda net: torchattacks.MIFGSM(net, eps=0.1, alpha=0.025, steps=10)),
    ("mifgsm", {"decay": 0.5}, lambda net: torchattacks.MIFGSM(net, eps=0.1, alpha=0.01, steps=10, decay=0.5)),
    ("nifgsm", {}, lambda net: torchattacks.NIFGSM(net, eps=0.1, alpha=0.01, steps=10)),
    ("vmifgsm", {"neighbours": 5}, lambda net: torchattacks.VMIFGSM(net, eps=0.1, alpha=0.01, steps=10, N=5)),
    ("vnifgsm", {"neighbours": 5}, lambda net: torchattacks.VNIFGSM(net, eps=0.1, alpha=0.01, steps=10, N=5)),
]


@pytest.mark.parametrize("name, params, build", EQUAL)
@pytest.mark.parametrize("targeted", [False, True])
def test_in_float64_the_images_are_those_of_torchattacks_with_the_same_seed(
    name: str, params: dict[str, object], build: Build, targeted: bool
) -> None:
    network = small_network().double()
    images, labels = noisy()
    found = made(name, network, images, labels, 0.1, targets=1 - labels if targeted else None, **params)
    method: Any = build(network)
    if targeted:
        method.set_mode_targeted_by_label(quiet=True)
    torch.manual_seed(derive_seed(name, "chunk", 0))
    theirs = method(images, 1 - labels if targeted else labels)
    assert float((found.images - theirs).abs().max()) < 1e-9


def test_pgd_in_l2_is_torchattacks_own_but_for_the_start_uniform_in_the_ball_instead_of_in_the_radius() -> None:
    network = small_network().double()
    images, labels = noisy()
    found = made("pgd", network, images, labels, 1.0, norm="l2", random_start=False)
    theirs = torchattacks.PGDL2(network, eps=1.0, alpha=0.25, steps=10, random_start=False)(images, labels)
    assert float((found.images - theirs).abs().max()) < 1e-6


@pytest.mark.parametrize("name, largest", [("bim", 20 / 255), ("rfgsm", 22 / 255)])
@pytest.mark.parametrize("eps", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
def test_the_norm_follows_eps_unless_the_published_steps_of_two_levels_are_asked_for(
    name: str, largest: float, eps: float
) -> None:
    images, labels = grey()
    found, published = (
        linf(made(name, Linear(), images, labels, eps, reference=reference).images, images)
        for reference in (False, True)
    )
    assert float((found - eps).abs().max()) < 1e-6
    assert float((published - min(eps, largest)).abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["bim", "pgd"])
def test_the_published_form_is_one_of_linf(name: str) -> None:
    with pytest.raises(InputError, match="parameter 'reference': expected norm 'linf', got 'l2'"):
        made(name, Linear(), *grey(), 1.0, norm="l2", reference=True)


def test_hundreds_of_small_steps_still_reach_the_budget_in_every_pixel() -> None:
    images, labels = noisy(2)
    images = images.float() / 2 + 0.25
    network = Linear()
    found = made("mifgsm", network, images, labels, 0.1, steps=500)
    assert float((found.images - network.optimum(images, labels, "linf", 0.1)).abs().max()) < 1e-6


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_all_strengths_of_fgsm_cost_one_gradient_and_equal_the_single_calls_bit_for_bit(norm: str) -> None:
    images, labels = noisy()
    shared = CATALOGUE.get("attacks", "fgsm")
    single = replace(shared, plugin=replace(shared.plugin, info=shared.info._replace(path=None)))

    def swept(entry: Entry) -> tuple[list[Tensor], Cost]:
        surrogate = LockedSurrogate([small_network()], 2)
        made = craft(
            entry, surrogate, images.float(), labels, PAPER_EPS, params={"norm": norm}, chunk=4, seed_key=("fgsm",)
        )
        return [item.images for item in made], surrogate.cost

    assert shared.info.default_strengths == PAPER_EPS and len(PAPER_EPS) == 30
    (together, cost), (apart, costs) = swept(shared), swept(single)
    assert cost == (8, 8) and costs == (240, 240)
    assert all(torch.equal(one, other) for one, other in zip(together, apart, strict=True))


@pytest.mark.parametrize("name, params", [
    ("mifgsm", {"decay": 0.0}), ("nifgsm", {"decay": 0.0}), ("pgd", {"random_start": False}),
    ("vmifgsm", {"decay": 0.0, "neighbours": 0}),
])  # fmt: skip
def test_without_momentum_an_attack_is_i_fgsm(name: str, params: dict[str, object]) -> None:
    network, (images, labels) = small_network().double(), noisy()
    step = {"relative_step": 0.1} if name == "pgd" else {}
    found = made(name, network, images, labels, 0.1, **params, **step)
    assert float((found.images - made("bim", network, images, labels, 0.1).images).abs().max()) < 1e-9


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 2.0)])
@pytest.mark.parametrize("name", [*BASIC, *STAGES])
def test_with_a_target_every_image_goes_there_and_without_a_gradient_it_stays(name: str, norm: str, eps: float) -> None:
    params = {**STAGES.get(name, {}), **({} if name == "rfgsm" else {"norm": norm})}
    images, labels = grey()
    network = Linear()
    found = made(name, network, images, labels, eps, targets=torch.ones_like(labels), **params)
    assert (network(found.images).argmax(1) == 1).all() and (network(images)[:, 1] < network(found.images)[:, 1]).all()
    flat = made(name, Linear(scale=0.0), images, labels, eps, **params)
    assert torch.equal(flat.images, images) or name in ("pgd", "rfgsm")
    assert float((l2 if "norm" in params and norm == "l2" else linf)(flat.images, images).max()) <= eps


def test_of_several_restarts_of_pgd_each_image_keeps_the_one_of_highest_loss() -> None:
    network, (images, labels) = small_network().double(), noisy()
    entry = CATALOGUE.get("attacks", "pgd")
    surrogate = LockedSurrogate([network], 2)

    def run(generator: torch.Generator, restarts: int) -> Tensor:
        found: Tensor = entry.call(surrogate, images, labels, 0.1, generator=generator, steps=1, restarts=restarts)
        return found

    best = run(torch.Generator().manual_seed(3), 4)
    generator = torch.Generator().manual_seed(3)
    ends = [run(generator, 1) for _ in range(4)]
    losses = torch.stack([nn.functional.cross_entropy(network(end), labels, reduction="none") for end in ends])
    chosen = losses.argmax(0)
    assert len(chosen.unique()) > 1
    assert torch.equal(best, torch.stack(ends)[chosen, torch.arange(8)])
    with pytest.raises(InputError, match="'restarts': expected 1 without random_start, got 2"):
        made("pgd", network, images, labels, 0.1, random_start=False, restarts=2)
