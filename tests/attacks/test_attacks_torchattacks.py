"""The family torchattacks: every name of the library within the contract, and equal to the library called by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchattacks
from torch import Tensor, nn

from dumb_bench.attacks.base import AttackInfo
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.torchattacks_table import ROWS
from dumb_bench.catalogue import Catalogue, check_params
from dumb_bench.errors import AttackError, InputError
from dumb_bench.perturbation import l2, linf, project
from dumb_bench.seeding import derive_seed
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
USABLE = sorted(ROWS)
FEWER: dict[str, dict[str, Any]] = {
    "SPSA": {"nb_sample": 16}, "OnePixel": {"steps": 2}, "Square": {"n_queries": 30}, "FAB": {"steps": 3},
    "SparseFool": {"steps": 1}, "EADL1": {"binary_search_steps": 5, "max_iterations": 20},
    "EADEN": {"binary_search_steps": 5, "max_iterations": 20}, "CW": {"steps": 20},
}  # fmt: skip
"""Fewer repetitions of the slow ones."""
SIDES = {"JSMA": 8}
"""JSMA compares all pairs of pixel values."""


def info_of(name: str) -> AttackInfo:
    info: AttackInfo = CATALOGUE.get("attacks", f"torchattacks.{name}").info
    return info


def made(
    name: str, network: nn.Module, images: Tensor, labels: Tensor, strength: float | None, classes: int = 10,
    *, key: str = "k", targets: Tensor | None = None, **params: Any,
) -> Crafted:  # fmt: skip
    entry = CATALOGUE.get("attacks", f"torchattacks.{name}")
    surrogate = None if entry.info.uses == "nothing" else LockedSurrogate([network], classes)
    (found,) = craft(
        entry, surrogate, images, labels, [strength], params=check_params(entry, params), chunk=64,
        seed_key=(key,), targets=targets,
    )  # fmt: skip
    return found


def subject(classes: int, side: int = 32, count: int = 6) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a random network of steep gradients, images, and the labels that it gives them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, side, side), generator=generator).float() / 255
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Softplus(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            nn.Linear(96, classes),
        )  # fmt: skip
        last = network[-1]
        last.weight *= 30
        last.bias -= network(images).mean(0)
        labels = network(images).argmax(1)
    return network.requires_grad_(False).eval(), images, labels


@pytest.mark.parametrize("classes", [10, 2])
@pytest.mark.parametrize("name", USABLE)
def test_an_attack_keeps_its_contract(name: str, classes: int) -> None:
    info = info_of(name)
    classes = max(classes, info.min_classes)
    network, images, labels = subject(classes, SIDES.get(name, 32))
    strength = info.default_strengths[-1] if info.default_strengths else None
    fewer = FEWER.get(name, {})
    found = made(name, network, images, labels, strength, classes, **fewer)
    assert found.box_violation <= 1e-6 and found.budget_violation <= 1e-6
    assert found.budget_reached is not False
    assert torch.equal(made(name, network, images, labels, strength, classes, **fewer).images, found.images)
    other = made(name, network, images, labels, strength, classes, key="other", **fewer)
    assert torch.equal(other.images, found.images) is not info.stochastic
    if info.batch_independent:
        mates = torch.cat([images[:1], images[1:].flip(3)])
        among = made(name, network, mates, torch.cat([labels[:1], labels[1:].flip(0)]), strength, classes, **fewer)
        assert torch.equal(among.images[0], found.images[0])
    if info.zero_is_identity:
        still = made(name, network, images, labels, 0.0, classes, **fewer)
        assert torch.equal(still.images, images)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", USABLE)
def test_an_attack_runs_on_a_gpu(name: str) -> None:
    network, images, labels = (given.cuda() for given in subject(10, SIDES.get(name, 32)))
    strength = info_of(name).default_strengths[-1] if info_of(name).strength else None
    targets = (labels + 1) % 10 if info_of(name).targeted else None
    for aimed in (None, targets):
        found = made(name, network, images, labels, strength, targets=aimed, **FEWER.get(name, {}))
        assert found.images.is_cuda and found.box_violation <= 1e-6 and found.budget_violation <= 1e-6


@pytest.mark.parametrize("name", ["APGD", "APGDT", "AutoAttack", "Square", "EADL1", "EADEN"])
def test_an_attack_that_is_declared_to_depend_on_its_batch_mates_does(name: str) -> None:
    network, images, labels = subject(10, count=12)
    strength = 16 / 255 if info_of(name).strength else None
    found = made(name, network, images, labels, strength, **FEWER.get(name, {}))
    wrong = torch.cat([(labels[:1] + 1) % 10, labels[1:]])  # the first is misclassified, so it leaves the batch
    among = made(name, network, images, wrong, strength, **FEWER.get(name, {}))
    assert not torch.equal(among.images[1:], found.images[1:])


@pytest.mark.parametrize("name", [name for name in USABLE if info_of(name).targeted])
def test_a_targeted_attack_moves_towards_its_targets(name: str) -> None:
    network, images, labels = subject(10, SIDES.get(name, 32))
    strength = {"SPSA": 0.1, "OnePixel": 20.0, "CW": 10.0, "Square": 0.1}.get(name)
    if strength is None and info_of(name).strength:
        strength = info_of(name).default_strengths[-1]
    targets = network(images).topk(2, 1).indices[:, 1]
    found = made(name, network, images, labels, strength, targets=targets, **FEWER.get(name, {}))
    before, after = (network(given).softmax(1).gather(1, targets[:, None]).mean() for given in (images, found.images))
    assert float(after) > float(before)


def test_a_targeted_loss_that_looks_at_the_labels_is_given_them() -> None:
    network, images, labels = subject(10)
    targets = network(images).topk(2, 1).indices[:, 1]
    found = made("UPGD", network, images, labels, 0.05, targets=targets, loss="dlr")
    logits = network(found.images)
    assert (logits.gather(1, targets[:, None]) > logits.gather(1, labels[:, None])).all()


def test_ead_stays_in_the_box_where_the_library_leaves_it() -> None:
    network, images, labels = subject(10)
    hand = torchattacks.EADEN(network, initial_const=1.0, max_iterations=20, binary_search_steps=5)(images, labels)
    assert float((hand - hand.clamp(0, 1)).abs().max()) > 1e-6
    found = made("EADEN", network, images, labels, None, initial_const=1.0, max_iterations=20, binary_search_steps=5)
    assert found.box_violation == 0 and torch.equal(found.images, hand.clamp(0, 1))


class Doubled(nn.Module):
    """The library by hand sees logits as the family's gradient attacks do, on gradients of their own scale."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).double()


BY_HAND: list[tuple[str, float, dict[str, Any], dict[str, Any]]] = [
    ("FGSM", 0.05, {}, {"eps": 0.05}),
    ("BIM", 0.05, {}, {"eps": 0.05, "alpha": 0.005}),
    ("BIM", 0.05, {"alpha": 0.02, "steps": 3}, {"eps": 0.05, "alpha": 0.02, "steps": 3}),
    ("RFGSM", 0.05, {}, {"eps": 0.05, "alpha": 0.0125}),
    ("PGD", 0.05, {}, {"eps": 0.05, "alpha": 0.0125}),
    ("EOTPGD", 0.05, {}, {"eps": 0.05, "alpha": 0.0125}),
    ("FFGSM", 0.05, {}, {"eps": 0.05, "alpha": 0.0625}),
    ("TPGD", 0.05, {}, {"eps": 0.05, "alpha": 0.0125}),
    ("UPGD", 0.05, {"loss": "dlr"}, {"eps": 0.05, "alpha": 0.005, "loss": "dlr"}),
    ("MIFGSM", 0.05, {"decay": 0.9}, {"eps": 0.05, "alpha": 0.005, "decay": 0.9}),
    ("NIFGSM", 0.05, {}, {"eps": 0.05, "alpha": 0.005}),
    ("SINIFGSM", 0.05, {}, {"eps": 0.05, "alpha": 0.005}),
    ("VMIFGSM", 0.05, {}, {"eps": 0.05, "alpha": 0.005}),
    ("DIFGSM", 0.05, {}, {"eps": 0.05, "alpha": 0.005}),
    ("TIFGSM", 0.05, {"len_kernel": 5}, {"eps": 0.05, "alpha": 0.005, "len_kernel": 5}),
    ("PGDRS", 0.05, {"noise_sd": 0.1}, {"eps": 0.05, "alpha": 0.0125, "noise_sd": 0.1}),
    ("PGDRSL2", 1.0, {"noise_sd": 0.1}, {"eps": 1.0, "alpha": 0.25, "noise_sd": 0.1}),
    ("Jitter", 0.05, {}, {"eps": 0.05, "alpha": 0.0125}),
    ("PIFGSM", 0.05, {}, {"max_epsilon": 0.05}),
    ("PGDL2", 1.0, {}, {"eps": 1.0, "alpha": 0.25}),
    ("APGD", 0.05, {"norm": "l2"}, {"eps": 0.05, "norm": "L2"}),
    ("Square", 0.05, {"n_queries": 30}, {"eps": 0.05, "n_queries": 30}),
    ("FAB", 0.05, {"steps": 3}, {"eps": 0.05, "steps": 3}),
    ("SPSA", 0.05, {"nb_sample": 16}, {"eps": 0.05, "nb_sample": 16, "lr": 0.05}),
    ("CW", 5.0, {"steps": 20}, {"c": 5.0, "steps": 20}),
    ("DeepFool", 10.0, {}, {"overshoot": 10.0}),
    ("SparseFool", 0.02, {"steps": 1}, {"overshoot": 0.02, "steps": 1}),
    ("JSMA", 0.05, {}, {"gamma": 0.05}),
    ("GN", 0.05, {}, {"std": 0.05}),
]  # fmt: skip


@pytest.mark.parametrize("name, strength, ours, theirs", BY_HAND)
def test_an_attack_is_the_library_called_by_hand(
    name: str, strength: float, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    network, images, labels = subject(10, SIDES.get(name, 32))
    found = made(name, network, images, labels, strength, **ours)
    seed = derive_seed("k", "chunk", 0)
    if ROWS[name].seed:
        theirs = {**theirs, "seed": int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(seed)))}
    hand = getattr(torchattacks, name)(network if ROWS[name].gradient == "plain" else Doubled(network), **theirs)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, at SparseFool
        expected = hand(images, labels)
    bound = "l2" if ours.get("norm") == "l2" else info_of(name).norm
    assert torch.equal(found.images, project(expected, images, bound, strength))
    assert name == "FAB" or not torch.equal(found.images, images)


@pytest.mark.parametrize("name, strength, ours", [("OnePixel", 3.0, {"steps": 2}), ("Pixle", 2.0, {})])
def test_an_attack_that_works_image_by_image_has_a_seed_for_each(
    name: str, strength: float, ours: dict[str, Any]
) -> None:
    network, images, labels = subject(10)
    found = made(name, network, images, labels, strength, **ours)
    generator = torch.Generator().manual_seed(derive_seed("k", "chunk", 0))
    hand = getattr(torchattacks, name)(network, **{str(ROWS[name].strength): int(strength)}, **ours)
    for number, seed in enumerate(torch.randint(2**31, (6,), generator=generator).tolist()):
        np.random.seed(seed)
        part = slice(number, number + 1)
        assert torch.equal(found.images[part], hand(images[part], labels[part]))


class Linear(nn.Module):
    """Logits (-w x, w x): the loss gradient has the same signs everywhere."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(3 * 32 * 32, generator=torch.Generator().manual_seed(5)) * scale)

    def forward(self, images: Tensor) -> Tensor:
        score = (images - 0.5).flatten(1) @ self.weights / 50
        return torch.stack([-score, score], 1)


GREY, TURNS = torch.full((4, 3, 32, 32), 0.5), torch.arange(4) % 2


@pytest.mark.parametrize("name", [name for name in USABLE if ROWS[name].step and name != "Jitter"])
@pytest.mark.parametrize("eps", [0.02, 0.3])
def test_the_step_follows_eps_so_that_the_budget_is_reached(name: str, eps: float) -> None:
    found = made(name, Linear(), GREY, TURNS, eps, 2)
    lengths = l2(found.images, GREY) if info_of(name).norm == "l2" else linf(found.images, GREY)
    assert lengths.tolist() == pytest.approx([eps] * 4, abs=1e-6)


def test_the_step_of_jitter_follows_eps_too() -> None:
    found = made("Jitter", Linear(), GREY, TURNS, 0.3, 2)  # it adds noise to its loss, so signs turn
    assert float(linf(found.images, GREY).min()) > 0.2  # ten of the library's own steps end at .078


def test_a_step_that_is_given_is_used_as_it_is() -> None:
    found = made("BIM", Linear(), GREY, TURNS, 0.3, 2, alpha=0.01)
    assert linf(found.images, GREY).tolist() == pytest.approx([0.1] * 4, abs=1e-6)


@pytest.mark.parametrize("name", ["BIM", "EOTPGD", "MIFGSM", "UPGD", "PGDL2"])
def test_a_confident_network_does_not_stop_an_attack(name: str) -> None:
    towards = torch.where(TURNS == 0, -1.0, 1.0).view(-1, 1, 1, 1)
    images = GREY + 0.3 * towards * Linear().weights.detach().sign().view(3, 32, 32)
    confident = Linear(scale=3.5)
    margins = confident(images).detach().diff(dim=1).abs()
    assert float(margins.min()) > 88 and float(margins.max()) < 110  # float32's softmax is dead, the shared scale lives
    start = {"random_start": False} if name in ("EOTPGD", "PGDL2") else {}
    assert torch.equal(getattr(torchattacks, name)(confident, eps=0.1, **start)(images, TURNS), images)
    found = made(name, confident, images, TURNS, 0.1, 2, **start)
    lengths = l2(found.images, images) if name == "PGDL2" else linf(found.images, images)
    assert lengths.tolist() == pytest.approx([0.1] * 4, abs=1e-6)


class Constant(nn.Module):
    """Logits that no image changes, times a factor: 0 gives a gradient of exactly 0, NaN a broken network."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.logits = nn.Parameter(torch.tensor([1.0, 0.5, 0.2, 0.1]))

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.factor).flatten(1).sum(1, keepdim=True) + self.logits


@pytest.mark.parametrize("name", [
    name for name in USABLE if not (ROWS[name].stochastic or ROWS[name].next_class) and ROWS[name].uses == "model"
])  # fmt: skip
def test_an_image_without_a_gradient_stays(name: str) -> None:
    strength = info_of(name).default_strengths[-1] if info_of(name).strength else None
    found = made(name, Constant(0.0), GREY, torch.zeros(4, dtype=torch.int64), strength, 4, **FEWER.get(name, {}))
    assert torch.equal(found.images, GREY)


def test_a_broken_network_is_still_an_error() -> None:
    with pytest.raises(AttackError, match="NaN"):
        made("DeepFool", Constant(float("nan")), GREY, torch.zeros(4, dtype=torch.int64), 0.02, 4)


@pytest.mark.parametrize("name", ["PGDL2", "PGDRSL2", "FAB", "CW"])
def test_the_memory_layout_of_the_network_does_not_matter(name: str) -> None:
    network, images, labels = subject(10)
    strength = info_of(name).default_strengths[-1]
    plain = made(name, network, images, labels, strength, **FEWER.get(name, {})).images
    network = network.to(memory_format=torch.channels_last)
    last = made(name, network, images, labels, strength, **FEWER.get(name, {})).images
    assert float((plain - last).abs().max()) < 1e-3


@pytest.mark.parametrize("call, sentence", [
    (lambda: made("OnePixel", Linear(), GREY, TURNS, 1.5, 2), "OnePixel': pixels: expected a whole number, got 1.5"),
    (lambda: made("UPGD", Linear(), GREY, TURNS, 0.1, 2, loss="dlr"), "'dlr' compares 3 classes, the surrogate has 2"),
    (lambda: made("JSMA", Linear(), torch.rand(1, 3, 65, 65), TURNS[:1], 0.1, 2), "at most 12288"),
])  # fmt: skip
def test_what_only_shows_at_the_call_is_an_error_that_says_why(call: Callable[[], Crafted], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
