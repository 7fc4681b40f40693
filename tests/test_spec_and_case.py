from __future__ import annotations

import dataclasses
from itertools import product

import pytest

from dumb_bench.case import CASES, case_of
from dumb_bench.relation import relate
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import (
    AttackSpec,
    ImagesSpec,
    ModelSpec,
    Plugin,
    SetSpec,
    SurrogateSpec,
    digest,
    id_of_attack,
    id_of_test,
)


def model(
    source: str = "a", architecture: str = "x", balance: str = "50/50", seed: int = 0, **more: object
) -> ModelSpec:
    return ModelSpec("digits", Plugin(source), Plugin(architecture), balance, Plugin("small"), seed, **more)  # type: ignore[arg-type]


def test_the_eight_cases_are_numbered_as_in_the_paper() -> None:
    named = [
        case_of(source_differs=source, architecture_differs=architecture, balance_differs=balance)
        for source, architecture, balance in product([False, True], repeat=3)
    ]
    assert tuple(named) == CASES


def test_a_new_field_with_a_default_changes_no_digest() -> None:
    longer = dataclasses.make_dataclass("ModelSpec", [("added", int, 7)], bases=(ModelSpec,), frozen=True)
    values = {field.name: getattr(model(), field.name) for field in dataclasses.fields(ModelSpec)}
    assert digest(longer(**values)) == digest(model())
    assert digest(longer(**values, added=8)) != digest(model())


@pytest.mark.parametrize("other", [
    model(source="b"), model(architecture="y"), model(balance="20/80"), model(seed=1),
    model(balance_mode="fixed_total"),
    model(defence=Plugin("jpeg")), model(posterior=Plugin("swag")), model(subset="half_a"), model(samples=2),
    ModelSpec("other", Plugin("a"), Plugin("x"), "50/50", Plugin("small"), 0),
    ModelSpec("digits", Plugin("a", fingerprint="2"), Plugin("x"), "50/50", Plugin("small"), 0),
    ModelSpec("digits", Plugin("a"), Plugin("x", (("width", 3),)), "50/50", Plugin("small"), 0),
])  # fmt: skip
def test_every_field_is_part_of_a_models_identity(other: ModelSpec) -> None:
    assert other.id != model().id


def test_a_models_seed_knows_neither_posterior_nor_samples_nor_defence() -> None:
    changed = model(posterior=Plugin("csgld"), samples=15, defence=Plugin("pgd_at"))
    assert changed.training_key == model().training_key


def test_a_surrogate_of_one_model_has_its_models_id() -> None:
    assert SurrogateSpec((model(),)).id == model().id
    assert SurrogateSpec((model(),), aggregation="cycle").id != model().id
    assert SurrogateSpec((model(), model(seed=1))).id not in {model().id, model(seed=1).id}


def test_a_set_knows_neither_strength_nor_victim_and_an_attack_row_no_victim() -> None:
    spec = SetSpec(SurrogateSpec((model(),)), AttackSpec(Plugin("fgsm")), ImagesSpec("digits", Plugin("a"), 10))
    assert "strength" not in {field.name for field in dataclasses.fields(spec)}
    swapped = dataclasses.replace(spec, control="delta_swap")
    assert swapped.id != spec.id and swapped.base == spec and swapped.attack_name == "delta_swap"
    first = id_of_attack(spec.id, 0.1, "uint8")
    assert (
        len(
            {
                first,
                id_of_attack(spec.id, 0.2, "uint8"),
                id_of_attack(spec.id, 0.1, "float32"),
                id_of_attack(spec.id, None, "uint8"),
            }
        )
        == 4
    )
    assert len({id_of_test(first, "v"), id_of_test(first, "w"), id_of_test(first, "v", "s")}) == 3


def test_seeds_depend_on_the_parts_and_on_where_one_ends() -> None:
    assert derive_seed("a", "b") == derive_seed("a", "b")
    assert len({derive_seed("a", "b"), derive_seed("ab"), derive_seed("a", "b", 0), derive_seed("a", "b", "0")}) == 4
    assert 0 <= derive_seed("x") < 2**63


def test_the_case_of_a_pair_follows_its_three_axes() -> None:
    for source, architecture, balance in product("ab", "xy", ["50/50", "20/80"]):
        found = relate([model().columns], model(source, architecture, balance, seed=1).columns)
        expected = case_of(
            source_differs=source == "b", architecture_differs=architecture == "y", balance_differs=balance == "20/80"
        )
        assert found.case == expected
        assert not found.white_box and found.shared_weights == 0


def test_white_box_is_the_very_same_model_and_an_ensemble_shares_a_part_of_its_weights() -> None:
    same = relate([model().columns], model().columns)
    assert (same.case, same.white_box, same.shared_weights, same.same_lineage, same.same_init) == (
        "C1",
        True,
        1.0,
        True,
        True,
    )
    ensemble = relate([model().columns, model(architecture="y", seed=3).columns], model().columns)
    assert (ensemble.case, ensemble.white_box, ensemble.shared_weights) == ("C1", False, 0.5)
    neither = relate([model(architecture="z").columns, model(architecture="y").columns], model().columns)
    assert neither.case == "C3"


def test_parameters_keep_two_models_of_one_architecture_apart() -> None:
    wide = ModelSpec("digits", Plugin("a"), Plugin("x", (("width", 3),)), "50/50", Plugin("small"), 0)
    assert wide.columns["architecture"] == "x(width=3)"
    assert relate([model().columns], wide.columns).case == "C3"
