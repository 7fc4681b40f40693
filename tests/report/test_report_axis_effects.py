"""Effects of the axes on frames whose truth is known by hand, column by column."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from dumb_bench.case import case_of
from dumb_bench.power import FEW_NEAR_ENDS, FEW_SEEDS, MIN_SEEDS
from dumb_bench.report.axis_effects import COLUMNS, axis_effects
from dumb_bench.report.design import design
from dumb_bench.report.effects import NO_VARIATION, ONE_SEED, holm, interval
from dumb_bench.report.image_term import ImageBlocks, image_terms
from dumb_bench.report.paired import TOO_FEW

SOURCE, ARCHITECTURE, BALANCE, DEFENCE = -0.10, -0.20, -0.04, -0.15
COST = {"source": SOURCE, "architecture": ARCHITECTURE, "balance": BALANCE}
CELLS = list(itertools.product("ab", "xy", ("50/50", "20/80")))


def models(seeds, defences=("none",)):
    for (source, architecture, balance), defence, seed in itertools.product(CELLS, defences, seeds):
        yield {
            "source": source, "architecture": architecture, "balance": balance, "defence": defence, "seed": seed,
            "id": f"{source}{architecture}{balance}{defence}{seed}",
        }  # fmt: skip


def frame(seeds=(0, 1, 2), victim_seeds=(10, 11, 12), defences=("none",), images="surrogate", spread=0.03, **columns):
    """Tests of 2 x 2 x 2 cells, additive but for seeds: every seed's own effect sums to 0 within its cell."""
    rows = []
    for own, theirs in itertools.product(list(models(seeds)), list(models(victim_seeds, defences))):
        differs = {f"{key}_differs": own[key] != theirs[key] for key in COST}
        rate = 0.6 + sum(cost * differs[f"{key}_differs"] for key, cost in COST.items())
        rate += DEFENCE * (theirs["defence"] != "none")
        for role, group in ((own, seeds), (theirs, victim_seeds)):
            rate += spread * (group.index(role["seed"]) - (len(group) - 1) / 2)
        for source in {"surrogate": [own["source"]], "victim": [theirs["source"]], "all": ["a", "b"]}[images]:
            moved = 0.05 * (source == "b") + 0.02 * (source != own["source"]) * differs["architecture_differs"]
            rows.append({
                **{f"surrogate_{key}": value for key, value in own.items()},
                **{f"victim_{key}": value for key, value in theirs.items()},
                "case": case_of(**differs), "image_source": source, "asr": rate + moved * (images == "all"),
                "white_box": own["id"] == theirs["id"],
            })  # fmt: skip
    found = pd.DataFrame(rows)
    found = found[~found["white_box"]].reset_index(drop=True)
    plain = {
        "population": "", "reference": True, "primary": True, "largest": True, "label": "pgd", "setting": "0.1",
        "norm": "linf", "strength": 0.1, "role": "attack", "counted": True, "copied": False, "delivery": "uint8",
        "defence_known": False, "n_victim_correct": 100, "n_images": 100,
    }  # fmt: skip
    return found.assign(**{**plain, **columns})


def by_axis(tests, **options):
    found = axis_effects(tests, **options)
    assert list(found.columns) == list(COLUMNS)
    return found.set_index("axis")


def noise_of(tests, rate):
    return tests.assign(role="noise", label="sign_noise", copied=True, asr=rate, primary=False, n_victim_correct=100)


def test_additive_truth_is_found_exactly():
    found = by_axis(frame())
    assert list(found.index) == ["source", "architecture", "balance"]
    for axis, cost in COST.items():
        row = found.loc[axis]
        assert row["effect"] == pytest.approx(cost)
        assert (row["n_tests"], row["n_surrogates"], row["n_victims"], row["n_images"]) == (24 * 24, 24, 24, 100)
        assert (row["seeds_surrogate"], row["seeds_victim"], row["level"]) == (3, 3, "")
    assert set(found["family"]) == {"primary"}


def test_without_any_spread_of_the_contrast_there_is_no_interval():
    """Own effects of balanced models cancel in a contrast: what is left is nothing at all."""
    found = by_axis(frame())
    assert set(found["reason"]) == {NO_VARIATION}
    assert found[["low", "high", "p", "p_holm", "smallest"]].isna().all(axis=None)
    assert not found["resolved"].any()


def noisy(tests, seed=0, sd=0.05):
    """The same with a slope along the source for each model, and noise of each pair."""
    rng = np.random.default_rng(seed)
    names = sorted({*tests["surrogate_id"], *tests["victim_id"]})
    slope = pd.Series(rng.normal(0, sd, len(names)), index=names)
    moved = tests["surrogate_id"].map(slope) + tests["victim_id"].map(slope)
    return tests.assign(asr=tests["asr"] + moved * tests["case"].isin(["C5", "C6", "C7", "C8"])
                        + rng.normal(0, 0.02, len(tests)))  # fmt: skip


def test_interval_p_and_smallest_are_those_of_the_weighted_sum():
    tests = noisy(frame())
    found = by_axis(tests)
    differs = tests["case"].isin(["C5", "C6", "C7", "C8"]).to_numpy()
    of_case = tests.groupby("case")["asr"].transform("size").to_numpy()
    weight = np.where(differs, 1.0, -1.0) / (4 * of_case)
    wanted = interval(design(tests), tests["asr"].to_numpy(), weight)
    row = found.loc["source"]
    assert row[["effect", "low", "high", "df", "p"]].tolist() == pytest.approx(list(wanted[:5]))
    error = (wanted.high - wanted.low) / 2 / student.ppf(0.975, wanted.df)
    assert row["smallest"] == pytest.approx((student.ppf(0.975, wanted.df) + student.ppf(0.8, wanted.df)) * error)
    assert found["p_holm"].tolist() == pytest.approx(holm(found["p"].tolist()))
    assert found.loc[["source", "architecture"], "resolved"].all()


def test_holm_is_over_the_axes_of_one_label_and_setting_and_population():
    one = noisy(frame())
    both = pd.concat([one, noisy(frame(setting="0.2", primary=False), seed=1)], ignore_index=True)
    alone, together = axis_effects(one), axis_effects(both)
    assert together["family"].tolist() == ["primary"] * 3 + ["exploratory"] * 3
    assert together["p_holm"].tolist()[:3] == pytest.approx(alone["p_holm"].tolist())


def test_what_holm_does_not_allow_is_not_resolved():
    """Noise alone, a draw in which an interval excludes 0 by chance: p is below .05, p_holm is not."""
    tests = frame(spread=0.0)
    found = by_axis(tests.assign(asr=0.5 + np.random.default_rng(3).normal(0, 0.05, len(tests))))
    row = found.loc["source"]
    assert row["high"] < 0
    assert row["p"] < 0.05 < row["p_holm"]
    assert not row["resolved"]


def test_a_combination_that_one_side_lacks_is_left_out():
    """Without C7 and C8 the source is compared where the architecture is the same, in C1, C2, C5, C6 alone."""
    tests = frame()
    tests["asr"] += 0.3 * (tests["case"] == "C3") + 0.1 * (tests["case"] == "C6")
    found = by_axis(tests[~tests["case"].isin(["C7", "C8"])])
    assert found.loc["source", "effect"] == pytest.approx(SOURCE + 0.1 / 2)
    assert found.loc["source", "n_tests"] == 4 * 72
    assert found.loc["balance", "effect"] == pytest.approx(BALANCE + (0.0 - 0.3 + 0.1) / 3)


def test_an_axis_with_one_level_has_no_row():
    tests = frame()
    found = by_axis(tests[(tests["surrogate_balance"] == "50/50") & (tests["victim_balance"] == "50/50")])
    assert list(found.index) == ["source", "architecture"]


@pytest.mark.parametrize(("own", "theirs", "reason"), [
    ((0,), (10, 11, 12), ONE_SEED), ((0, 1), (10, 11, 12), FEW_SEEDS), ((0, 1, 2), (10, 11), FEW_SEEDS),
])  # fmt: skip
def test_few_seeds_are_never_resolved(own, theirs, reason):
    found = by_axis(noisy(frame(own, theirs), sd=0.001))
    assert set(found["reason"]) == {reason}
    assert not found["resolved"].any()
    assert found["low"].isna().all() == (reason == ONE_SEED)
    assert found["effect"].tolist() == pytest.approx(list(COST.values()), abs=0.02)
    assert set(found["seeds_surrogate"]) == {len(own)}


def test_one_cell_with_too_few_seeds_is_enough():
    tests = noisy(frame(), sd=0.001)
    gone = (tests["victim_source"] == "a") & (tests["victim_architecture"] == "x") & (tests["victim_seed"] == 10)
    found = by_axis(tests[~(gone & (tests["victim_balance"] == "20/80"))])
    assert (set(found["seeds_victim"]), set(found["seeds_surrogate"])) == ({MIN_SEEDS - 1}, {MIN_SEEDS})
    assert set(found["reason"]) == {FEW_SEEDS}


def test_near_the_ends_more_seeds_are_needed():
    def at(seeds, shift):
        tests = noisy(frame(tuple(range(seeds)), tuple(range(10, 10 + seeds)), spread=0.0), sd=0.001)
        return by_axis(tests.assign(asr=(tests["asr"] + shift).clip(0, 1)))

    # the mean is .43 with, and .48 to .53 without a difference: .40 lower, the low side is below .1
    assert set(at(3, -0.40)["reason"]) == {FEW_NEAR_ENDS}
    assert set(at(3, 0.0)["reason"]) == {""}
    assert at(5, -0.35).loc["source", "resolved"]


def test_equal_rates_of_few_successes_are_chance():
    tests = noisy(frame(n_victim_correct=1, spread=0.0), sd=0.001)
    assert set(by_axis(tests.assign(asr=tests["asr"] / 100))["reason"]) == {TOO_FEW}


def test_shared_roles_leave_the_white_box_out():
    tests = noisy(frame((0, 1, 2), (0, 1, 2)))
    found = by_axis(tests)
    assert set(found["n_tests"]) == {24 * 24 - 24}
    assert (set(found["n_surrogates"]), set(found["seeds_victim"])) == ({24}, {3})
    assert found.loc["source", "resolved"]
    white = tests.iloc[:5].assign(counted=False, asr=1.0)
    pd.testing.assert_frame_equal(by_axis(pd.concat([tests, white], ignore_index=True)), found)


def test_copied_rows_and_controls_take_no_part():
    tests = noisy(frame())
    more = [tests, tests.assign(copied=True, label="blur"), tests.assign(role="swap", asr=0.0)]
    pd.testing.assert_frame_equal(axis_effects(pd.concat(more, ignore_index=True)), axis_effects(tests))
    assert axis_effects(more[1]).empty
    assert list(axis_effects(more[1]).columns) == list(COLUMNS)


def test_excess_is_the_effect_minus_that_of_the_matched_noise():
    """Noise fools victims of source a by 30 % on images of source a, 10 % elsewhere."""
    tests = noisy(frame())
    at_home = (tests["image_source"] == "a") & (tests["victim_source"] == "a")
    found = by_axis(pd.concat([tests, noise_of(tests, np.where(at_home, 0.3, 0.1))], ignore_index=True))
    of_noise = 0.1 - (0.3 + 0.1) / 2
    assert found.loc["source", "excess"] == pytest.approx(found.loc["source", "effect"] - of_noise)
    assert found.loc["architecture", "excess"] == pytest.approx(found.loc["architecture", "effect"])
    assert (found["excess_low"] < found["excess"]).all()
    assert (found["excess"] < found["excess_high"]).all()
    assert axis_effects(tests)["excess"].isna().all()


def test_both_image_designs_side_by_side():
    """Where the architecture differs, images of another source than the surrogate's are 2 points easier."""
    found = by_axis(noisy(frame(images="all"), sd=0.001))
    row = found.loc["architecture"]
    assert row["surrogate_images"] == pytest.approx(ARCHITECTURE, abs=0.005)
    assert row["victim_images"] == pytest.approx(ARCHITECTURE + 0.01, abs=0.005)
    assert row["effect"] == pytest.approx(ARCHITECTURE + 0.01, abs=0.005)
    assert row["surrogate_images_low"] < ARCHITECTURE < row["surrogate_images_high"]
    alone = by_axis(frame(images="surrogate"))
    assert alone["surrogate_images"].tolist() == pytest.approx(list(COST.values()))
    assert np.isnan(alone.loc["source", "victim_images"])


def test_a_defence_is_compared_with_none_and_nothing_else_changes():
    tests = noisy(frame(defences=("none", "jpeg", "pgd_at")), sd=0.001)
    tests["population"] = "victim defence " + tests["victim_defence"]
    tests["reference"] = tests["victim_defence"] == "none"
    tests["asr"] += 0.1 * (tests["victim_defence"] == "jpeg")
    gone = (tests["victim_defence"] == "jpeg") & (tests["case"] == "C1")
    found = axis_effects(tests[~gone].reset_index(drop=True))
    defence = found[found["axis"] == "defence"].set_index("level")
    assert defence["effect"].to_dict() == pytest.approx({"jpeg": DEFENCE + 0.1, "pgd_at": DEFENCE}, abs=0.01)
    assert set(defence["population"]) == {"victim defence none"}
    assert defence["reference"].all()
    # one family: three axes and two defences of the undefended population
    family = found[found["population"] == "victim defence none"]
    assert family["p_holm"].tolist() == pytest.approx(holm(family["p"].tolist()))
    assert len(family) == 5
    assert defence.loc["jpeg", "n_tests"] == 2 * (24 * 24 - 72)


def outcomes(tests, rng, images=40):
    """Images of their own ease, the same for all tests of an image source; asr follows from them."""
    ease = {source: rng.normal(0, 0.5, images) for source in "ab"}
    label = np.tile(np.arange(images) % 2, (len(tests), 1))
    correct = rng.random((len(tests), images)) < 0.95
    hard = np.stack([ease[source] for source in tests["image_source"]])
    success = correct & (rng.random((len(tests), images)) < np.clip(tests["asr"].to_numpy()[:, None] + hard, 0, 1))
    tests = tests.assign(asr=success.sum(axis=1) / correct.sum(axis=1), n_victim_correct=correct.sum(axis=1))
    return tests.assign(row=np.arange(len(tests)), n_images=images), success, correct, label


def test_the_image_interval_adds_the_image_term_for_the_primary_contrast():
    tests, success, correct, label = outcomes(frame(), np.random.default_rng(0))
    tests = pd.concat([tests, tests.assign(setting="0.2", primary=False)], ignore_index=True)
    asked = []

    def per_image(rows):
        asked.append(len(rows))
        set_of = (rows["image_source"] == "b").to_numpy().astype(int)
        block = (np.arange(len(rows)), success[rows["row"]], correct[rows["row"]])
        return ImageBlocks(label[:2], set_of, [block])

    found = axis_effects(tests, per_image=per_image)
    assert asked == [24 * 24]
    assert found.loc[found["setting"] == "0.2", ["images_low", "images_high"]].isna().all(axis=None)
    row = found.iloc[0]
    one = tests[tests["primary"]]
    differs = one["case"].isin(["C5", "C6", "C7", "C8"]).to_numpy()
    weight = np.where(differs, 1.0, -1.0) / (4 * one.groupby("case")["asr"].transform("size").to_numpy())
    source = (one["image_source"] == "b").to_numpy().astype(int)
    quantile = student.ppf(0.975, row["df"])
    images = ImageBlocks(label[:2], source, [(np.arange(len(source)), success, correct)])
    variance = ((row["high"] - row["low"]) / 2 / quantile) ** 2 + image_terms(images, weight[None])[0]
    assert (row["images_high"] - row["images_low"]) / 2 == pytest.approx(quantile * np.sqrt(variance))
