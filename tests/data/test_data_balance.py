import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from dumb_bench.data.balance import counts, parse, subsample, subset_members
from dumb_bench.errors import InputError

LABELS = np.tile([0, 1], 300)


def test_balance_needs_no_torch():
    code = "import sys, dumb_bench.data.balance; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_parse():
    assert parse("20/80", 2) == (Fraction(1, 5), Fraction(4, 5))
    assert parse("33.3/33.3/33.4", 3)[2] == Fraction(334, 1000)


@pytest.mark.parametrize(
    ("balance", "sentence"),
    [
        ("30/60", 'percentages that sum to 100, got "30/60"'),
        ("0/100", "percentages above 0"),
        ("-20/120", "percentages above 0"),
        ("20:80", "percentages above 0"),
        ("020/80", "percentages above 0"),
        ("20.0/80", "percentages above 0"),
        ("", "percentages above 0"),
        ("nan/50", "percentages above 0"),
        ("20/30/50", "expected 2 percentages, one per class"),
        ("50", "expected 2 percentages, one per class"),
    ],
)
def test_bad_balances_are_refused(balance, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(balance, 2)


def test_a_long_tail_is_that_of_the_literature():
    # CIFAR-10-LT of Cao et al. (2019), imbalance 100
    published = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)
    assert counts("lt100", (5000,) * 10, "paper") == published
    assert counts("lt100r", (5000,) * 10, "paper") == published[::-1]
    assert counts("lt10", (500,) * 2, "paper") == (500, 50)
    assert counts("lt100", (500,) * 3, "paper") == (500, 50, 5)
    assert counts("lt3", (9,) * 2, "paper") == (9, 3)  # a third, not what is left of it in a float
    assert counts("lt1", (500,) * 9, "paper") == (500,) * 9
    assert sum(counts("lt10", (500,) * 9, "fixed_total")) == 500
    assert sum(parse("lt10", 7)) == 1 and parse("lt1", 3) == (Fraction(1, 3),) * 3


def test_a_long_tail_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match='"lt600" of 500 images a class leaves class 2 without an image'):
        counts("lt600", (500,) * 3, "paper")


@pytest.mark.parametrize("balance", ["lt", "lt0", "lt01", "lt10.5", "lt-10", "LT10", "lt10x", "lt10000", "lt10/50"])
def test_what_is_no_long_tail_is_refused(balance):
    with pytest.raises(InputError, match='or a long tail such as "lt10", got "'):
        parse(balance, 2)


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        ("50/50", (3500, 3500)),
        ("40/60", (2333, 3500)),
        ("30/70", (1500, 3500)),
        ("20/80", (875, 3500)),
        ("80/20", (3500, 875)),
    ],
)
def test_paper_mode_cuts_the_minority_of_the_published_sets(balance, expected):
    assert counts(balance, (3500, 3500), "paper") == expected


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        ("50/50", (150, 150)),
        ("20/80", (60, 240)),
        ("80/20", (240, 60)),
        ("33/67", (99, 201)),
        ("33.5/66.5", (101, 199)),
    ],
)
def test_fixed_total_keeps_the_total(balance, expected):
    assert sum(expected) == 300
    assert counts(balance, (300, 310), "fixed_total") == expected


def test_unequal_classes_and_empty_classes():
    assert counts("50/50", (300, 200), "paper") == (200, 200)
    assert counts("50/50", (7, 9), "fixed_total") == (4, 3)
    with pytest.raises(InputError, match='"1/99" of 50 images a class leaves class 0 without an image'):
        counts("1/99", (50, 50), "paper")
    with pytest.raises(InputError, match=r"unknown balance_mode 'papers'. Did you mean 'paper'"):
        counts("50/50", (50, 50), "papers")


@pytest.mark.parametrize("mode", ["paper", "fixed_total"])
@pytest.mark.parametrize("balance", ["20/80", "80/20"])
def test_subsample_is_random_by_seed_and_keeps_the_counts(balance, mode):
    one, again, two = (subsample(LABELS, balance, mode, seed) for seed in (1, 1, 2))
    assert np.bincount(LABELS[one]).tolist() == list(counts(balance, (300, 300), mode))
    assert np.array_equal(one, again) and not np.array_equal(one, two)
    minority = [index for index in one if LABELS[index] == balance.startswith("80")]
    assert max(minority) > 2 * len(minority), "these are the first images"
    assert np.all(np.diff(one) > 0)


def test_a_harder_balance_is_a_subset_of_a_softer_one_of_the_same_seed():
    assert set(subsample(LABELS, "20/80", "paper", 1)) < set(subsample(LABELS, "40/60", "paper", 1))


def test_halves_are_disjoint_and_complete():
    labels = np.array([0] * 5 + [1] * 8)
    a, b = (subset_members(labels, half, 3) for half in ("half_a", "half_b"))
    assert sorted([*a, *b]) == list(range(13))
    assert np.bincount(labels[a]).tolist() == [2, 4] and np.bincount(labels[b]).tolist() == [3, 4]
    assert subset_members(labels, "all", 3).tolist() == list(range(13))
    assert not np.array_equal(a, subset_members(labels, "half_a", 4))
    with pytest.raises(InputError, match="unknown subset 'half_c'"):
        subset_members(labels, "half_c", 3)
