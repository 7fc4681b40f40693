"""Shares of R2: exact on an orthogonal design, and the sum is the full model's R2 on any."""

import itertools

import numpy as np
import pandas as pd
import pytest

from dumb_bench.case import case_of
from dumb_bench.report.variance_shares import COLUMNS, shares, variance_shares


def test_orthogonal_factors_have_the_share_of_their_own_sum_of_squares():
    """2 x 3 x 2: y = a + b with sums of squares 12 * .01 and 12 * (2/3) * .04; the third factor has none."""
    one, two, three = (np.array(codes) for codes in zip(*itertools.product(range(2), range(3), range(2)), strict=True))
    values = np.where(one == 1, 0.1, -0.1) + np.array([-0.2, 0.0, 0.2])[two]
    total = 12 * 0.01 + 8 * 0.04
    found = shares(values, [one, two, three])
    assert found[0] == pytest.approx((12 * 0.01 / total,) * 2)
    assert found[1] == pytest.approx((8 * 0.04 / total,) * 2)
    assert found[2] == pytest.approx((0.0, 0.0), abs=1e-12)


def test_an_interaction_is_nobody_s():
    one, two = np.repeat([0, 1], 2), np.tile([0, 1], 2)
    assert shares((one ^ two).astype(float), [one, two]) == [pytest.approx((0, 0), abs=1e-12)] * 2


def test_two_names_of_one_factor_share_it():
    codes = np.tile([0, 1, 2], 20)
    values = codes + np.random.default_rng(0).normal(size=60)
    alone = shares(values, [codes])[0]
    for share, own in shares(values, [codes, 2 - codes]):
        assert (share, own) == pytest.approx((alone[0] / 2, alone[0]))


def test_the_shares_sum_to_the_r2_of_least_squares():
    rng = np.random.default_rng(1)
    factors = [rng.integers(0, levels, 300) for levels in (2, 3, 4)]
    factors.append((factors[0] + factors[1] + rng.integers(0, 2, 300)) % 3)
    values = factors[0] + 0.5 * factors[3] ** 2 + rng.normal(size=300)
    dummies = np.concatenate([np.eye(codes.max() + 1)[codes] for codes in factors], axis=1)
    left = values - dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]
    r2 = 1 - (left**2).sum() / ((values - values.mean()) ** 2).sum()
    found = shares(values, factors)
    assert sum(share for share, _ in found) == pytest.approx(r2)
    assert min(share for share, _ in found) > -1e-12


def test_constant_success_has_no_shares():
    assert shares(np.full(4, 0.3), [np.arange(4) % 2]) == [(0.0, 0.0)]
    assert shares(np.arange(3.0), []) == []


def frame(**columns):
    rows = []
    axes = [("a", "b"), ("x", "y")]
    for own, theirs in itertools.product(itertools.product(*axes), repeat=2):
        differs = {"source_differs": own[0] != theirs[0], "architecture_differs": own[1] != theirs[1]}
        rows += [
            {
                "surrogate_source": own[0], "surrogate_architecture": own[1], "victim_source": theirs[0],
                "victim_architecture": theirs[1], "case": case_of(**differs, balance_differs=False), "label": "pgd",
                "setting": setting, "asr": 0.5 - 0.1 * differs["source_differs"] + 0.2 * (setting == "0.2"),
            }
            for setting in ("0.1", "0.2")
        ]  # fmt: skip
    plain = {"role": "attack", "counted": True, "copied": False, "population": "", "reference": True, "task": "t"}
    return pd.DataFrame(rows).assign(victim_defence="none", **{**plain, **columns})


def test_axes_of_a_frame():
    found = variance_shares(frame())
    assert list(found.columns) == list(COLUMNS)
    assert found["axis"].tolist() == [
        "source", "architecture", "attack", "surrogate architecture", "victim architecture",
    ]  # fmt: skip
    assert found["share"].tolist() == pytest.approx([0.2, 0.0, 0.8, 0.0, 0.0], abs=1e-12)
    assert found["total"].tolist() == pytest.approx([1.0] * 5)
    assert set(found["n_tests"]) == {32}


def test_left_out_rows_change_nothing_and_a_defence_is_an_axis():
    plain = frame()
    noise = plain.assign(asr=0.9)
    others = [noise.assign(counted=False), noise.assign(copied=True), noise.assign(role="noise")]
    pd.testing.assert_frame_equal(variance_shares(pd.concat([plain, *others])), variance_shares(plain))
    defended = plain.assign(
        asr=plain["asr"] - 0.1, victim_defence="jpeg", population="victim defence jpeg", reference=False
    )
    found = variance_shares(pd.concat([defended, plain.assign(population="victim defence none")])).set_index("axis")
    assert set(found["population"]) == {"victim defence none"}
    assert found["reference"].all()
    assert found.loc["defence", "share"] == pytest.approx(1 / 6)
    assert variance_shares(plain.assign(counted=False)).empty
