"""The checks and the words of the page where results were imported, not made."""

import pytest
from synthetic_results import Shape, build

from dumb_bench.report.gates import gates, own_surrogate
from dumb_bench.report.limits import cannot_tell, provenance
from dumb_bench.report.load import load
from dumb_bench.report.published import as_published

SMALL = Shape(architectures=("x",), balances=("50/50",), n_images=20, controls=False)
PER_IMAGE = ["linf", "l2", "linf_delivered", "l2_delivered"]


def imported(tmp_path, *, norms=False):
    results = load(build(tmp_path, SMALL))
    results.tests["numerics"] = "published"
    results.tests["attack_library"] = "published: somebody"
    if not norms:
        results.attacks[PER_IMAGE] = None
    results.models["own_accuracy"] = None
    return results


def judged(results):
    return {gate.name: gate for gate in as_published(gates(results), results)}


def test_what_was_never_published_is_not_applicable(tmp_path):
    found = judged(imported(tmp_path))
    assert {name: gate.status for name, gate in found.items()} == {
        "Identity: unchanged images": "not applicable", "Success on the surrogate itself": "pass",
        "Budget of crafted images": "not applicable", "Budget as delivered": "not applicable",
        "Models": "not applicable", "Failed units": "not applicable", "Completeness": "pass",
    }  # fmt: skip
    models = load(tmp_path).models[["source", "test_source", "clean_f1"]]
    own = [f1[list(tested).index(source)] for source, tested, f1 in models.itertuples(index=False)]
    assert f"Clean F1 on the own source: {min(own):.3f} to {max(own):.3f}" in found["Models"].sentence


def test_what_was_published_is_judged_as_always(tmp_path):
    results = imported(tmp_path, norms=True)
    results.attacks["n_surrogate_fooled"] = results.attacks["n_surrogate_correct"] // 4
    results.models["degenerate"] = "always answers class 0"
    found = judged(results)
    assert found["Success on the surrogate itself"].status == "fail"
    assert found["Success on the surrogate itself"].sentence.startswith("At the strength used the attack fools")
    assert found["Budget of crafted images"].status == "pass"
    assert found["Models"].status == "fail"


def test_without_own_success_the_sentence_says_so(tmp_path):
    results = imported(tmp_path)
    results.attacks[["n_surrogate_correct", "n_surrogate_fooled"]] = None
    gate = judged(results)["Success on the surrogate itself"]
    assert (gate.status, gate.sentence) == (
        "not applicable", "The study publishes no success on the surrogate itself.",
    )  # fmt: skip


def test_results_of_a_run_are_judged_as_before(tmp_path):
    results = load(build(tmp_path, SMALL))
    assert not results.published
    assert as_published(gates(results), results) == gates(results)


def test_the_page_names_the_origin_and_the_notes_as_the_studys(tmp_path):
    import pandas as pd

    results = imported(tmp_path)
    assert ("origin", "imported, not run here; published: somebody") in provenance(results)
    texts = cannot_tell(results, pd.DataFrame({"role": []}).assign(**{name: [] for name in results.tests}),
                        pd.DataFrame({"case": [], "reason": []}))  # fmt: skip
    assert texts[-1].startswith("Published study: The strength 0.24")


@pytest.mark.parametrize(("weak", "expected"), [("linf", "fail"), ("l2", "fail"), (None, "pass")])
def test_success_on_the_surrogate_is_judged_in_each_norm(tmp_path, weak, expected):
    """The largest strength is one of each norm: an L2 budget of .5 does not hide a Linf one of .03."""
    results = load(build(tmp_path, Shape(architectures=("x",), balances=("50/50",), n_images=20, controls=False,
                                         attacks={"bim": (0.3,)}, blur=())))  # fmt: skip
    import pandas as pd

    l2 = results.attacks.assign(norm="l2", strength=5.0, attack_id=results.attacks["attack_id"] + "l2")
    both = pd.concat([results.attacks, l2], ignore_index=True)
    both.loc[both["norm"] == weak, "n_surrogate_fooled"] = 1
    gate = own_surrogate(both, results.tests)
    assert gate.status == expected
    assert len(gate.details) == 2
    assert "bim (l2) at 5" in " ".join(gate.details)
