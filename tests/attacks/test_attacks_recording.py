"""Images after intermediate steps: those of a shorter run bit for bit, and the last ones stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from linear_model import CATALOGUE, STAGES, small_network
from torch import Tensor

from dumb_bench.attacks.base import attack
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.iterative import iterate
from dumb_bench.catalogue import Entry
from dumb_bench.errors import AttackError
from dumb_bench.perturbation import linf
from dumb_bench.runner.plan_steps import hands_out_steps
from dumb_bench.surrogate import LockedSurrogate

IMAGES = torch.rand(7, 3, 32, 32, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(7) % 2
ABLE = [name for name in CATALOGUE.names("attacks") if hands_out_steps(CATALOGUE.get("attacks", name))]
CHEAP: dict[str, dict[str, object]] = {
    **{name: {key: value for key, value in params.items() if key != "steps"} for name, params in STAGES.items()},
    "ssa": {"copies": 2}, "decowa": {"copies": 2}, "sia": {"copies": 2}, "bsr": {"copies": 2}, "fia": {"copies": 2},
    "naa": {"points": 2}, "rap": {"inner_steps": 2},
}  # fmt: skip


def run(
    found: str | Entry, record: tuple[int, ...] = (), count: int = 1, aggregation: str = "mean_logits", **params: Any
) -> Crafted:
    """Craft at eps 0.1 in two chunks, on `count` networks that differ."""
    entry = CATALOGUE.get("attacks", found) if isinstance(found, str) else found
    networks = [small_network().float() for _ in range(count)]
    for number, network in enumerate(networks):
        for weight in network.parameters():
            weight.data *= 1 + 0.5 * number
            weight.data += 0.01 * number
    (made,) = craft(
        entry, LockedSurrogate(networks, 2, aggregation), IMAGES, LABELS, [0.1],
        params=params, chunk=4, seed_key=("key",), steps=record,
    )  # fmt: skip
    return made


def own(call: Callable[..., Tensor]) -> Entry:
    """An attack of a user's own file; its module is this one, which imports the loop."""
    marked = attack("mine")(call)
    return Entry(marked, marked.__plugin__, "1", "mine.py")  # type: ignore[attr-defined]


def test_who_can() -> None:
    assert {"bim", "mifgsm", "pgd", "rfgsm", "tifgsm", "ila", "rap", "logit"} <= set(ABLE) and len(ABLE) == 25
    for name in ("fgsm", "deepfool", "square", "box_blur", "identity", "torchattacks.BIM"):
        assert not hands_out_steps(CATALOGUE.get("attacks", name))


@pytest.mark.parametrize("aggregation", ["mean_logits", "cycle"])
@pytest.mark.parametrize("name, params", [
    ("bim", {"reference": True}), ("pgd", {"random_start": False}), ("pgd", {}), ("rfgsm", {}),
    ("logit", {"inputs": ()}),
])  # fmt: skip
def test_after_k_steps_it_is_the_run_of_k_steps_with_that_step_size(
    name: str, params: dict[str, Any], aggregation: str
) -> None:
    whole = run(name, (1, 3, 6), count=3, aggregation=aggregation, steps=8, **params)
    for step, early in zip((1, 3, 6), whole.recorded, strict=True):
        short = run(name, count=3, aggregation=aggregation, steps=step, **params)
        assert torch.equal(early.images, short.images), step
        assert (early.forwards, early.backwards) == (short.forwards, short.backwards)
        assert early.budget_violation == short.budget_violation
    assert not torch.equal(whole.recorded[-1].images, whole.images)


@pytest.mark.parametrize("name, decay", [("bim", 0.0), ("mifgsm", 1.0)])
@pytest.mark.parametrize("aggregation", ["mean_logits", "cycle"])
def test_where_the_step_is_a_share_of_eps_it_belongs_to_the_run_of_all_steps(
    name: str, decay: float, aggregation: str
) -> None:
    def shorter(
        surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
        generator: torch.Generator, targets: Tensor | None = None, steps: int = 10,
    ) -> Tensor:  # fmt: skip
        gradient = Objective(surrogate, labels).gradient
        return iterate(
            images, strength, gradient=gradient, generator=generator, steps=steps, step=strength / 8, decay=decay
        )

    whole = run(name, (1, 2, 5), count=2, aggregation=aggregation, steps=8)
    for step, early in zip((1, 2, 5), whole.recorded, strict=True):
        assert torch.equal(early.images, run(own(shorter), count=2, aggregation=aggregation, steps=step).images)
        assert float(linf(early.images, IMAGES).max()) == pytest.approx(0.1 * step / 8, abs=1e-6)
    assert not torch.equal(whole.recorded[1].images, run(name, count=2, aggregation=aggregation, steps=2).images)


@pytest.mark.parametrize("name", ABLE)
def test_recording_leaves_the_last_images_as_they_are_and_costs_rise(name: str) -> None:
    params = {**CHEAP.get(name, {}), "steps": 4}
    plain, whole = run(name, **params), run(name, (1, 3), **params)
    assert torch.equal(plain.images, whole.images) and plain.recorded == ()
    assert (plain.forwards, plain.backwards) == (whole.forwards, whole.backwards)
    one, three = whole.recorded
    assert 0 < one.forwards < three.forwards < whole.forwards
    assert 0 < one.backwards < three.backwards < whole.backwards
    assert one.seconds < three.seconds < whole.seconds
    assert not torch.equal(one.images, three.images) and not torch.equal(three.images, whole.images)
    for early in whole.recorded:
        assert early.budget_reached is None and early.strength == 0.1
        assert float(linf(early.images, IMAGES).max()) <= 0.1 + 1e-6 and early.box_violation == 0


def test_the_order_asked_for_is_the_order_given() -> None:
    late, early = run("pgd", (5, 2), steps=8).recorded
    assert torch.equal(late.images, run("pgd", steps=5).images)
    assert torch.equal(early.images, run("pgd", steps=2).images)


def leaping(
    surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
    generator: torch.Generator, targets: Tensor | None = None, steps: int = 4,
) -> Tensor:  # fmt: skip
    """Leave the budget: the loop's own is around another image, and too wide."""
    return iterate(images + 0.3, 1.0, gradient=torch.ones_like, generator=generator, steps=steps, step=0.2, decay=0.0)


def test_what_leaves_the_budget_on_the_way_is_recorded_then_projected() -> None:
    (early,) = run(own(leaping), (1,)).recorded
    assert early.budget_violation > 0.3
    assert float(linf(early.images, IMAGES).max()) <= 0.1 + 1e-6
    assert float(early.images.max()) <= 1


def best_of(
    surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
    generator: torch.Generator, targets: Tensor | None = None, steps: int = 4,
) -> Tensor:  # fmt: skip
    ends = [
        iterate(
            images, strength, gradient=Objective(surrogate, labels).gradient, generator=generator, steps=steps,
            random_start=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    return torch.stack(ends).mean(0)


def changed_in_place(
    surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
    generator: torch.Generator, targets: Tensor | None = None, steps: int = 4,
) -> Tensor:  # fmt: skip
    gradient = Objective(surrogate, labels).gradient
    return iterate(images, strength, gradient=gradient, generator=generator, steps=steps).mul_(0.99)


def fewer_steps(
    surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
    generator: torch.Generator, targets: Tensor | None = None, steps: int = 4,
) -> Tensor:  # fmt: skip
    gradient = Objective(surrogate, labels).gradient
    return iterate(images, strength, gradient=gradient, generator=generator, steps=steps - 1)


def no_loop(
    surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
    generator: torch.Generator, targets: Tensor | None = None, steps: int = 4,
) -> Tensor:  # fmt: skip
    return images


@pytest.mark.parametrize("call", [best_of, changed_in_place, fewer_steps, no_loop])
def test_an_attack_whose_images_are_not_the_end_of_its_loop_is_an_error(call: Callable[..., Tensor]) -> None:
    assert run(own(call)).recorded == ()
    with pytest.raises(AttackError, match=r"attack 'mine': steps cannot be recorded.* over its 4 steps"):
        run(own(call), (1,))


def test_the_best_of_several_restarts_is_refused_by_the_guard_too() -> None:
    with pytest.raises(AttackError, match="steps cannot be recorded"):
        run("pgd", (1,), steps=4, restarts=3)


def test_an_inner_loop_is_not_the_attacks() -> None:
    def nested(
        surrogate: Any, images: Tensor, labels: Tensor, strength: float, *,
        generator: torch.Generator, targets: Tensor | None = None, steps: int = 4,
    ) -> Tensor:  # fmt: skip
        gradient = Objective(surrogate, labels).gradient

        def ahead(point: Tensor) -> Tensor:
            return gradient(iterate(point, 0.01, gradient=gradient, generator=generator, steps=4))

        return iterate(images, strength, gradient=ahead, generator=generator, steps=steps, step=0.02)

    (early,) = run(own(nested), (2,), steps=4).recorded
    assert torch.equal(early.images, run(own(nested), steps=2).images)
