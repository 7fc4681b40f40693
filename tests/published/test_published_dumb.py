"""`import dumb`: counts, strengths and relations that were planted come back; what is missing or wrong is named."""

import itertools
import json

import pandas as pd
import pytest
from published_excerpt import NETWORKS, SWEEPS, write_dumb

import dumb_bench
from dumb_bench.case import case_of
from dumb_bench.published.attacks import DUMB

ARCHITECTURES = {"alexnet": "alexnet", "vgg": "vgg11_bn"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The planted numbers, the folder of the files, the results."""
    from dumb_bench.published.dumb import read_dumb
    from dumb_bench.published.folder import write_folder

    folder = tmp_path_factory.mktemp("dumb")
    planted = write_dumb(folder / "files")
    found = read_dumb(folder / "files")
    write_folder(found, str(folder / "results"))
    return planted, folder, dumb_bench.load(folder / "results"), found


def network(row, role):
    source = json.loads(row[f"{role}_params"])["source"]["origin"]
    names = {ours: theirs for theirs, ours in ARCHITECTURES.items()}
    return (source, names[row[f"{role}_architecture"]], row[f"{role}_balance"])


def rows_by_key(results):
    attacks = {known.name: name for name, known in DUMB.items()}
    rows = results.tests.to_dict("records")
    return {(attacks[row["attack"]], network(row, "surrogate"), network(row, "victim")): row for row in rows}


def test_counts_are_recovered_exactly(study):
    planted, _, results, _ = study
    rows = rows_by_key(results)
    assert rows.keys() == planted.k.keys()
    for (attack, own, victim), k in planted.k.items():
        row, n = rows[attack, own, victim], planted.n[own[0], victim]
        assert (row["n_victim_correct"], row["n_success"]) == (sum(n), sum(k))
        assert (tuple(row["class_victim_correct"]), tuple(row["class_success"])) == (n, k)
        assert row["asr"] == sum(k) / sum(n)


def test_relations_follow_from_the_names(study):
    _, _, results, _ = study
    for (attack, own, victim), row in rows_by_key(results).items():
        differs = [a != b for a, b in zip(own, victim, strict=True)]
        case = case_of(source_differs=differs[0], architecture_differs=differs[1], balance_differs=differs[2])
        assert (row["case"], row["white_box"], row["shared_weights"]) == (case, own == victim, float(own == victim))
        assert row["same_init"] == (own[1] == victim[1])
        assert row["copied"] == DUMB[attack].free
        assert (row["numerics"], row["image_source"]) == ("published", row["surrogate_source"])


def test_strengths_are_those_used_and_those_chosen_again(study):
    planted, _, results, found = study
    rows = rows_by_key(results)
    for (attack, own), best in planted.best.items():
        row = rows[attack, own, own]
        if attack == "InvertColor":
            assert pd.isna(row["strength"])
            assert row["strength_rule"] == "grid"
        else:
            assert (row["strength"], row["strength_rule"]) == (pytest.approx(best * DUMB[attack].factor), "tuned")
    tunings = results.tunings
    assert len(tunings) == 3 * len(NETWORKS)
    assert (tunings["success"] == [max(s for s, fit in zip(_success(row), _allowed(row), strict=True) if fit)
                                   for row in tunings.to_dict("records")]).all()  # fmt: skip
    assert "cat_dog: choosing again gives the published strength in 28 of 32 rows" in found.said
    stale = [line for line in found.said if "left over from another attack" in line]
    assert stale == [
        "cat_dog: left over from another attack, shown without a strength: "
        + "; ".join(f"InvertColor {m} google {b}: 0.3, none allowed" for m in ARCHITECTURES for b in ("20/80", "50/50"))
    ]


def _success(row):
    import numpy as np

    return [float(f"{np.float32(k / row['n_surrogate_correct']):.8g}") for k in row["n_fooled"]]


def _allowed(row):
    return [ssim > row["ssim_above"] for ssim in row["mean_ssim"]]


def test_a_strength_that_the_rule_does_not_give_is_named_and_kept(tmp_path):
    from dumb_bench.published.dumb import read_dumb

    planted = write_dumb(tmp_path, attacks=["BIM"])
    path = tmp_path / "results/attacks/history/catDog/all_eps.csv"
    frame = pd.read_csv(path, index_col=0)
    other = 0.1 if planted.best["BIM", NETWORKS[0]] != 0.1 else 0.2
    frame.loc[0, "best_eps"] = other
    frame.to_csv(path)
    found = read_dumb(tmp_path)
    assert any("in 7 of 8 rows" in line for line in found.said)
    assert any(f"BIM alexnet bing 20/80: {other:g}," in line for line in found.said)
    own = [made for made, _ in found.sets if made.surrogate.columns["balance"] == "20/80"]
    assert own[0].strength == other


def test_printed_means_are_the_plain_means_of_the_files(study, command):
    _, folder, _, _ = study
    ended = command("import", "dumb", folder / "files", "--results", folder / "again")
    assert ended.code == 0, ended.err
    files = sorted((folder / "files/results/attacks/evaluation/catDog").glob("*.csv"))
    frame = pd.concat([pd.read_csv(path) for path in files])
    differs = [frame[f"source_{a}"] != frame[f"target_{b}"]
               for a, b in (("dataset", "dataset"), ("model", "model"), ("balancing", "balancing"))]  # fmt: skip
    frame["case"] = 4 * differs[0] + 2 * differs[1] + differs[2]
    lines = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines() if len(line.split()) == 9}
    for attack in SWEEPS:
        means = frame[frame["attack"] == attack].groupby("case")["asr"].mean()
        assert [float(cell) for cell in lines[DUMB[attack].name]] == pytest.approx(means.tolist(), abs=1e-6)
    assert "256 tests, 32 attacks, 24 tunings, 8 models" in ended.out
    assert "missing: results/attacks/evaluation/catDog/evaluations_PGD.csv" in ended.err


def test_the_same_files_give_the_same_bytes(study):
    _, folder, _, found = study
    from dumb_bench.published.folder import write_folder

    write_folder(found, str(folder / "twice"))
    names = sorted(path.relative_to(folder / "results") for path in (folder / "results").rglob("*") if path.is_file())
    assert len(names) > 8
    assert all((folder / "twice" / name).read_bytes() == (folder / "results" / name).read_bytes() for name in names)


def test_any_subset_of_tasks_and_attacks_with_or_without_an_index(tmp_path):
    from dumb_bench.published.dumb import read_dumb

    write_dumb(tmp_path, attacks=["BoxBlur"], index=False)
    write_dumb(tmp_path, task="bikeMotorbike", attacks=["BIM", "InvertColor"], seed=1)
    (tmp_path / "results/attacks/history/catDog/BoxBlur.csv").unlink()
    found = read_dumb(tmp_path / "results")  # the folder itself
    tests = pd.DataFrame(found.rows["tests"])
    assert tests.groupby(["task", "attack"]).size().to_dict() == {
        ("bike_motorbike", "bim"): 64, ("bike_motorbike", "invert_color"): 64, ("cat_dog", "box_blur"): 64,
    }  # fmt: skip
    assert "missing: attacks/history/catDog/BoxBlur.csv" in found.missing
    assert set(tests.loc[tests["task"] == "cat_dog", "strength"]) <= set(SWEEPS["BoxBlur"])


def test_rates_that_several_counts_explain_stay_without_counts(tmp_path):
    from dumb_bench.published.dumb import read_dumb

    write_dumb(tmp_path, attacks=["BIM"])
    path = tmp_path / "results/attacks/evaluation/catDog/evaluations_BIM.csv"
    frame = pd.read_csv(path, index_col=0)
    one = (frame["target_dataset"] == "google") & (frame["source_dataset"] == "bing") & (frame["target_model"] == "vgg")
    frame.loc[one & (frame["target_balancing"] == "50/50"), ["asr", "asr_0", "asr_1"]] = 0.0
    frame.to_csv(path)
    found = read_dumb(tmp_path)
    bare = [row for row in found.rows["tests"] if row["n_victim_correct"] is None]
    assert len(bare) == 4
    assert all(row["asr"] == 0.0 and row["n_success"] is None for row in bare)
    assert any("vgg google 50/50 on images of bing" in note for note in found.notes)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("asr", 1.5, "line 4: asr: input should be less than or equal to 1"),
        ("asr_0", 0.123456789, "line 4: asr, asr_0, asr_1 are no counts"),
        ("asr_1", "<script>alert(1)</script>", "line 4: asr_1: input should be a valid number"),
        ("source_model", "=cmd|' /C calc'!A0", "line 4: source_model: string should match pattern"),
        ("target_balancing", "30/60", "line 4: target_balancing: expected two percentages that sum to 100"),
        ("attack", "PGD", "line 4: attack: expected 'BIM' as in the file's name"),
        ("target_dataset", "bing", "a second row of alexnet bing 20/80 against"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path, command, column, value, said):
    write_dumb(tmp_path / "files", attacks=["BIM"])
    path = tmp_path / "files/results/attacks/evaluation/catDog/evaluations_BIM.csv"
    frame = pd.read_csv(path, index_col=0, dtype=object)
    if column == "target_dataset":  # the seventh row is about google: now twice bing
        frame.loc[6, column] = value
    else:
        frame.loc[2, column] = value
    frame.to_csv(path)
    ended = command("import", "dumb", tmp_path / "files", "--results", tmp_path / "results")
    assert ended.code == 2
    assert said in ended.err
    assert "evaluations_BIM.csv" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_pages_and_commands_take_it(study, command, tmp_path):
    _, folder, results, _ = study
    ended = command("report", folder / "results", "--out", tmp_path / "page")
    assert ended.code == 0, ended.err
    page = (tmp_path / "page/index.html").read_text()
    assert "Alecci, M. Conti" in page
    assert page.count("known artefact, ") == 9  # no noise attack is there
    assert "256 of 256 rows, 8 of 8 models" in command("status", folder / "results").out
    assert command("check", "results", folder / "results").code == 0
    refused = command("compact", folder / "results")
    assert (refused.code, "imported; they have no store" in refused.err) == (2, True)
    assert len(results.tests) == len(dumb_bench.load(folder / "results").tests)


def test_results_of_a_run_are_not_overwritten(study, command, mini_run):
    _, folder, _, _ = study
    before = {path: path.read_bytes() for path in mini_run.glob("*.json")}
    ended = command("import", "dumb", folder / "files", "--results", mini_run)
    assert (ended.code, "holds results of a run" in ended.err) == (2, True)
    assert before == {path: path.read_bytes() for path in mini_run.glob("*.json")}


def test_models_hold_their_f1_and_no_accuracy(study):
    _, folder, results, _ = study
    frame = pd.read_csv(folder / "files/results/models/baseline/baseline_catDog.csv", index_col=0)
    assert sorted(itertools.chain(*results.models["clean_f1"])) == sorted(frame["baseline_f1"])
    assert results.models["clean_accuracy"].isna().all()
    assert {len(tested) for tested in results.models["test_source"]} == {2}
