"""The family art: every name, the library called by hand, and what a grid may set."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks import evasion
from art.estimators.classification import PyTorchClassifier
from linear_model import Linear, grey, made
from torch import Tensor, nn

from dumb_bench.attacks.art import FAMILY, REFUSED, ROWS, seeded_states
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.catalogue import Catalogue, all_params, check_params
from dumb_bench.conformance.network import subject
from dumb_bench.errors import InputError
from dumb_bench.perturbation import norm_of

CATALOGUE = Catalogue()
EPS: dict[str | None, float] = {"linf": 0.03, "l2": 1.0, None: 0.02}
CHEAP: dict[str, dict[str, Any]] = {
    "AutoConjugateGradient": {"max_iter": 3, "nb_random_init": 1},
    "AutoProjectedGradientDescent": {"max_iter": 3, "nb_random_init": 1},
    "BasicIterativeMethod": {"max_iter": 3},
    "BoundaryAttack": {"max_iter": 2},
    "CarliniL2Method": {"max_iter": 2, "binary_search_steps": 1},
    "CarliniLInfMethod": {"max_iter": 1, "largest_const": 1e-4},
    "DeepFool": {"max_iter": 5},
    "ElasticNet": {"max_iter": 2, "binary_search_steps": 1},
    "FastGradientMethod": {},
    "HopSkipJump": {"max_iter": 1, "max_eval": 20, "init_eval": 5},
    "MomentumIterativeMethod": {"max_iter": 3},
    "NewtonFool": {"max_iter": 3},
    "ProjectedGradientDescent": {"max_iter": 3, "num_random_init": 1},
    "SaliencyMapMethod": {},
    "ShadowAttack": {"nb_steps": 2, "batch_size": 2},
    "SignOPTAttack": {"max_iter": 1, "num_trial": 5, "k": 3, "query_limit": 100},
    "SimBA": {"max_iter": 20},
    "SpatialTransformation": {"num_rotations": 3},
    "SquareAttack": {"max_iter": 5},
    "UniversalPerturbation": {"max_iter": 1, "attacker": "fgsm"},
    "ZooAttack": {"max_iter": 1, "nb_parallel": 8},
}
NOISY = {"ProjectedGradientDescent"}
"""Attacks that these settings make stochastic, though they are not at their defaults."""


def run(name: str, members: int = 1, *, key: str = "k", targets: Tensor | None = None, **params: Any) -> Crafted:
    entry = CATALOGUE.get("attacks", f"art.{name}")
    tried = subject(4, 3, members=members)
    strength = None if entry.info.strength is None else EPS[entry.info.norm]
    if name == "SpatialTransformation":
        strength = 30.0
    (found,) = craft(
        entry, tried.surrogate, tried.images[:3], tried.labels[:3], [strength],
        params=check_params(entry, params), chunk=64, seed_key=(key,), targets=targets,
    )  # fmt: skip
    return found


def by_hand(name: str, members: int = 1, **params: Any) -> Tensor:
    """Run ART as its pages say, on images in [0, 1] and a network in evaluation mode."""
    tried = subject(4, 3, members=members)
    classifier = PyTorchClassifier(
        tried.surrogate, nn.CrossEntropyLoss(), (3, 32, 32), 4, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = getattr(evasion, name)(classifier, **params)
    return torch.from_numpy(attack.generate(tried.images[:3].numpy(), y=tried.labels[:3].numpy()))


def test_every_name_of_the_library_loads_or_is_refused_with_its_reason() -> None:
    names = FAMILY.names()
    assert set(names) == {*ROWS, *REFUSED}
    for name in names:
        if name in REFUSED:
            with pytest.raises(InputError, match=f"'art.{name}' cannot be used: "):
                FAMILY.load(name)
        elif ROWS[name].needs and importlib.util.find_spec(ROWS[name].needs) is None:
            with pytest.raises(InputError, match=f"needs the package {ROWS[name].needs}, which is not installed"):
                FAMILY.load(name)
        else:
            call, plugin, version = FAMILY.load(name)
            assert plugin.name == f"art.{name}"
            assert version.startswith("adversarial-robustness-toolbox 1.")
            assert call.__doc__
    with pytest.raises(InputError, match="Did you mean 'FastGradientMethod'"):
        FAMILY.load("FastGradient")


@pytest.mark.parametrize("name", CHEAP)
def test_it_keeps_box_budget_surrogate_and_seed(name: str) -> None:
    entry = CATALOGUE.get("attacks", f"art.{name}")
    found = run(name, 2, **CHEAP[name])
    assert found.box_violation <= 1e-6 and found.budget_violation <= 1e-6
    assert found.forwards > 0
    assert torch.equal(found.images, run(name, 2, **CHEAP[name]).images)
    if not entry.info.stochastic and name not in NOISY:
        assert torch.equal(found.images, run(name, 2, key="other", **CHEAP[name]).images)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name, params, theirs", [
    ("FastGradientMethod", {}, {"eps": 0.03}),
    ("BasicIterativeMethod", {"max_iter": 4}, {"eps": 0.03, "eps_step": 0.0075, "max_iter": 4, "verbose": False}),
    ("ProjectedGradientDescent", {"max_iter": 4, "eps_step": 0.02},
     {"eps": 0.03, "eps_step": 0.02, "max_iter": 4, "verbose": False}),
    ("MomentumIterativeMethod", {"max_iter": 3, "decay": 0.5},
     {"eps": 0.03, "eps_step": 0.01, "max_iter": 3, "decay": 0.5, "verbose": False}),
    ("DeepFool", {"max_iter": 5}, {"max_iter": 5, "verbose": False}),
])  # fmt: skip
def test_it_is_the_library_called_by_hand(
    name: str, params: dict[str, Any], theirs: dict[str, Any], members: int
) -> None:
    assert torch.allclose(run(name, members, **params).images, by_hand(name, members, **theirs), atol=2e-6)


@pytest.mark.parametrize("eps", [4 / 255, 0.1])
def test_the_fast_gradient_is_the_native_one(eps: float) -> None:
    tried = subject(2, 3)
    network = tried.surrogate.members[0]
    native = made("fgsm", network, tried.images, tried.labels, eps)
    foreign = made("art.FastGradientMethod", network, tried.images, tried.labels, eps)
    assert torch.allclose(native.images, foreign.images, atol=1e-7)


@pytest.mark.parametrize("eps", [0.05, 0.3])
@pytest.mark.parametrize("name", ["BasicIterativeMethod", "MomentumIterativeMethod", "ProjectedGradientDescentPyTorch"])
def test_the_step_follows_eps_so_that_the_optimum_of_a_linear_network_is_reached(name: str, eps: float) -> None:
    images, labels = grey()
    network = Linear(0.1)
    found = made(f"art.{name}", network, images, labels, eps, max_iter=10)
    assert torch.allclose(found.images, network.optimum(images, labels, "linf", eps), atol=2e-6)


def test_a_confident_network_does_not_stop_a_gradient_attack() -> None:
    images, labels = grey()
    towards = torch.where(labels == 0, -1.0, 1.0).view(-1, 1, 1, 1)
    network = Linear(scale=12.0).requires_grad_(False)
    images = (images + 0.3 * towards * network.weights.detach().sign().view(3, 32, 32)).clamp(0, 1)
    found = made("art.BasicIterativeMethod", network, images, labels, 0.1, max_iter=5)
    assert float(norm_of("linf", found.images, images).min()) == pytest.approx(0.1, abs=1e-6)


def test_the_smallest_perturbation_is_found_once_and_moved_into_each_budget() -> None:
    entry = CATALOGUE.get("attacks", "art.DeepFool")
    tried = subject(4, 3)
    small, large = craft(
        entry, tried.surrogate, tried.images, tried.labels, [0.01, 9.0], params={}, chunk=64, seed_key=("k",)
    )
    assert small.forwards > 0 and large.forwards == 0
    found, given = large.images - tried.images, small.images - tried.images
    length = found.flatten(1).norm(dim=1)
    assert float(length.min()) > 0.01
    assert torch.allclose(given, found * (0.01 / length)[:, None, None, None], atol=1e-7)


def test_an_image_has_its_own_random_numbers() -> None:
    entry = CATALOGUE.get("attacks", "art.HopSkipJump")
    tried = subject(4, 3)
    both = tried.images[:2].clone()
    other = torch.stack([both[0], tried.images[4]])
    settings: dict[str, Any] = {"params": CHEAP["HopSkipJump"], "chunk": 64, "seed_key": ("k",)}
    first, second = (
        next(craft(entry, tried.surrogate, images, tried.labels[:2], [9.0], **settings)) for images in (both, other)
    )
    assert torch.equal(first.images[0], second.images[0])


def test_a_generator_without_a_seed_takes_one_from_the_global_state() -> None:
    kept = np.random.RandomState
    draws = []
    for _ in range(2):
        np.random.seed(3)
        with seeded_states():
            draws.append((np.random.RandomState().rand(), np.random.RandomState().rand()))
            assert np.random.RandomState(5).rand() == kept(5).rand()
    assert draws[0] == draws[1] and draws[0][0] != draws[0][1]
    assert np.random.RandomState is kept


def test_targets_are_aimed_at_or_missed_in_words() -> None:
    targets = (subject(4, 3).labels[:3] + 1) % 4
    found = run("BasicIterativeMethod", targets=targets, max_iter=10)
    assert (subject(4, 3).surrogate(found.images).argmax(1) == targets).all()
    with pytest.raises(InputError, match="aims at target classes: set targeted = true"):
        run("TargetedUniversalPerturbation", max_iter=1)


@pytest.mark.parametrize("name, params, sentence", [
    ("DeepFool", {"max_iters": 3}, "unknown parameter 'max_iters'. Did you mean 'max_iter'?"),
    ("DeepFool", {"batch_size": 3}, "unknown parameter 'batch_size'"),
    ("DeepFool", {"max_iter": 0}, "parameter 'max_iter': input should be greater than or equal to 1, got 0"),
    ("BasicIterativeMethod", {"eps_step": 0.0}, "parameter 'eps_step': input should be greater than 0, got 0.0"),
    ("SquareAttack", {"norm": "l1"}, "parameter 'norm': input should be 'linf' or 'l2'"),
    ("AutoAttack", {"attacks": []}, "unknown parameter 'attacks'"),
])  # fmt: skip
def test_parameters_are_the_constructors(
    name: str, params: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(InputError) as raised:
        check_params(Catalogue().get("attacks", f"art.{name}"), params)
    assert sentence in str(raised.value)


def test_defaults_are_the_librarys_own() -> None:
    entry = CATALOGUE.get("attacks", "art.MomentumIterativeMethod")
    assert all_params(entry, {}) == {"decay": 1.0, "eps_step": None, "max_iter": 100, "norm": "linf"}


def test_the_ratio_of_logits_needs_three_classes() -> None:
    tried = subject(2, 3)
    with pytest.raises(InputError, match="'loss_type': the ratio compares 3 classes, the surrogate has 2"):
        made(
            "art.AutoProjectedGradientDescent", tried.surrogate.members[0], tried.images, tried.labels, 0.1,
            loss_type="difference_logits_ratio",
        )  # fmt: skip


def test_a_missing_library_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "art"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "art", None)
    with pytest.raises(InputError) as raised:
        Catalogue().get("attacks", "art.DeepFool")
    assert str(raised.value) == (
        "attack 'art.DeepFool': adversarial-robustness-toolbox is not installed; "
        'install the extra: pip install "dumb-bench[art]"'
    )
