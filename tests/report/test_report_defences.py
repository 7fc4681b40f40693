"""The checks of defences, and the table of accuracies, on tests made by hand."""

import pandas as pd
import pytest
from scipy.stats import t
from synthetic_results import Shape, build

from dumb_bench.report import generate
from dumb_bench.report.defence_gates import catastrophic_overfitting, defence_gates, gradient_masking
from dumb_bench.report.defences import defence_rows
from dumb_bench.report.load import load

IMAGES = 200


def a_test(attack="pgd", fooled=0.5, **columns):
    """One test on a defended victim: by default white box PGD at .1."""
    found = {
        "task": "digits", "victim_id": "v", "victim_defence": "pgd_at(eps=0.1)", "image_source": "optdigits",
        "delivery": "uint8", "norm": "linf", "strength": 0.1, "attack": attack, "white_box": True,
        "shared_weights": 1.0, "defence_known": True, "targeted": False, "surrogate_defence": "pgd_at(eps=0.1)",
        "n_victim_correct": IMAGES, "asr": fooled, "n_success": round(fooled * IMAGES),
    }  # fmt: skip
    found |= columns
    found["attack_id"] = repr(sorted(found.items(), key=str))
    return found


def transferred(fooled, **columns):
    given = {"white_box": False, "shared_weights": 0.0, "defence_known": False, "surrogate_defence": "none"}
    return a_test(fooled=fooled, **{"attack": "mifgsm", **given, **columns})


def masking(*rows):
    return gradient_masking(pd.DataFrame(rows))


def test_the_gates_are_not_applicable_without_data(tmp_path):
    plain = load(build(tmp_path, Shape(architectures=("x",), balances=("50/50",), n_images=20)))
    assert [gate.status for gate in defence_gates(plain)] == ["not applicable"] * 2
    assert masking(a_test()).status == "not applicable"
    assert masking(transferred(0.9)).status == "not applicable"


@pytest.mark.parametrize(
    ("rival", "status"),
    [
        (transferred(0.40), "pass"),
        (transferred(0.55), "pass"),  # within the interval
        (transferred(0.63), "warn"),
        (transferred(0.80), "fail"),
        (a_test("square", 0.80), "fail"),
        (a_test("fgsm", 0.80), "pass"),  # a gradient on the victim itself is no rival
        (a_test("sign_noise", 0.80, white_box=False, shared_weights=0.0, defence_known=False), "fail"),
        (transferred(0.80, attack="delta_swap"), "not applicable"),
        (transferred(0.80, shared_weights=1.0), "fail"),  # the weights without the input defence
        (transferred(0.80, shared_weights=0.5, defence_known=True), "not applicable"),  # an ensemble that holds it
        (transferred(0.80, strength=0.2), "not applicable"),
        (transferred(0.80, victim_id="w"), "not applicable"),
        (transferred(0.80, targeted=True), "not applicable"),
    ],
)
def test_gradient_masking_is_noticed(rival, status):
    found = masking(a_test(), rival)
    expected = "not applicable" if rival["attack"] == "fgsm" else status
    assert found.status == expected
    if found.status in ("warn", "fail"):
        (detail,) = found.details
        assert "pgd_at(eps=0.1)" in detail and f"{rival['asr']:.3f} against 0.500" in detail and "200 images" in detail


def test_the_strongest_white_box_pgd_counts_and_repeated_rows_count_once():
    rival = transferred(0.80)
    assert masking(a_test(), a_test(fooled=0.78, attack_params="eot"), rival).status == "pass"
    assert masking(a_test(), rival, rival) == masking(a_test(), rival)


def test_the_page_shows_the_checks_and_links_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "draw_all", lambda *arguments: [])
    shape = {"architectures": ("x",), "balances": ("50/50",), "n_images": 20}
    for defences, there in ((("none",), False), (("none", "jpeg"), True)):
        folder = build(tmp_path / str(there), Shape(**shape, victim_defences=defences))
        page = generate.generate(folder, tmp_path / f"{there}-page")
        text = page.read_text()
        assert "Gradient masking" in text and "Catastrophic overfitting" in text
        assert ("defences.csv" in text) == (page.parent / "tables" / "defences.csv").exists() == there


def test_undefended_victims_are_not_judged():
    assert masking(a_test(victim_defence="none"), transferred(0.9, victim_defence="none")).status == "not applicable"


@pytest.mark.parametrize(("many", "status"), [(0.25, "pass"), (0.45, "warn"), (0.9, "fail")])
def test_catastrophic_overfitting_is_noticed(many, status):
    for defence in ("fgsm_at", "fgsm_at(eps=0.1)", "fgsm_at+jpeg"):
        rows = [a_test(fooled=many, victim_defence=defence), a_test("fgsm", 0.2, victim_defence=defence)]
        assert catastrophic_overfitting(pd.DataFrame(rows)).status == status
    other = [a_test(fooled=many), a_test("fgsm", 0.2)]
    assert catastrophic_overfitting(pd.DataFrame(other)).status == "not applicable"


class _Results:
    def __init__(self, rows):
        self.tests = pd.DataFrame(rows)
        self.final = self


def scored(defence, seed, right, attacked, **columns):
    cell = {
        f"victim_{key}": "x"
        for key in ("source", "subset", "architecture", "init", "balance", "balance_mode", "posterior", "recipe")
    }
    found = a_test(
        victim_defence=defence, victim_seed=seed, surrogate_seed=seed, surrogate_defence=defence, n_images=100,
        n_victim_correct=right, n_success=right - attacked, victim_samples=1, victim_id=f"{defence}{seed}",
        attack_params="{}", control=False, copied=False, **cell,
    )  # fmt: skip
    return found | columns


def test_differences_are_paired_by_seed():
    rows = [scored("none", seed, 98, attacked) for seed, attacked in enumerate((10, 20, 30))]
    rows += [scored("pgd_at", seed, 95, attacked) for seed, attacked in enumerate((60, 71, 79))]
    rows += [scored("none", 9, 90, 5)]  # has no partner
    found = defence_rows(_Results(rows)).set_index(["victim_defence", "measure"])
    robust = found.loc[("pgd_at", "white box")]
    assert (robust["accuracy"], robust["undefended"], robust["n_pairs"]) == pytest.approx((0.70, 0.20, 3))
    half = t.ppf(0.975, 2) * 0.01 / 3**0.5  # of .50, .51, .49
    assert (robust["difference"], robust["low"], robust["high"]) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    clean = found.loc[("pgd_at", "clean")]
    assert clean["difference"] == pytest.approx(-0.03) and clean["low"] == pytest.approx(-0.03)


def test_transfer_is_from_undefended_models_of_other_seeds():
    known = {"white_box": False, "shared_weights": 0.0, "surrogate_defence": "none"}
    rows = []
    for seed in (0, 1):
        for defence, base in (("none", 50), ("jpeg", 60)):
            for other in (0, 1, 2):
                rows.append(scored(defence, seed, 95, base + other, **known, surrogate_seed=other))
    rows.append(scored("jpeg", 0, 95, 0, **{**known, "surrogate_defence": "jpeg"}, surrogate_seed=2))
    found = defence_rows(_Results(rows)).set_index(["victim_defence", "measure"])
    assert found.loc[("jpeg", "transfer"), "accuracy"] == pytest.approx(((0.61 + 0.62) / 2 + (0.60 + 0.62) / 2) / 2)
    assert found.loc[("jpeg", "transfer"), "difference"] == pytest.approx(0.10)
