"""Steps shared by the strengths of a sweep: the same images bit for bit, fewer gradients, and none shared wrongly."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from linear_model import CATALOGUE, Linear, grey, noisy, small_network
from torch import Tensor, nn

from dumb_bench.attacks.base import REFERENCE_STEP
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.shared_steps import SharedSteps, sharing
from dumb_bench.surrogate import LockedSurrogate

EPS = [round(0.01 * step, 2) for step in range(1, 31)]
OVERSHOOTS = [float(factor) for factor in range(0, 101, 5)]
STEPS = 10


def swept(
    name: str, network: nn.Module, pictures: tuple[Tensor, Tensor], strengths: list[float], *, repeatable: bool = True,
    **params: Any,
) -> tuple[list[Crafted], LockedSurrogate]:  # fmt: skip
    surrogate = LockedSurrogate([network], 2)
    surrogate.repeatable = repeatable
    images, labels = pictures
    made = craft(
        CATALOGUE.get("attacks", name), surrogate, images.float(), labels, strengths,
        params={"reference": True, **params}, chunk=5, seed_key=("k", name),
    )  # fmt: skip
    return list(made), surrogate


def own_steps(eps: float) -> int:
    """Gradients that an eps takes by itself: after how many steps the budget has held it back, once, for good."""
    free = int(eps / REFERENCE_STEP)  # steps after which it has not
    return max(0, STEPS - free - 1)


@pytest.mark.parametrize("name", ["bim", "rfgsm", "tifgsm", "deepfool"])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_a_sweep_gives_the_images_that_each_strength_gives_by_itself(name: str, order: str) -> None:
    strengths = list(OVERSHOOTS if name == "deepfool" else EPS)
    if order == "falling":
        strengths.reverse()
    if order == "shuffled":
        random.Random(4).shuffle(strengths)
    together, asked = swept(name, small_network(), noisy(12), strengths)
    apart, plain = swept(name, small_network(), noisy(12), strengths, repeatable=False)
    for strength, one, other in zip(strengths, together, apart, strict=True):
        assert torch.equal(one.images, other.images), strength
        assert torch.equal(one.images, swept(name, small_network(), noisy(12), [strength])[0][0].images), strength
    assert asked.cost.backwards < plain.cost.backwards / (1.5 if name == "deepfool" else 4)


def test_the_gradients_of_a_sweep_are_as_many_as_the_distinct_points_of_its_walks() -> None:
    images, labels = grey(7)
    found, surrogate = swept("bim", Linear(), (images, labels), EPS)
    shared = STEPS  # the points of the walk that no budget holds back
    assert surrogate.cost.backwards == 7 * (shared + sum(map(own_steps, EPS)))
    assert [crafted.backwards for crafted in found[7:]] == [7] + [0] * 22  # at .08 one new point, then none
    assert all(torch.equal(found[8].images, crafted.images) for crafted in found[9:])
    assert not torch.equal(found[5].images, found[6].images)


def test_an_rfgsm_sweep_counts_its_random_step_in() -> None:
    images, labels = grey(5)
    _, surrogate = swept("rfgsm", Linear(), (images, labels), [0.3, 0.05])
    assert surrogate.cost.backwards == 5 * (STEPS + own_steps(0.05 - REFERENCE_STEP))


@pytest.mark.parametrize("name, params", [
    ("pgd", {}),
    ("tifgsm", {"decay": 0.5}),
    ("tifgsm", {"inputs": ["si"]}),
    ("tifgsm", {"random_start": True}),
    ("tifgsm", {"norm": "l2"}),
    ("bim", {"reference": False}),
    ("rfgsm", {"reference": False}),
])  # fmt: skip
def test_what_depends_on_eps_is_not_shared(name: str, params: dict[str, Any]) -> None:
    strengths = [0.1, 0.2]
    together, asked = swept(name, small_network(), noisy(6), strengths, **params)
    apart, plain = swept(name, small_network(), noisy(6), strengths, repeatable=False, **params)
    assert asked.cost == plain.cost
    assert all(torch.equal(one.images, other.images) for one, other in zip(together, apart, strict=True))


def test_a_surrogate_that_answers_anew_each_time_shares_nothing() -> None:
    _, plain = swept("bim", small_network(), noisy(6), [0.1, 0.2], repeatable=False)
    assert plain.cost.backwards == 2 * STEPS * 6
    assert LockedSurrogate([small_network()], 2).repeatable is False, "nothing is taken for granted"


def test_a_walk_that_begins_elsewhere_shares_nothing() -> None:
    steps, generator = SharedSteps(), torch.Generator()
    start = torch.zeros(1, 1, 2, 2)
    with sharing(steps):
        walk = steps.walk(start, 0.1, generator)
        assert walk is not None and walk.known() is None
        walk.keep(torch.ones(1, 1, 2, 2, dtype=torch.float64))
        again = steps.walk(start.clone(), 0.1, generator)
        assert again is not None and torch.equal(again.known(), torch.ones(1, 1, 2, 2))  # type: ignore[arg-type]
        assert steps.walk(start + 1e-3, 0.1, generator) is None
        assert steps.walk(start, 0.2, generator) is None


def test_random_numbers_go_on_as_if_the_shared_steps_had_been_taken() -> None:
    steps, generator = SharedSteps(), torch.Generator().manual_seed(3)
    start = torch.zeros(1, 1, 2, 2)
    walk = steps.walk(start, 0.1, generator)
    assert walk is not None
    torch.rand(7, generator=generator)
    walk.keep(start.double())
    after = torch.rand(3, generator=generator)
    fresh = torch.Generator().manual_seed(3)
    again = steps.walk(start, 0.1, fresh)
    assert again is not None and again.known() is not None
    assert torch.equal(torch.rand(3, generator=fresh), after)
