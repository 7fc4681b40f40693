"""The guard on repeated work: what a fixed grid does equals, number by number, what it cannot do without.

The ideal is worked out below from the grid alone. A set is crafted once and scored once on each victim under each
delivery; a model is trained once and built once more to be used; a list of images (a test split, those that are
attacked) is read, encoded and labelled once.
"""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path

import pandas as pd
import pytest
from counted_work import DRIVER, Work, run_counted

GRID = """
name = "counted"
task = "digits"
[models]
source = ["optdigits", "rendered"]
architecture = ["small_alexnet", "small_resnet", "small_vgg"]
balance = "20/80"
seed = 0
[images]
per_class = 6
source = "all"
deliveries = ["uint8", "jpeg75"]
[training]
recipe = { name = "small", epochs = 1 }
[[attacks]]
name = "fgsm"
strength = [0.1, 0.2]
[[attacks]]
name = "tifgsm"
strength = 0.16
params = { steps = 3 }
[[attacks]]
name = "pgd"
params = { steps = 2 }
tune = { ssim = 0.5, over = [0.02, 0.95], per_class = 8 }
[[attacks]]
name = "pgd"
params = { steps = 4 }
tune = { ssim = 0.01, over = [0.03, 0.06, 0.09], per_class = 8, search = "bisection" }
[[attacks]]
name = "fgsm"
params = { loss = "logit" }
tune = { ssim = 0.01, over = [0.04, 0.05, 0.07], per_class = 8, search = "bisection" }
[[attacks]]
name = "bim"
params = { steps = 3, reference = true }
tune = { ssim = 0.01, over = [0.01, 0.02, 0.03, 0.04], per_class = 8, search = "bisection" }
[[attacks]]
name = "box_blur"
strength = [1.0, 2.0]
"""

LATE = """
[[attacks]]
name = "bim"
strength = 0.12
params = { steps = 2 }
"""

SOURCES, ARCHITECTURES, DELIVERIES = 2, 3, 2
MODELS = SOURCES * ARCHITECTURES
TRAINED_ON, VALIDATED_ON = 300 + 300 // 4, 50 + 50 // 4  # "20/80": the first class is cut to a quarter
BATCHES = ceil(TRAINED_ON / 32)
TEST_SPLIT, IMAGES, TUNING = 2 * 150, 2 * 6, 2 * 8
SET_BYTES = IMAGES * 3 * 32 * 32 * 4
MEMORY = 1 + 2
"""Images passed to measure the memory of a surrogate: one, then two."""

OWN_SETS = MODELS * SOURCES
"""Every surrogate attacks the images of every source."""

FORMS = 2
"""A set as crafted, and its perturbations swapped (the control `delta_swap`)."""

CHOSEN = {("pgd", 2): 0.02, ("pgd", 4): 0.09, ("fgsm", None): 0.07, ("bim", 3): 0.04}
"""The strengths that tuning cannot but choose: at .95 nothing is similar, at most .09 everything is."""

TUNED_STRENGTHS = 2 + 2 + 2 + 3
"""Looked at for each surrogate: all of two; of three, bisected, two; of four, bisected, three."""

SAME = 1
"""Of those: three steps of 2/255 give the same images within .03 and .04, which are not looked at twice."""

TUNING_GRADIENTS = 2 * 2 + 2 * 4 + 1 + 3
"""For each image: two strengths of two steps, two of four, one gradient for the whole sweep of FGSM, and three for that
of BIM, whose fixed steps are the same at .02, .03 and .04.
"""

GRADIENTS = 1 + 3 + 2 + 4 + 1 + 3
"""For each attacked image: the sweep of FGSM, then the steps of the others, and FGSM at its chosen strength."""

STRENGTHS = 2 + 1 + 1 + 1 + 1 + 1
FREE_STRENGTHS = 1 + (3 + 4) + 2
"""Of what looks at no surrogate: identity, noise at every strength used (grid, chosen), blur."""

SETS = OWN_SETS * STRENGTHS + SOURCES * FREE_STRENGTHS
ALL_FORMS = OWN_SETS * STRENGTHS * FORMS + SOURCES * FREE_STRENGTHS
UNITS = OWN_SETS * 6 + SOURCES * (1 + 2 + 1)  # noise in two: its chosen strengths are known later

ROUNDS = 2
"""Before the strengths are chosen, and after; each ends with a compaction."""

IDEAL = {
    "images": {"units": SOURCES, "parts_written": SOURCES},
    "train": {
        "units": MODELS,
        "splits_read": 2 * SOURCES,
        "subsamples": 2 * MODELS,
        "builds": MODELS,
        "gradient_passes": MODELS * TRAINED_ON,
        "backwards": MODELS * TRAINED_ON,
        "steps": MODELS * BATCHES,
        "answers": MODELS * VALIDATED_ON,
        "artifacts_written": 2 * MODELS,
        "weights_hashed": MODELS,
    },
    "model": {
        "units": MODELS,
        "parts_written": MODELS,
        "encodes": SOURCES * TEST_SPLIT * DELIVERIES,
        "answers": MODELS * SOURCES * TEST_SPLIT * DELIVERIES,
    },
    "tune": {
        "units": MODELS * len(CHOSEN),
        "parts_written": MODELS * len(CHOSEN),
        "splits_read": SOURCES,
        "sets": MODELS * TUNED_STRENGTHS,
        "ssim": MODELS * (TUNED_STRENGTHS - SAME) * TUNING,
        "encodes": (SOURCES + MODELS * TUNED_STRENGTHS) * TUNING,
        "answers": MODELS * (1 + TUNED_STRENGTHS - SAME) * TUNING,
        "gradient_passes": MODELS * TUNING_GRADIENTS * TUNING,
        "backwards": MODELS * TUNING_GRADIENTS * TUNING,
    },
    "attack": {
        "units": UNITS,
        "parts_written": UNITS,
        "sets": SETS,
        "sets_hashed": ALL_FORMS,
        "ssim": ALL_FORMS * DELIVERIES * IMAGES,
        "encodes": (ALL_FORMS + SOURCES) * DELIVERIES * IMAGES,
        "answers": (ALL_FORMS + SOURCES) * DELIVERIES * IMAGES * MODELS,
        "gradient_passes": OWN_SETS * GRADIENTS * IMAGES + MODELS * MEMORY,
        "backwards": OWN_SETS * GRADIENTS * IMAGES,
    },
    "compact": {"units": ROUNDS, "parts_read": SOURCES + MODELS + MODELS * len(CHOSEN) + UNITS},
    DRIVER: {"splits_read": SOURCES, "builds": ARCHITECTURES},
}
"""Kind of unit -> what it must do; the driver builds each architecture once, to see that it can be built."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Work]:
    folder = tmp_path_factory.mktemp("counted")
    return folder, run_counted(folder, GRID, SET_BYTES)


USED_BY = ("model", "tune", "attack")
"""Kinds of unit that use trained weights; whichever comes first makes the networks, and all others find them warm."""

NEW_FORMS = OWN_SETS * FORMS + SOURCES

LATE_IDEAL = {
    "attack": {
        "units": OWN_SETS + SOURCES,
        "parts_written": OWN_SETS + SOURCES,
        "sets": OWN_SETS + SOURCES,
        "sets_hashed": NEW_FORMS,
        "ssim": NEW_FORMS * DELIVERIES * IMAGES,
        "encodes": (NEW_FORMS + SOURCES) * DELIVERIES * IMAGES,
        "answers": (NEW_FORMS + SOURCES) * DELIVERIES * IMAGES * MODELS,
        "gradient_passes": OWN_SETS * 2 * IMAGES + MODELS * MEMORY,
        "backwards": OWN_SETS * 2 * IMAGES,
        "splits_read": SOURCES,  # the training split, for the overlap of training images
        "subsamples": MODELS,
        "weights_files_read": MODELS,
        "weights_hashed": MODELS,
        "weights_read": MODELS,
        "builds": MODELS,
    },
    "compact": {"units": 1, "parts_read": OWN_SETS + SOURCES},
    DRIVER: {"splits_read": SOURCES, "builds": ARCHITECTURES},
}
"""An attack of two steps added to stored results, in a fresh slot: beside it noise of the same size."""

CHAIN = """
name = "chain"
task = "digits"
[models]
source = "optdigits"
architecture = "small_alexnet"
balance = "50/50"
seed = 0
[surrogates]
posterior = { name = "csgld", cycles = 2, cycle_epochs = 2, noise_epochs = 1, samples_per_cycle = 1 }
samples = [1, 2]
[images]
per_class = 6
[training]
recipe = { name = "small", epochs = 1 }
[[attacks]]
name = "fgsm"
strength = 0.1
"""


@pytest.mark.parametrize("kind", ["images", "train", "model", "tune", "attack", "compact", DRIVER])
def test_each_kind_of_unit_does_what_it_must_and_no_more(first: tuple[Path, Work], kind: str) -> None:
    done = first[1].of(kind)
    assert {what: number for what, number in done.items() if what != "builds" or kind not in USED_BY} == IDEAL[kind]


def test_each_model_is_built_once_to_be_used_and_never_read_where_it_was_trained(first: tuple[Path, Work]) -> None:
    assert sum(first[1].done[kind, "builds"] for kind in USED_BY) == MODELS
    assert not [what for _, what in first[1].done if what in ("weights_read", "weights_files_read")]


def test_tuning_chose_the_strengths_that_the_ideal_takes_for_granted(first: tuple[Path, Work]) -> None:
    tunings = pd.read_parquet(first[0] / "out" / "tables" / "tunings")
    steps = tunings["attack_params"].map(lambda text: json.loads(text).get("steps"))
    for attack, own, strength in zip(tunings["attack"], steps, tunings["strength"], strict=True):
        assert CHOSEN[attack, None if attack == "fgsm" else own] == strength
    assert len(tunings) == MODELS * len(CHOSEN)


def test_a_late_attack_reads_each_model_once_and_makes_nothing_again(first: tuple[Path, Work]) -> None:
    late = run_counted(first[0], GRID + LATE, SET_BYTES)
    assert {kind: late.of(kind) for kind in late.kinds} == LATE_IDEAL


def test_the_prefixes_of_a_chain_share_its_training_images_and_networks(tmp_path: Path) -> None:
    work = run_counted(tmp_path, CHAIN, SET_BYTES)
    cycles, victims = 2, 1
    assert work.of("train")["units"] == work.of("train")["builds"] == cycles + victims
    assert work.of("train")["subsamples"] == 2  # of one seed: training, validation
    assert sum(work.done[kind, "builds"] for kind in USED_BY) == cycles + victims
    assert not [what for _, what in work.done if what == "weights_read"]
    assert work.of("model")["answers"] == (1 + 2 + victims) * TEST_SPLIT


REBUILT = {"gradient_passes": 3 * 2, "backwards": 2 * 2}
"""Of each network rebuilt for speed: two images of noise to see how it is made, two to compare it with itself."""


def test_fast_numerics_do_the_same_but_for_looking_at_each_network_once(tmp_path: Path) -> None:
    work = run_counted(tmp_path, GRID.replace('name = "counted"', 'name = "counted"\nnumerics = "fast"', 1), SET_BYTES)
    for what, number in REBUILT.items():
        done, least = (sum(of(kind).get(what, 0) for kind in USED_BY) for of in (work.of, IDEAL.__getitem__))
        assert done == least + MODELS * number
    apart = ("builds", *REBUILT)
    assert work.kinds == set(IDEAL)
    for kind in USED_BY:
        found, ideal = ({what: n for what, n in of.items() if what not in apart} for of in (work.of(kind), IDEAL[kind]))
        assert found == ideal
    for kind in set(IDEAL) - set(USED_BY):
        assert work.of(kind) == IDEAL[kind]
