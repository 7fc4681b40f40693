import dataclasses
from itertools import pairwise

import pytest

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.parts import Part, drawn, epochs_of, makeup, needs_of, samples_of, single
from dumb_bench.models.training import train_model, train_part
from dumb_bench.models.weights import to_bytes
from dumb_bench.recipes import resolve_recipe
from dumb_bench.spec import ModelSpec, Plugin

CATALOGUE = Catalogue()
SPEC = ModelSpec(
    "digits", Plugin("optdigits"), Plugin("small_alexnet"), "20/80", resolve_recipe("small", {"epochs": 2}), seed=0
)


def model(posterior="point", used=1, draw=0, /, **params):
    chosen = CATALOGUE.resolve("posteriors", posterior, params)
    return dataclasses.replace(SPEC, posterior=chosen, samples=used, draw=draw)


@pytest.mark.parametrize("draw", [1, 2, 3])
def test_draws_are_nested_subsets_and_draw_0_is_the_beginning(draw):
    assert drawn(9, 4, 0) == [0, 1, 2, 3]
    subsets = [drawn(9, samples, draw) for samples in range(1, 10)]
    for samples, subset in enumerate(subsets, 1):
        assert subset == sorted(set(subset)) and len(subset) == samples and set(subset) <= set(range(9))
    assert all(set(small) < set(large) for small, large in pairwise(subsets))
    assert len({tuple(drawn(9, 4, number)) for number in range(6)}) > 3


def test_what_models_are_made_of():
    chain = {"cycles": 4, "samples_per_cycle": 3}
    whole, short = makeup(model("csgld", 12, **chain), CATALOGUE), makeup(model("csgld", 4, **chain), CATALOGUE)
    assert [share.places for share in short.shares] == [(0, 1, 2), (0,)]
    assert short.needs == whole.needs[:2] and len(whole.needs) == 4
    assert makeup(model("csgld", 4, cycles=9, samples_per_cycle=3), CATALOGUE) == short  # whatever its length
    assert [part.number for part in whole.needs] == [0, 1, 2, 3] and whole.needs[2].before == whole.needs[1]
    assert needs_of(whole.needs[2], CATALOGUE) == (whole.needs[1],) and needs_of(whole.needs[0], CATALOGUE) == ()
    pool = makeup(model("deep_ensemble", 3, members=5), CATALOGUE)
    assert [share.part for share in pool.shares] == [single(SPEC, CATALOGUE, member) for member in range(3)]
    assert pool.shares[0].part.id == SPEC.id == makeup(SPEC, CATALOGUE).needs[0].id
    assert all(needs_of(part, CATALOGUE) == () for part in pool.needs)
    (share,) = makeup(model("swag", 2, samples=7), CATALOGUE).shares
    assert share.places == (0, 1) and needs_of(share.part, CATALOGUE) == (single(SPEC, CATALOGUE),)


def test_the_first_sample_of_a_chain_is_no_other_posterior_s_part():
    ids = [makeup(model(name), CATALOGUE).shares[0].part.id for name in ("point", "csgld", "snapshot", "vi", "swag")]
    assert len(set(ids)) == len(ids)


def test_a_drawn_chain_needs_its_cycles_up_to_the_last_sample_drawn():
    for draw in range(1, 8):
        found = makeup(model("csgld", 2, draw, cycles=5, samples_per_cycle=2), CATALOGUE)
        last = max(share.part.number for share in found.shares)
        assert [part.number for part in found.needs] == list(range(last + 1))
        assert sum(len(share.places) for share in found.shares) == 2


@pytest.mark.parametrize(
    ("posterior", "params", "epochs", "samples"),
    [
        ("point", {}, 2, 1),
        ("csgld", {"cycles": 3, "samples_per_cycle": 2, "cycle_epochs": 5}, 5, 2),
        ("swag", {"samples": 6, "epochs": 4}, 4, 6),
        ("laplace", {"samples": 6}, 0, 6),
        ("mc_dropout", {"samples": 6}, 2, 6),
    ],
)
def test_what_a_part_costs_and_gives(posterior, params, epochs, samples):
    part = makeup(model(posterior, **params), CATALOGUE).shares[0].part
    assert (epochs_of(part, CATALOGUE), samples_of(part, CATALOGUE)) == (epochs, samples)


@pytest.mark.parametrize(
    ("posterior", "params"),
    [
        ("csgld", {"cycles": 3, "samples_per_cycle": 2, "noise_epochs": 1}),
        ("swag", {"samples": 2, "epochs": 1}),
        ("deep_ensemble", {"members": 2}),
    ],
)
def test_parts_trained_one_by_one_are_the_whole_bit_for_bit(posterior, params):
    spec = model(posterior, 6 if posterior == "csgld" else 2, **params)
    kept = {}
    found = makeup(spec, CATALOGUE)
    for part in found.needs:
        before = dict(kept)
        train_part(part, CATALOGUE, kept)
        assert set(kept) - set(before) == {part.id}
    whole = train_model(spec, CATALOGUE)
    states = [kept[share.part.id].samples.states[place] for share in found.shares for place in share.places]
    assert to_bytes(dataclasses.replace(whole.samples, states=tuple(states))) == to_bytes(whole.samples)
    records = [kept[part.id].record for part in found.needs]
    assert sum(record["epochs"] for record in records) == whole.record["epochs"]
    assert sum(record["gradients"] for record in records) == whole.record["gradients"]


def test_a_part_whose_predecessor_is_lost_makes_it_again():
    parts = makeup(model("csgld", 4, cycles=2, samples_per_cycle=2), CATALOGUE).needs
    one, other = {}, {}
    for part in parts:
        train_part(part, CATALOGUE, one)
    train_part(parts[1], CATALOGUE, other)
    assert {name: to_bytes(part.samples) for name, part in one.items()} == {
        name: to_bytes(part.samples) for name, part in other.items()
    }
    assert Part(parts[0].spec, 1) == parts[1]
