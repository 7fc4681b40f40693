"""`import bnn`: surrogates, attacks, light and full, T-DEE from a curve that was planted."""

import json

import numpy as np
import pandas as pd
import pytest
from published_excerpt import CURVE, N_ADV, RIGHT, bnn_rows, result, write_bnn

import dumb_bench
from dumb_bench.published.bnn import read_bnn
from dumb_bench.published.folder import write_folder
from dumb_bench.report.equivalents import equivalents
from dumb_bench.report.posteriors import observations


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bnn")
    write_bnn(folder / "files")
    write_folder(read_bnn(folder / "files"), str(folder / "results"))
    return folder, dumb_bench.load(folder / "results")


def one(results, **given):
    """The rows of `tests` with these columns."""
    tests = results.tests
    for name, value in given.items():
        tests = tests[tests[name] == value]
    return tests


CHAIN = {"surrogate_posterior": "csgld(cycle_epochs=50, momentum=0.0, reference=true)", "surrogate_samples": 15}


def test_light_is_cycle_and_full_is_mean_logits(imported):
    _, results = imported
    near = {"attack": "bim", "norm": "linf", "victim_architecture": "preresnet", "surrogate_modifier": "none"}
    chain = one(results, **CHAIN, **near).set_index("surrogate_aggregation")["n_success"]
    assert chain.to_dict() == {"cycle": 832, "mean_logits": 880}
    ensembles = one(results, surrogate_posterior="deep_ensemble(members=15)", **near)
    assert {(row.surrogate_samples, row.surrogate_aggregation): row.n_success for row in ensembles.itertuples()} == {
        **{(size, "cycle"): success for size, success in {**CURVE, 3: 840}.items() if size > 1},
        **{(size, "mean_logits"): success + 10 for size, success in CURVE.items() if size > 1},
    }


def test_second_runs_are_kept_apart_and_rows_of_two_files_are_not(imported):
    folder, results = imported
    single = one(results, surrogate_posterior="point", attack="bim", norm="linf", surrogate_modifier="none")
    assert {row.attack_seed: row.n_success for row in single.itertuples()} == {0: 700, 1: 710}
    assert single["attack_id"].nunique() == 2
    found = read_bnn(folder / "files")
    assert len(found.rows["tests"]) == len(bnn_rows()) + 1
    assert "1 rows stand in two files, equal but for the time; taken once" in found.said
    assert "1 rows are second runs of the same experiment, kept apart by attack_seed" in found.said


def test_attacks_and_their_parameters(imported):
    _, results = imported
    named = {(row.attack, row.norm): row.n_success for row in one(results, surrogate_posterior="point").itertuples()
             if row.attack != "bim"}  # fmt: skip
    assert named == {
        ("mifgsm", "l2"): 500, ("pgd", "l2"): 550, ("fgsm", "linf"): 300, ("difgsm", "linf"): 610,
        ("tifgsm", "linf"): 630,
    }  # fmt: skip
    (ghost,) = one(results, surrogate_modifier="ghost")["n_success"]
    assert ghost == 620
    params = json.loads(one(results, attack="pgd")["attack_params"].iloc[0])
    assert (params["restarts"], params["steps"], params["relative_step"]) == (5, 50, 0.1)
    assert set(one(results, norm="l2")["strength"]) == {0.5}


def test_counts_and_cases(imported):
    _, results = imported
    tests = results.tests
    assert set(tests["n_images"]) == set(tests["n_victim_correct"]) == {N_ADV}
    assert set(tests["n_victim_correct_raw"]) == {RIGHT}
    assert (tests["asr"] == tests["n_success"] / N_ADV).all()
    assert tests.groupby("victim_architecture")["case"].unique().map(list).to_dict() == {
        "preresnet": ["C1"], "vgg_cifar": ["C3"],
    }  # fmt: skip
    assert not tests["white_box"].any()
    assert set(tests["shared_weights"]) == {0.0}
    assert set(results.attacks["n_surrogate_fooled"]) == {970}
    models = results.models.set_index(["posterior", "samples"])["epochs"].dropna()
    assert models[CHAIN["surrogate_posterior"], 15] == 250
    assert models["deep_ensemble(members=15)", 5] == 1250


def test_tdee_is_read_from_the_curve(imported):
    _, results = imported
    rows = equivalents(observations(results))
    own = rows[(rows["posterior"] == CHAIN["surrogate_posterior"]) & (rows["label"].str.startswith("bim"))]
    own = own[own["label"].str.contains("linf") & (own["relation"] == "same architecture, same source")]
    found = own.set_index("aggregation")["tdee"]
    assert found["cycle"] == pytest.approx(2.8)  # .832 between .80 (2 networks) and .84 (3)
    assert found["mean_logits"] == pytest.approx(7.5)  # .88 between .87 (5) and .91 (15)


def test_what_is_printed(imported, command):
    folder, _ = imported
    ended = command("import", "bnn", folder / "files", "--results", folder / "again")
    assert ended.code == 0, ended.err
    lines = [line.strip() for line in ended.out.splitlines()]
    assert (
        "bim linf 0.01568, light (cycle): csgld 15: 0.8320, deep_ensemble 2: 0.8000, deep_ensemble 3: 0.8400, "
        "deep_ensemble 5: 0.8600, deep_ensemble 15: 0.9000" in lines
    )
    assert "bim linf 0.01568, one network: point 1: 0.7000 / 0.7100, point + ghost 1: 0.6200" in lines
    assert any("light (cycle): csgld 15 0.8320 = 2.8 of sizes 1, 2, 3, 5, 15" in line for line in lines)
    assert ended.err == ""


def test_the_page_shows_the_posterior_section(imported, command, tmp_path):
    folder, _ = imported
    ended = command("report", folder / "results", "--out", tmp_path)
    assert ended.code == 0, ended.err
    page = (tmp_path / "index.html").read_text()
    assert "Deep-ensemble equivalent (T-DEE)" in page
    assert "preresnet: 70 of 1,000" in page
    assert "Papadakis" in page
    frame = pd.read_csv(tmp_path / "tables/tdee.csv")
    assert np.isclose(frame["tdee"], 2.8).any()


def test_other_layouts_of_the_files(tmp_path):
    place = tmp_path / "X_adv/ImageNet/resnet50"
    place.mkdir(parents=True)
    some = {"surrogate_type": "SomethingNew", "surrogate_size_ensembles": 9, "n_ensemble": 3}
    few = [{key: value for key, value in result(600, **some, surrogate_archs="resnet50").items()
            if key not in ("limit_cycles", "ghost", "time", "surrogate_acc_adv_ex")}]  # fmt: skip
    pd.DataFrame(few).to_csv(place / "results_hold_out.csv")
    (place / "results_other.csv").write_text("a,b\n1,2\n")
    found = read_bnn(tmp_path)
    (row,) = found.rows["tests"]
    assert (row["surrogate_posterior"], row["surrogate_aggregation"], row["task"]) == (
        "somethingnew", "cycle", "imagenet",
    )  # fmt: skip
    assert json.loads(row["attack_params"])["samples_averaged"] == 3
    assert sum(line.startswith("missing: X_adv/ImageNet/resnet50/results_") for line in found.missing) == 2
    assert [line for line in found.missing if "not imported" in line] == [
        "not imported: X_adv/ImageNet/resnet50/results_other.csv, line 1: lacks the column 'model_target', "
        "'arch_target', 'surrogate_type', 'surrogate_archs', 'surrogate_size_ensembles', 'norm_type', 'norm_max', "
        "'norm_step', 'n_iter', 'n_ensemble', 'adv_fail_rate', 'adv_sucess_rate', 'nb_adv'"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"adv_sucess_rate": 0.8301234}, "adv_fail_rate and adv_sucess_rate: expected a sum of 1"),
        ({"adv_sucess_rate": 0.83005, "adv_fail_rate": 0.16995}, "expected a whole number of nb_adv = 1000 images"),
        ({"n_ensemble": 2}, "n_ensemble: expected at most surrogate_size_ensembles = 1, got 2"),
        ({"norm_max": "1e400"}, "norm_max: input should be a finite number, got '1e400'"),
        ({"nb_adv": "9" * 30}, "nb_adv: input should be less than or equal to 1000000"),
        ({"norm_type": "1"}, "norm_type: input should be '2' or 'inf', got '1'"),
        ({"arch_target": "<script>alert(1)</script>"}, "arch_target: string should match pattern"),
        ({"model_target": "=HYPERLINK(1)"}, "model_target: string should match pattern"),
        ({"ghost": "maybe"}, "ghost: input should be a valid boolean"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path, command, given, said):
    write_bnn(tmp_path / "files", [result(500), result(830) | given])
    ended = command("import", "bnn", tmp_path / "files", "--results", tmp_path / "results")
    assert ended.code == 2
    assert said in ended.err
    assert "results_same_arch.csv, line 3:" in ended.err
    assert len(ended.err.splitlines()) == 1
