"""Every gate, failing and passing."""

import pytest
from synthetic_results import Shape, build

from dumb_bench.report.gates import gates
from dumb_bench.report.load import load

SMALL = {"architectures": ("x",), "balances": ("50/50",), "n_images": 20}


def status(tmp_path, **shape):
    return {gate.name: gate for gate in gates(load(build(tmp_path, Shape(**{**SMALL, **shape}))))}


def test_a_healthy_grid_passes(tmp_path):
    found = status(tmp_path)
    assert {gate.status for gate in found.values()} == {"pass"}
    assert "96." in found["Success on the surrogate itself"].sentence


@pytest.mark.parametrize(
    ("shape", "name", "expected"),
    [
        ({"identity_success": 1}, "Identity: unchanged images", "fail"),
        ({"own_success": 0.7}, "Success on the surrogate itself", "warn"),
        ({"own_success": 0.4}, "Success on the surrogate itself", "fail"),
        ({"attacks": {}}, "Success on the surrogate itself", "not applicable"),
        ({"norms_scale": 1.001}, "Budget of crafted images", "fail"),
        ({"norms_scale": 1.02}, "Budget as delivered", "fail"),
        ({"degenerate": True}, "Models", "fail"),
        ({"failures": 2}, "Failed units", "warn"),
        ({"failures": 2, "attacks": {}, "blur": (), "controls": False}, "Failed units", "fail"),
        ({"controls": False}, "Identity: unchanged images", "not applicable"),
    ],
)
def test_a_gate_notices(tmp_path, shape, name, expected):
    assert status(tmp_path, **shape)[name].status == expected


def test_missing_rows_are_noticed(tmp_path):
    plan = {"counts": {"models": 4, "tests": 10_000}}
    folder = build(tmp_path, Shape(**SMALL), plan=plan)
    found = {gate.name: gate for gate in gates(load(folder))}["Completeness"]
    assert found.status == "warn"
    assert "of 10,000 tests" in found.sentence


def test_the_budget_gate_names_attacks_that_overshoot_or_fall_short(tmp_path):
    results = load(build(tmp_path, Shape(**SMALL)))
    results.attacks.loc[results.attacks["attack"] == "tifgsm", "budget_violation"] = 0.01
    results.attacks["budget_reached"] = [False] * len(results.attacks)
    found = {gate.name: gate for gate in gates(results)}["Budget of crafted images"]
    assert found.status == "warn"
    assert any("tifgsm: its own output left the budget" in detail for detail in found.details)
    assert any("do not reach" in detail for detail in found.details)


def test_an_attack_without_gradients_is_listed_and_not_judged(tmp_path):
    folder = build(tmp_path, Shape(**SMALL, attacks={"pgd": (0.24,), "square": (0.24,)}))

    def judged(without):
        results = load(folder)
        results.attacks.loc[results.attacks["attack"] == "square", "n_surrogate_fooled"] = 10
        results.attacks.loc[results.attacks["attack"].isin(without), "backwards"] = 0
        return {gate.name: gate for gate in gates(results)}["Success on the surrogate itself"]

    weak = judged([])
    assert weak.status == "fail" and "weakest of 2 attacks" in weak.sentence
    listed = judged(["square"])
    assert listed.status == "pass" and "the attack fools" in listed.sentence
    assert [text for text in listed.details if text.startswith("square") and text.endswith("not judged.")]
    assert judged(["square", "pgd"]).status == "not applicable"


def test_defended_surrogates_only_warn(tmp_path):
    results = load(build(tmp_path, Shape(**SMALL, own_success=0.3)))
    results.tests["surrogate_defence"] = "pgd_at"
    assert {gate.name: gate for gate in gates(results)}["Success on the surrogate itself"].status == "warn"
