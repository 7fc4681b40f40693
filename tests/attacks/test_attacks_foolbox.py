"""The family foolbox: every name, the library called by hand, and what a grid may set."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from typing import Any

import pytest
import torch
from linear_model import Linear, grey, made
from torch import Tensor, nn

from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.foolbox import FAMILY, REFUSED, ROWS
from dumb_bench.catalogue import Catalogue, all_params, check_params
from dumb_bench.conformance.network import subject
from dumb_bench.errors import InputError
from dumb_bench.perturbation import norm_of
from dumb_bench.seeding import derive_seed

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import foolbox

CATALOGUE = Catalogue()
EPS = {"linf": 0.03, "l2": 1.0, None: 10.0}
CHEAP: dict[str, dict[str, Any]] = {
    "BoundaryAttack": {"steps": 20},
    "DDNAttack": {"steps": 10},
    "EADAttack": {"steps": 5, "binary_search_steps": 2},
    "GaussianBlurAttack": {"steps": 10},
    "HopSkipJumpAttack": {"steps": 2, "initial_gradient_eval_steps": 10, "max_gradient_eval_steps": 20},
    "InversionAttack": {},
    "L1FastGradientAttack": {},
    "L2BasicIterativeAttack": {},
    "L2CarliniWagnerAttack": {"steps": 10, "binary_search_steps": 2},
    "L2ClippingAwareAdditiveGaussianNoiseAttack": {},
    "L2DeepFoolAttack": {},
    "L2FMNAttack": {"steps": 10},
    "L2RepeatedAdditiveGaussianNoiseAttack": {"repeats": 5},
    "LinearSearchBlendedUniformNoiseAttack": {"directions": 20, "steps": 10},
    "LinfAdditiveUniformNoiseAttack": {},
    "LinfBasicIterativeAttack": {},
    "LinfDeepFoolAttack": {},
    "LinfFastGradientAttack": {},
    "LinfMomentumIterativeFastGradientMethod": {},
    "LinfProjectedGradientDescentAttack": {"steps": 5},
    "NewtonFoolAttack": {"steps": 10},
    "SaltAndPepperNoiseAttack": {"steps": 10},
    "SpatialAttack": {},
    "VirtualAdversarialAttack": {"steps": 2},
}


def run(name: str, members: int = 1, *, key: str = "k", targets: Tensor | None = None, **params: Any) -> Crafted:
    entry = CATALOGUE.get("attacks", f"foolbox.{name}")
    tried = subject(4, 3, members=members)
    strength = None if entry.info.strength is None else EPS[entry.info.norm]
    if "Repeated" in name:
        strength = 20.0  # smaller noise fools nobody, and then nothing is kept
    surrogate = None if entry.info.uses == "nothing" else tried.surrogate
    (found,) = craft(
        entry, surrogate, tried.images, tried.labels, [strength],
        params=check_params(entry, params), chunk=64, seed_key=(key,), targets=targets,
    )  # fmt: skip
    return found


def by_hand(name: str, members: int, network: nn.Module | None = None, **params: Any) -> Tensor:
    """Run foolbox as its pages say."""
    tried = subject(4, 3, members=members)
    torch.manual_seed(derive_seed("k", "chunk", 0))
    model = foolbox.PyTorchModel(network or tried.surrogate, bounds=(0, 1), device="cpu")
    attack = getattr(foolbox.attacks, name)(**params)
    _, clipped, _ = attack(model, tried.images, tried.labels, epsilons=EPS[ROWS[name].budget.norm])
    assert isinstance(clipped, Tensor)
    return clipped


def test_every_name_of_the_library_loads_or_is_refused_with_its_reason() -> None:
    names = FAMILY.names()
    assert set(names) == {*ROWS, *REFUSED}
    assert "PGD" not in names  # an alias
    for name in names:
        if name in REFUSED:
            with pytest.raises(InputError, match=f"'foolbox.{name}' cannot be used: {REFUSED[name]}"):
                FAMILY.load(name)
        elif ROWS[name].needs and importlib.util.find_spec(ROWS[name].needs) is None:
            with pytest.raises(InputError, match=f"needs the package {ROWS[name].needs}, which is not installed"):
                FAMILY.load(name)
        else:
            call, plugin, version = FAMILY.load(name)
            assert plugin.name == f"foolbox.{name}"
            assert version.startswith("foolbox 3.")
            assert call.__doc__
    with pytest.raises(InputError, match="Did you mean 'L2DeepFoolAttack'"):
        FAMILY.load("L2DeepFool")


@pytest.mark.parametrize("name", [name for name in ROWS if not ROWS[name].needs])
def test_the_norm_is_the_one_that_the_library_measures(name: str) -> None:
    budget = ROWS[name].budget
    if name == "SpatialAttack":
        assert budget.length is None
        return
    kind = getattr(foolbox.attacks, name)
    if ROWS[name].norms:
        return
    distance = kind(**ROWS[name].defaults).distance
    assert {"linf": "Linf", "l2": "L2", "l1": "L1", None: "L0"}[budget.length] == str(distance).split()[0].capitalize()


@pytest.mark.parametrize("name", CHEAP)
def test_it_keeps_box_budget_surrogate_and_seed(name: str) -> None:
    entry = CATALOGUE.get("attacks", f"foolbox.{name}")
    found = run(name, 2, **CHEAP[name])
    assert found.box_violation <= 1e-6 and found.budget_violation <= 1e-6
    assert torch.equal(found.images, run(name, 2, **CHEAP[name]).images)
    assert torch.equal(found.images, run(name, 2, key="other", **CHEAP[name]).images) != entry.info.stochastic


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name, params", [
    ("L2FastGradientAttack", {}), ("LinfProjectedGradientDescentAttack", {"steps": 5}),
    ("L2CarliniWagnerAttack", CHEAP["L2CarliniWagnerAttack"]),
    ("L2DeepFoolAttack", {}), ("L1FastGradientAttack", {}), ("L2AdditiveGaussianNoiseAttack", {}),
    ("LinfMomentumIterativeFastGradientMethod", {"steps": 3, "momentum": 0.5}), ("DDNAttack", {"steps": 10}),
])  # fmt: skip
def test_it_is_the_library_called_by_hand(name: str, params: dict[str, Any], members: int) -> None:
    assert torch.allclose(run(name, members, **params).images, by_hand(name, members, **params), atol=2e-6)


@pytest.mark.parametrize("eps", [4 / 255, 0.1])
def test_the_fast_gradient_is_the_native_one(eps: float) -> None:
    tried = subject(2, 3)
    network = tried.surrogate.members[0]
    native = made("fgsm", network, tried.images, tried.labels, eps)
    foreign = made("foolbox.LinfFastGradientAttack", network, tried.images, tried.labels, eps)
    assert torch.equal(native.images, foreign.images) and foreign.budget_reached


def test_a_confident_network_does_not_stop_a_gradient_attack() -> None:
    images, labels = grey()
    towards = torch.where(labels == 0, -1.0, 1.0).view(-1, 1, 1, 1)
    network = Linear(scale=12.0).requires_grad_(False)
    images = (images + 0.3 * towards * network.weights.detach().sign().view(3, 32, 32)).clamp(0, 1)
    model = foolbox.PyTorchModel(network.eval(), bounds=(0, 1), device="cpu")
    stuck = foolbox.attacks.LinfBasicIterativeAttack()(model, images, labels, epsilons=0.1)[1]
    assert torch.equal(stuck, images)
    found = made("foolbox.LinfBasicIterativeAttack", network, images, labels, 0.1)
    assert float(norm_of("linf", found.images, images).min()) == pytest.approx(0.1, abs=1e-6)


def test_the_smallest_perturbation_is_found_once_and_clipped_to_each_strength() -> None:
    entry = CATALOGUE.get("attacks", "foolbox.L2CarliniWagnerAttack")
    tried = subject(4, 3)
    params = CHEAP["L2CarliniWagnerAttack"]
    small, large, nothing = craft(
        entry, tried.surrogate, tried.images, tried.labels, [0.05, 1.0, 0.0], params=params, chunk=64, seed_key=("k",)
    )
    assert small.forwards > 0 and (large.forwards, nothing.forwards) == (0, 0)
    assert float(norm_of("l2", small.images, tried.images).max()) == pytest.approx(0.05, abs=1e-5)
    assert torch.equal(nothing.images, tried.images)
    attack = foolbox.attacks.L2CarliniWagnerAttack(**params)
    _, theirs, _ = attack(
        foolbox.PyTorchModel(tried.surrogate, (0, 1), "cpu"), tried.images, tried.labels, epsilons=[0.05, 1.0]
    )
    assert torch.allclose(small.images, theirs[0], atol=1e-6) and torch.allclose(large.images, theirs[1], atol=1e-6)


def test_norm_chooses_the_distance_where_foolbox_lets_choose_it() -> None:
    entry = CATALOGUE.get("attacks", "foolbox.InversionAttack")
    assert all_params(entry, {}) == {"norm": "l2"}
    images, labels = grey()
    images = images + 0.2
    (found,) = craft(entry, None, images, labels, [0.1], params={"norm": "linf"}, chunk=64, seed_key=("k",))
    assert torch.allclose(found.images, torch.full_like(images, 0.6), atol=1e-6)  # 0.7 moves towards 0.3, by 0.1


class Stubborn(nn.Module):
    """Says class 0 to every image but those whose mean is below .45, so that noise, of mean .5, never fools it."""

    def forward(self, images: Tensor) -> Tensor:
        score = (images.flatten(1).mean(1) - 0.45) * 100
        return torch.stack([score, -score], 1)


def test_an_image_without_a_starting_point_stays_as_it_is() -> None:
    images, labels = grey(4)
    images[2:] = 0.2
    labels = torch.tensor([0, 0, 1, 1])
    found = made("foolbox.BoundaryAttack", Stubborn(), images, labels, 5.0, steps=5)
    assert torch.equal(found.images[:2], images[:2])
    assert float(norm_of("l2", found.images[2:], images[2:]).min()) > 1


def test_targets_are_aimed_at_or_missed_in_words() -> None:
    targets = (subject(4, 3).labels + 1) % 4
    found = run("LinfBasicIterativeAttack", targets=targets)
    assert (subject(4, 3).surrogate(found.images).argmax(1) == targets).all()
    with pytest.raises(InputError, match=r"'foolbox\.GenAttack' aims at target classes: set targeted = true"):
        run("GenAttack", steps=2)
    assert not torch.equal(run("GenAttack", targets=targets, steps=2).images, subject(4, 3).images)


@pytest.mark.parametrize("name, params, sentence", [
    ("L2DeepFoolAttack", {"step": 3}, "unknown parameter 'step'. Did you mean 'steps'?"),
    ("L2DeepFoolAttack", {"steps": 0}, "parameter 'steps': input should be greater than or equal to 1, got 0"),
    ("L2DeepFoolAttack", {"loss": "mse"}, "parameter 'loss': input should be 'logits' or 'crossentropy'"),
    ("LinfBasicIterativeAttack", {"random_start": 1}, "parameter 'random_start': input should be a valid boolean"),
    ("BoundaryAttack", {"init_attack": "x"}, "unknown parameter 'init_attack'"),
    ("GaussianBlurAttack", {"norm": "l1"}, "parameter 'norm': input should be 'linf' or 'l2'"),
])  # fmt: skip
def test_parameters_are_the_constructors(name: str, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        check_params(CATALOGUE.get("attacks", f"foolbox.{name}"), params)
    assert sentence in str(raised.value)


def test_defaults_are_the_librarys_own() -> None:
    assert all_params(CATALOGUE.get("attacks", "foolbox.LinfProjectedGradientDescentAttack"), {}) == {
        "abs_stepsize": None, "random_start": True, "rel_stepsize": 0.01 / 0.3, "steps": 40,
    }  # fmt: skip


def test_a_missing_library_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "foolbox"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(InputError) as raised:
        Catalogue().get("attacks", "foolbox.L2DeepFoolAttack")
    assert str(raised.value) == (
        "attack 'foolbox.L2DeepFoolAttack': foolbox is not installed; "
        'install the extra: pip install "dumb-bench[foolbox]"'
    )
    with pytest.raises(InputError, match=r"attacks foolbox.\*: foolbox is not installed"):
        FAMILY.names()
