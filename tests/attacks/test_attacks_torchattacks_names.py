"""The names and parameters of the family torchattacks, and what it says of those that cannot be used."""

from __future__ import annotations

import inspect
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
import torchattacks

from dumb_bench.attacks import torchattacks as leaf
from dumb_bench.attacks.torchattacks import FAMILY, FILLED_IN
from dumb_bench.attacks.torchattacks_table import REFUSED, ROWS, TYPES
from dumb_bench.catalogue import Catalogue, check_params, parameters
from dumb_bench.errors import InputError

CATALOGUE = Catalogue()


@pytest.mark.parametrize("name, params, sentence", [
    ("BIM", {"stepps": 3}, "unknown parameter 'stepps'. Did you mean 'steps'? Available: alpha, steps."),
    ("Square", {"seed": 3}, "unknown parameter 'seed'"),
    ("AutoAttack", {"verbose": True}, "unknown parameter 'verbose'"),
    ("BIM", {"alpha": 0.0}, "parameter 'alpha': input should be greater than 0"),
    ("PIFGSM", {"momentum": 0.9}, "parameter 'momentum': unused: the attack never reads it"),
    ("PIFGSMPP", {"prob": 0.5}, "parameter 'prob': unused"),
    ("EADL1", {"kappa": 1.0}, "parameter 'kappa': refused: in a batch torchattacks adds it to the classes"),
    ("FAB", {"norm": "l1"}, "parameter 'norm': the L1 norm crashes"),
    ("FAB", {"norm": "L1"}, "parameter 'norm': the L1 norm crashes"),
    ("APGD", {"norm": "Linf"}, "parameter 'norm': input should be 'linf' or 'l2'"),
    ("UPGD", {"loss": "margin"}, "parameter 'loss': 'margin' crashes on a GPU"),
    ("TIFGSM", {"len_kernel": 4}, "parameter 'len_kernel': expected an odd number"),
    ("Pixle", {"x_dimensions": (0, 2)}, "parameter 'x_dimensions': expected a least and a largest length"),
])  # fmt: skip
def test_a_wrong_parameter_is_an_error_that_says_why(name: str, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        check_params(CATALOGUE.get("attacks", f"torchattacks.{name}"), params)
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(f"attack 'torchattacks.{name}': ")


@pytest.mark.parametrize("name, sentence", [
    ("LGV", "attack 'torchattacks.LGV' cannot be used: it trains the surrogate further"),
    ("MultiAttack", "attack 'torchattacks.MultiAttack' cannot be used: it runs a list of attack objects"),
    ("PDG", "unknown torchattacks attack 'PDG'. Did you mean 'PGD'?"),
])  # fmt: skip
def test_a_name_that_is_no_attack_is_an_error_that_says_why(name: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        CATALOGUE.get("attacks", f"torchattacks.{name}")
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_every_name_and_every_parameter_of_the_library_is_accounted_for() -> None:
    assert FAMILY.names() == tuple(sorted(torchattacks.__all__))
    assert FAMILY.refused() == REFUSED
    for name, row in ROWS.items():
        wanted = set(inspect.signature(getattr(torchattacks, name).__init__).parameters) - FILLED_IN
        settable = set(parameters(CATALOGUE.get("attacks", f"torchattacks.{name}")))
        assert settable == wanted - {row.strength}
        assert settable <= {*TYPES, *row.types, *row.refused, "alpha"}
        assert set(row.refused) <= wanted


def test_an_entry_is_named_after_its_library_and_version() -> None:
    entry = CATALOGUE.get("attacks", "torchattacks.PGD")
    assert entry.plugin.name == "torchattacks.PGD"
    assert entry.fingerprint == f"torchattacks {leaf.version('torchattacks')}/1"
    assert entry.info.library == "torchattacks" and entry.summary == "PGD (Madry et al., ICLR 2018)."
    assert CATALOGUE.resolve("attacks", "torchattacks.PGD", {"steps": 10, "random_start": False}).params == (
        ("random_start", False),
    )


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(leaf, "version", missing)
    for call in (FAMILY.names, lambda: FAMILY.load("PGD")):
        with pytest.raises(InputError, match="pip install torchattacks"):
            call()
