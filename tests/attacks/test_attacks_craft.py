"""The guard around every attack, with attacks that misbehave."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dumb_bench.attacks.base import AttackInfo, attack
from dumb_bench.attacks.craft import Crafted, craft, delta_swap
from dumb_bench.catalogue import Entry
from dumb_bench.errors import AttackError
from dumb_bench.perturbation import linf
from dumb_bench.surrogate import LockedSurrogate

Call = Callable[..., Any]


def entry(call: Call, **declared: Any) -> Entry:
    marked = attack("mine", **declared)(call)
    plugin = marked.__plugin__  # type: ignore[attr-defined]
    return Entry(marked, plugin, "1", "test")


def surrogate() -> LockedSurrogate:
    torch.manual_seed(0)
    return LockedSurrogate([nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))], 2)


IMAGES = torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(10) % 2


def run(call: Call, strength: float | None = 0.1, chunk: int = 4, key: str = "k", **declared: Any) -> Crafted:
    (made,) = craft(
        entry(call, **declared), surrogate(), IMAGES, LABELS, [strength], params={}, chunk=chunk, seed_key=(key,)
    )
    return made


def moved_by(amount: Callable[[Tensor], Tensor]) -> Call:
    def call(
        surrogate: Any, images: Tensor, labels: Tensor, strength: float, *, generator: Any, targets: Any = None
    ) -> Tensor:
        return amount(images)

    return call


@pytest.mark.parametrize("output, sentence", [
    (lambda images: images[:-1], "returned shape"),
    (lambda images: images.flatten(1), "returned shape"),
    (lambda images: images * float("nan"), "NaN or infinite values in 4 of 4 images"),
    (lambda images: images / 0, "NaN or infinite"),
    (lambda images: (images * 255).byte(), "returned torch.uint8"),
    (lambda images: None, "returned NoneType, expected a tensor"),
])  # fmt: skip
def test_a_broken_output_is_an_error_that_says_what(output: Callable[[Tensor], Any], sentence: str) -> None:
    with pytest.raises(AttackError, match=sentence):
        run(moved_by(output))


def test_leaving_the_budget_is_recorded_then_projected() -> None:
    made = run(moved_by(lambda images: images + 0.35))
    assert made.budget_violation == pytest.approx(0.25, abs=1e-6)
    assert made.box_violation > 0
    assert float(linf(made.images, IMAGES).max()) <= 0.1 + 1e-6
    assert float(made.images.max()) <= 1


def test_an_attack_that_keeps_its_budget_is_not_touched() -> None:
    made = run(moved_by(lambda images: (images - 0.05).clamp(0, 1)))
    assert made.budget_violation == 0 and made.box_violation == 0
    assert torch.equal(made.images, (IMAGES - 0.05).clamp(0, 1))


def test_a_promise_to_reach_the_budget_is_checked() -> None:
    assert run(moved_by(lambda images: images * 0.98), reaches_budget=True).budget_reached is False
    away = moved_by(lambda images: images + torch.where(images > 0.5, -0.1, 0.1))
    assert run(away, reaches_budget=True).budget_reached is True
    assert run(away).budget_reached is None


def _train(surrogate: Any) -> None:
    surrogate.train()
    for module in surrogate.modules():
        module.training = True


def _weight(surrogate: Any) -> None:
    next(surrogate.parameters()).data.add_(1.0)


def _buffer(surrogate: Any) -> None:
    surrogate.members[0][2].running_mean.fill_(3.0)


def _gradient(surrogate: Any) -> None:
    for weight in surrogate.parameters():
        weight.requires_grad_(True)
    surrogate(IMAGES).sum().backward()


@pytest.mark.parametrize("harm, sentence", [
    (_train, "train/eval mode"), (_weight, "weights or buffer"), (_buffer, "running_mean"),
    (_gradient, "requires_grad"),
])  # fmt: skip
def test_an_attack_that_changes_its_surrogate_is_caught_and_the_surrogate_put_back(
    harm: Callable[[Any], None], sentence: str
) -> None:
    def call(
        surrogate: Any, images: Tensor, labels: Tensor, strength: float, *, generator: Any, targets: Any = None
    ) -> Tensor:
        harm(surrogate)
        return images

    victim = surrogate()
    before = {name: value.clone() for name, value in victim.state_dict().items()}
    with pytest.raises(AttackError, match=sentence):
        list(craft(entry(call), victim, IMAGES, LABELS, [0.1], params={}, chunk=4, seed_key=("k",)))
    assert all(torch.equal(value, before[name]) for name, value in victim.state_dict().items())
    assert not any(module.training for module in victim.modules())
    assert all(weight.grad is None and not weight.requires_grad for weight in victim.parameters())


def noisy(
    surrogate: Any, images: Tensor, labels: Tensor, strength: float, *, generator: torch.Generator, targets: Any = None
) -> Tensor:
    """Uses every source of randomness that a foreign attack might."""
    own = torch.rand(images.shape, generator=generator) + torch.rand(images.shape)
    theirs = float(np.random.rand()) + random.random()
    return images + strength * (own + theirs - 2) / 2


def test_randomness_follows_the_seed_key_and_leaves_no_trace() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]
    first, second = run(noisy), run(noisy)
    assert torch.equal(first.images, second.images)
    assert not torch.equal(first.images, run(noisy, key="other").images)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state(legacy=False)["state"]["pos"] == before[2]


def test_the_chunk_is_part_of_the_randomness_and_strengths_share_it() -> None:
    assert not torch.equal(run(noisy, chunk=4).images, run(noisy, chunk=5).images)
    clean = IMAGES / 2 + 0.25  # away from the box
    low, high = craft(entry(noisy), surrogate(), clean, LABELS, [0.01, 0.02], params={}, chunk=4, seed_key=("k",))
    assert torch.allclose((low.images - clean) * 2, high.images - clean, atol=1e-6)


def test_the_call_may_spoil_its_arguments() -> None:
    def call(
        surrogate: Any, images: Tensor, labels: Tensor, strength: float, *, generator: Any, targets: Any = None
    ) -> Tensor:
        kept = images.clone()
        images.zero_()
        labels.zero_()
        return kept

    assert torch.equal(run(call).images, IMAGES)
    assert LABELS.sum() == 5


def test_passes_are_counted_by_hooks() -> None:
    def call(
        surrogate: Any, images: Tensor, labels: Tensor, strength: float, *, generator: Any, targets: Any = None
    ) -> Tensor:
        surrogate(images)
        wanted = images.clone().requires_grad_()
        torch.autograd.grad(surrogate(wanted).sum(), wanted)
        return images

    made = run(call)
    assert (made.forwards, made.backwards) == (20, 10)


def test_delta_swap_gives_each_image_the_perturbation_of_another_of_its_class() -> None:
    delta = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 3, 4, 4) / 1000 + 0.001
    clean = IMAGES * 0.5 + 0.25
    made = Crafted(clean + delta, 0.1, 0.0, 0.0, None, 0, 0, 0.0)
    swapped = delta_swap(made, clean, LABELS, "linf", seed_key=("k",))
    given = ((swapped.images - clean).amax((1, 2, 3)) * 1000 - 1).round().long()
    assert sorted(given.tolist()) == list(range(10))
    assert torch.equal(LABELS[given], LABELS)
    assert not (given == torch.arange(10)).any()


def test_an_info_says_whether_an_attack_must_fool_its_own_surrogate() -> None:
    info: AttackInfo = entry(noisy).info
    assert info.gradient
    assert not entry(noisy, uses="nothing").info.gradient
    assert not entry(noisy, norm=None).info.gradient
