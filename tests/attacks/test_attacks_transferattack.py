"""The family transferattack, on a small package with the interface of the real one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_model import Linear, grey
from stand_in_transferattack import PACKAGE
from torch import Tensor

from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.transferattack import FAMILY, REFUSED, ROWS, OnDevice
from dumb_bench.catalogue import Catalogue, all_params, check_params
from dumb_bench.conformance.network import subject
from dumb_bench.errors import InputError
from dumb_bench.perturbation import norm_of
from dumb_bench.surrogate import LockedSurrogate


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the package where PYTHONPATH would find it, and take it away."""
    folder = tmp_path / "transferattack"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text.lstrip("\n"))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    for module in [name for name in sys.modules if name.partition(".")[0] == "transferattack"]:
        del sys.modules[module]


def run(name: str, eps: float = 0.03, *, members: int = 1, targets: Tensor | None = None, **params: Any) -> Crafted:
    entry = Catalogue().get("attacks", f"transferattack.{name}")
    tried = subject(4, 3, members=members)
    (found,) = craft(
        entry, tried.surrogate, tried.images, tried.labels, [eps],
        params=check_params(entry, params), chunk=64, seed_key=("k",), targets=targets,
    )  # fmt: skip
    return found


def test_every_name_loads_or_is_refused_with_its_reason(zoo: Path) -> None:
    names = FAMILY.names()
    assert {"mifgsm", "su", "brandnew"} <= set(names)
    assert not set(ROWS) & set(REFUSED)
    reasons = FAMILY.refused()
    for name in set(names) - set(reasons) - {"gra", "mumodig"}:
        call, plugin, version = FAMILY.load(name)
        assert plugin.name == f"transferattack.{name}"
        assert version.startswith("TransferAttack ") and len(version) == len("TransferAttack ") + 16
        assert call.__doc__
    assert FAMILY.load("fgsm")[0].__doc__ == (
        "FGSM Attack: 'Explaining and Harnessing Adversarial Examples (ICLR 2015)'(https://arxiv.org/abs/1412.6572)"
    )
    assert FAMILY.load("fgsm")[1].info.paper == "arXiv:1412.6572"


@pytest.mark.parametrize("name, sentence", [
    ("su", "'transferattack.su' cannot be used: it reads or changes named layers"),
    ("brandnew", "'transferattack.brandnew' cannot be used: new in the installed TransferAttack"),
    ("gra", "'transferattack.gra' needs the package a_package_that_nobody_has, which is not installed"),
    ("mumodig", "'transferattack.mumodig' needs the package kornia, which is not installed"),
    ("mi_fgsm", "unknown transferattack attack 'mi_fgsm'. Did you mean 'mifgsm'?"),
])  # fmt: skip
def test_what_cannot_be_loaded_says_why(zoo: Path, name: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(InputError) as raised:
        FAMILY.load(name)
    assert sentence in str(raised.value)


def test_the_version_is_that_of_the_text(zoo: Path) -> None:
    from dumb_bench.attacks.transferattack import _digest

    before = FAMILY.load("fgsm")[2]
    (zoo / "methods.py").write_text((zoo / "methods.py").read_text() + "\n# changed\n")
    _digest.cache_clear()
    assert FAMILY.load("fgsm")[2] != before


@pytest.mark.parametrize("eps", [0.05, 0.3])
@pytest.mark.parametrize("params", [{}, {"epoch": 3}, {"norm": "l2"}, {"norm": "l2", "epoch": 20}])
def test_the_step_follows_eps_so_that_the_optimum_of_a_linear_network_is_reached(
    zoo: Path, eps: float, params: dict[str, Any]
) -> None:
    entry = Catalogue().get("attacks", "transferattack.mifgsm")
    images, labels = grey()
    network = Linear()
    surrogate = LockedSurrogate([network], 2)
    (found,) = craft(entry, surrogate, images, labels, [eps], params=params, chunk=64, seed_key=("k",))
    expected = network.optimum(images, labels, params.get("norm", "linf"), eps)
    assert torch.allclose(found.images, expected, atol=2e-6)
    assert found.budget_violation <= 1e-6 and found.box_violation == 0


def test_it_takes_the_surrogate_as_it_is_and_leaves_it_so(zoo: Path) -> None:
    single, pair = run("mifgsm"), run("mifgsm", members=2)
    assert not torch.equal(single.images, pair.images)
    assert (single.forwards, single.backwards) == (60, 60)
    assert torch.equal(single.images, run("mifgsm").images)
    assert torch.equal(run("vmifgsm").images, run("vmifgsm").images)


def test_an_attack_on_an_ensemble_gets_its_members(zoo: Path) -> None:
    tried = subject(4, 3, members=3)
    found = run("svre", 0.04, members=3)
    assert torch.allclose(found.images, (tried.images + 0.03).clamp(0, 1), atol=1e-6)
    mean = run("mifgsm", members=2).images
    assert float((run("ens", members=2).images - mean).abs().gt(1e-6).float().mean()) < 0.001


def test_targets_come_with_the_labels_or_are_missed_in_words(zoo: Path) -> None:
    tried = subject(4, 3)
    targets = (tried.labels + 1) % 4
    assert (tried.surrogate(run("mifgsm", targets=targets).images).argmax(1) == targets).all()
    with pytest.raises(InputError, match=r"'transferattack\.ftm' aims at target classes: set targeted = true"):
        run("ftm")


def test_a_confident_network_does_not_stop_an_attack(zoo: Path) -> None:
    images, labels = grey()
    towards = torch.where(labels == 0, -1.0, 1.0).view(-1, 1, 1, 1)
    network = Linear(scale=4.0)  # a margin of 118: the other class has a probability of e-118, which float32 lacks
    images = (images + 0.3 * towards * network.weights.detach().sign().view(3, 32, 32)).clamp(0, 1)
    entry = Catalogue().get("attacks", "transferattack.mifgsm")
    surrogate = LockedSurrogate([network], 2)
    (found,) = craft(entry, surrogate, images, labels, [0.1], params={}, chunk=64, seed_key=("k",))
    assert float(norm_of("linf", found.images, images).min()) == pytest.approx(0.1, abs=1e-6)


def test_an_image_without_a_gradient_stays_and_its_mates_move(zoo: Path) -> None:
    images, labels = grey(2)
    images[0] = 0.0

    class Dead(Linear):
        """Looks only at images that are not black."""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images * (images.detach().flatten(1).amax(1) > 0.2)[:, None, None, None])

    entry = Catalogue().get("attacks", "transferattack.mifgsm")
    surrogate = LockedSurrogate([Dead()], 2)
    (found,) = craft(entry, surrogate, images, labels, [0.1], params={"norm": "l2"}, chunk=64, seed_key=("k",))
    assert torch.equal(found.images[0], images[0])
    assert float(norm_of("l2", found.images[1:], images[1:])) == pytest.approx(0.1, abs=1e-5)


def test_sizes_of_the_image_and_hooks_are_looked_after(zoo: Path) -> None:
    tried = subject(4, 3)
    drop = tried.images - run("maskblock", 1.0).images
    assert float(drop.max()) == pytest.approx(8 / 255)  # a quarter of 32 pixels
    assert float((tried.images - run("maskblock", 1.0, patch_size=4).images).max()) == pytest.approx(4 / 255)
    clean = tried.surrogate(tried.images)
    entry = Catalogue().get("attacks", "transferattack.cfm")
    settings: dict[str, Any] = {"params": {}, "chunk": 64, "seed_key": ("k",)}
    (found,) = craft(entry, tried.surrogate, tried.images, tried.labels, [1.0], **settings)
    assert float((tried.images - found.images).max()) == pytest.approx(32 / 255)  # img_height
    assert torch.equal(tried.surrogate(tried.images), clean)  # the hook that zeroes features is gone
    assert sys.modules["transferattack.utils"].img_height == 224


def test_an_attack_that_is_written_for_one_size_says_so(zoo: Path) -> None:
    with pytest.raises(InputError, match=r"'transferattack\.potrip' is written for 224 x 224 pixels only, got 32 x 32"):
        run("potrip", targets=torch.zeros(6, dtype=torch.int64))


@pytest.mark.parametrize("name, params, sentence", [
    ("mifgsm", {"epsilon": 0.1}, "unknown parameter 'epsilon'"),
    ("mifgsm", {"epochs": 3}, "unknown parameter 'epochs'. Did you mean 'epoch'?"),
    ("mifgsm", {"epoch": 0}, "parameter 'epoch': input should be greater than or equal to 1, got 0"),
    ("mifgsm", {"norm": "linfty"}, "parameter 'norm': input should be 'linf' or 'l2'"),
    ("mifgsm", {"alpha": -0.1}, "parameter 'alpha': input should be greater than 0"),
])  # fmt: skip
def test_parameters_are_the_constructors(zoo: Path, name: str, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        check_params(Catalogue().get("attacks", f"transferattack.{name}"), params)
    assert sentence in str(raised.value)


def test_defaults_are_the_packages_own(zoo: Path) -> None:
    entry = Catalogue().get("attacks", "transferattack.mifgsm")
    assert all_params(entry, {}) == {"alpha": None, "decay": 1, "epoch": 10, "norm": "linf", "random_start": False}
    assert check_params(entry, {"decay": 0.5}) == {"decay": 0.5}  # a number, though the package's default is whole


def test_cuda_means_the_surrogates_device() -> None:
    with OnDevice(torch.device("cpu")):
        found = [torch.zeros(2).cuda(), torch.ones(2).to("cuda"), torch.rand(2, device="cuda:0")]
        found += [torch.zeros(2).to(torch.device("cuda")), torch.nn.Linear(1, 1).cuda().weight]
    assert {item.device.type for item in found} == {"cpu"}


@pytest.mark.parametrize("text, sentence", [
    (None, "TransferAttack is not installed, nor is it on a package registry; clone https://github.com/Trustworthy-AI-"),
    ("x = 1\n", "the installed package transferattack is another one, not github.com/Trustworthy-AI-Group/Transfer"),
])  # fmt: skip
def test_a_package_that_is_missing_or_another_one_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, sentence: str
) -> None:
    if text is not None:
        (tmp_path / "transferattack.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(InputError) as raised:
        Catalogue().get("attacks", "transferattack.mifgsm")
    sys.modules.pop("transferattack", None)
    assert str(raised.value).startswith("attack 'transferattack.mifgsm': ")
    assert sentence in str(raised.value)
    assert "put the clone on PYTHONPATH" in str(raised.value)
