"""The conformance checks find what they are there to find: one planted violation each, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.attacks.base import attack
from dumb_bench.attacks.gradients import Objective
from dumb_bench.catalogue import Catalogue, Entry
from dumb_bench.conformance import Check, check_attack
from dumb_bench.conformance.network import COUNT, MARGIN, subject
from dumb_bench.errors import InputError
from dumb_bench.perturbation import TOLERANCE, linf

Call = Callable[..., Any]


def planted(call: Call, **declared: Any) -> Catalogue:
    declared = {"targeted": True, "reaches_budget": True, "default_strengths": (0.05, 0.1)} | declared
    plugin = attack("mine", **declared)(call).__plugin__  # type: ignore[attr-defined]
    return Catalogue((), {("attacks", "mine"): Entry(call, plugin, "1", "test")})


def verdicts(call: Call, params: dict[str, Any] | None = None, **declared: Any) -> dict[str, Check]:
    return {check.check: check for check in check_attack(planted(call, **declared), "mine", params)}


def failures(call: Call, **declared: Any) -> list[str]:
    return [name for name, check in verdicts(call, **declared).items() if check.verdict == "failed"]


def signs(surrogate: Any, images: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    return Objective(surrogate, labels, targets).gradient(images).sign().to(images.dtype)


def stepping(after: Callable[..., Any] | None = None, before: Callable[[Any], Any] | None = None) -> Call:
    """One signed step. `before` harms the surrogate, `after` (named arguments) replaces the result."""

    def call(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
        if before is not None and surrogate is not None:
            before(surrogate)
        step = signs(surrogate, images, labels, targets)
        if after is None:
            return (images + strength * step).clamp(0, 1)
        return after(images=images, step=step, eps=strength, generator=generator, surrogate=surrogate, labels=labels)

    return call


def moved(images: Tensor, change: Tensor) -> Tensor:
    return (images + change).clamp(0, 1)


def with_norm(surrogate, images, labels, strength, *, generator, targets=None, norm: str = "linf"):  # type: ignore[no-untyped-def]
    return moved(images, strength * signs(surrogate, images, labels, targets))


def looks_at_nothing(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
    return moved(images, torch.full_like(images, strength))


def forgets_targets(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
    return moved(images, strength * signs(surrogate, images, labels, None))


def flees_targets(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
    return moved(images, strength * signs(surrogate, images, labels if targets is None else targets, None))


def path_of(factor: float) -> Call:
    def path(surrogate, images, labels, *, generator, targets=None):  # type: ignore[no-untyped-def]
        step = signs(surrogate, images, labels, targets)
        return lambda eps: moved(images, (eps if eps == 0.1 else factor * eps) * step)

    return path


def raising(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
    raise ValueError("out of ideas")


def refuse() -> None:
    raise InputError("never")


def add_to_a_weight(surrogate: Any) -> None:
    next(surrogate.parameters()).data.add_(1e-3)


def leave_a_hook(surrogate: Any) -> None:
    surrogate.members[0].features[2].register_forward_hook(lambda *_: None)


def exchange_a_layer(surrogate: Any) -> None:
    surrogate.members[0].features[2] = nn.ELU()


def noise(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(images.shape, generator=generator)


VIOLATIONS: list[tuple[str, Call, dict[str, Any]]] = [
    ("runs", raising, {}),
    ("shape and finite", stepping(lambda images, **_: images[:, :, 1:]), {}),
    ("shape and finite", stepping(lambda images, eps, **_: images / 0), {}),
    ("uses what it declares", stepping(), {"uses": "nothing"}),
    ("uses what it declares", looks_at_nothing, {"targeted": False}),
    ("box [0, 1]", stepping(lambda images, step, eps, **_: images + eps * step), {}),
    ("budget", stepping(lambda images, step, eps, **_: moved(images, 1.2 * eps * step)), {}),
    ("budget of norm l2", with_norm, {}),
    ("budget reached", stepping(lambda images, step, eps, **_: moved(images, 0.9 * eps * step)), {}),
    ("same seed, same bits", stepping(
        lambda images, step, eps, **_: moved(images, eps * step * (0.5 + int.from_bytes(os.urandom(2)) / 2**17))),
        {"reaches_budget": False, "stochastic": True}),
    ("stochastic as declared", stepping(
        lambda images, step, eps, generator, **_: moved(images, eps * step * noise(images, generator))),
        {"reaches_budget": False}),
    ("stochastic as declared", stepping(), {"stochastic": True}),
    ("batch mates as declared", stepping(
        lambda images, step, eps, **_: moved(images, eps * (step + (images - images.mean(0)).sign()).sign())), {}),
    ("targeted as declared", forgets_targets, {}),
    ("targeted as declared", flees_targets, {}),
    ("identity at 0", stepping(lambda images, step, eps, **_: moved(images, max(eps, 0.01) * step)), {}),
    ("identity at 0", stepping(lambda images, step, eps, **_: moved(images, (eps or 0.01) * step)),
        {"norm": None, "zero_is_identity": True}),
    ("path as single calls", stepping(), {"path": path_of(0.999)}),
    ("a single image", stepping(lambda images, step, eps, **_: moved(images, eps * step).squeeze(0)), {}),
    ("a single image", stepping(lambda images, step, eps, **_: moved(images, eps * step) + torch.zeros(3, 1, 1)), {}),
    ("surrogate untouched", stepping(before=add_to_a_weight), {}),
    ("surrogate untouched", stepping(before=leave_a_hook), {}),
    ("surrogate untouched", stepping(before=exchange_a_layer), {}),
    ("global state untouched", stepping(
        lambda images, step, eps, **_: (torch.set_num_threads(3), moved(images, eps * step))[1]), {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "call", "declared"), VIOLATIONS, ids=[f"{number} {item[0]}" for number, item in enumerate(VIOLATIONS)]
)
def test_each_violation_is_found_by_its_check_and_no_other(check: str, call: Call, declared: dict[str, Any]) -> None:
    assert failures(call, **declared) == [check]


def test_an_honest_attack_passes_every_check_and_the_verdicts_have_reasons() -> None:
    found = verdicts(stepping(), path=path_of(1.0))
    assert {check.verdict for name, check in found.items() if name != "budget of norm l2"} == {"passed"}
    assert all(check.reason for check in found.values())
    assert {item[0] for item in VIOLATIONS} == found.keys()
    assert torch.get_num_threads() == 1


def test_a_train_mode_left_on_is_harm_to_the_surrogate() -> None:
    assert "surrogate untouched" in failures(stepping(before=lambda surrogate: surrogate.members[0].train()))


def test_a_declared_dependence_on_batch_mates_is_told_and_a_needless_one_too() -> None:
    def mixing(images: Tensor, step: Tensor, eps: float, **_: Any) -> Tensor:
        return moved(images, eps * (step + (images - images.mean(0)).sign()).sign())

    needed = verdicts(stepping(mixing), batch_independent=False)["batch mates as declared"]
    assert needed.verdict == "passed" and needed.reason.startswith("declared dependent; other images in the batch")
    needless = verdicts(stepping(), batch_independent=False)["batch mates as declared"]
    assert needless.verdict == "skipped" and "not seen here" in needless.reason


def test_what_an_attack_does_not_promise_is_skipped() -> None:
    found = verdicts(stepping(), targeted=False, reaches_budget=False, norm=None)
    skipped = {name for name, check in found.items() if check.verdict == "skipped"}
    assert skipped == {
        "budget", "budget of norm l2", "budget reached", "targeted as declared", "identity at 0", "path as single calls"
    }  # fmt: skip
    assert found["targeted as declared"].reason == "untargeted only"


def test_an_attack_that_only_knows_targets_is_always_given_some() -> None:
    def call(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
        if targets is None:
            raise InputError("set targeted = true")
        return moved(images, strength * signs(surrogate, images, labels, targets))

    found = verdicts(call)
    assert found["runs"].reason == "at its defaults; only with targets"
    assert not [check for check in found.values() if check.verdict == "failed"]
    assert failures(call, targeted=False) == ["runs"]


def test_an_attack_for_one_size_and_number_of_classes_is_checked_at_those() -> None:
    def call(surrogate, images, labels, strength, *, generator, targets=None):  # type: ignore[no-untyped-def]
        if images.shape[-1] != 224 or surrogate.num_classes != 1000:
            raise InputError("for 224 x 224 pixels and 1000 classes only")
        return moved(images, strength * signs(surrogate, images, labels, targets))

    found = verdicts(call)
    assert found["runs"].reason == "at its defaults; only at 224 x 224, for 1000 classes"
    assert not [check for check in found.values() if check.verdict == "failed"]
    assert verdicts(stepping(lambda **_: refuse()))["runs"].reason == "never"


def test_randomness_that_shows_with_three_classes_or_not_at_all_is_no_failure() -> None:
    def drawn(images: Tensor, step: Tensor, eps: float, generator: torch.Generator, surrogate: Any, **_: Any) -> Tensor:
        turned = torch.randint(0, surrogate.num_classes - 1, images.shape, generator=generator) * 2 - 1
        return moved(images, -turned * eps * step)

    assert verdicts(stepping(drawn), stochastic=True, targeted=False)["stochastic as declared"].verdict == "passed"
    still = verdicts(stepping(lambda images, **_: images), stochastic=True)
    for name in ("stochastic as declared", "targeted as declared"):
        assert still[name] == (name, "skipped", "no image was changed here")


def slow(calls: list[int], needs: int = 0) -> Call:
    def call(  # type: ignore[no-untyped-def]
        surrogate, images, labels, strength, *, generator, targets=None,
        steps: Annotated[int, Field(ge=1)] = 300, n_queries: Annotated[int, Field(ge=200)] = 5000, decay: float = 1.0,
    ):  # fmt: skip
        calls.append(steps)
        whole = 1.0 if steps >= needs else 0.5
        return moved(images, whole * strength * signs(surrogate, images, labels, targets))

    return call


def test_many_repetitions_are_cut_and_the_cut_is_told() -> None:
    calls: list[int] = []
    found = verdicts(slow(calls))  # 100 queries, the usual cut, are fewer than it allows
    assert found["runs"].reason == "with steps = 10 (default 300), n_queries = 1000 (default 5000)"
    assert set(calls) == {10}
    calls.clear()
    assert verdicts(slow(calls), params={"steps": 300, "n_queries": 5000})["runs"].reason == "at its defaults"
    assert set(calls) == {300}
    assert verdicts(slow(calls), params={"steps": 3, "n_queries": 300, "decay": 0.5})["runs"].reason == (
        "with steps = 3 (default 300), n_queries = 300 (default 5000), decay = 0.5 (default 1.0)"
    )


@pytest.mark.parametrize(("needs", "tried", "verdict"), [
    (50, {10, 100}, "passed"), (250, {10, 100, 300}, "passed"), (400, {10, 100, 300}, "failed")
])  # fmt: skip
def test_what_fails_with_few_repetitions_is_tried_with_more(needs: int, tried: set[int], verdict: str) -> None:
    calls: list[int] = []
    found = verdicts(slow(calls, needs))["budget reached"]
    assert found.verdict == verdict and set(calls) == tried
    last = "steps = 100 (default 300)" if max(tried) == 100 else "at its defaults"
    assert last in found.reason


def test_an_attack_that_allows_no_fewer_steps_runs_at_its_defaults() -> None:
    def staged(surrogate, images, labels, strength, *, generator, targets=None, steps: int = 40, late: int = 20):  # type: ignore[no-untyped-def]
        if late > steps:
            raise InputError("late must come before the end")
        return moved(images, strength * signs(surrogate, images, labels, targets))

    found = verdicts(staged)
    assert found["runs"].reason == "at its defaults"
    assert not [check for check in found.values() if check.verdict == "failed"]


def test_a_parameter_is_checked_before_anything_runs() -> None:
    with pytest.raises(InputError, match="unknown parameter 'stepps'"):
        check_attack(planted(slow([])), "mine", {"stepps": 3})
    with pytest.raises(InputError, match="greater than or equal to 1"):
        check_attack(planted(slow([])), "mine", {"steps": 0})


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_surrogate_of_the_checks_is_right_by_a_margin_and_fooled_by_a_small_step(classes: int) -> None:
    on = subject(classes, 3, members=2)
    logits = on.surrogate(on.images)
    wanted = MARGIN * torch.eye(classes)[on.labels]
    assert float((logits - wanted).abs().max()) < 1e-4
    step = signs(on.surrogate, on.images, on.labels, None)
    fooled = moved(on.images, 8 / 255 * step)
    assert float(linf(fooled, on.images).max()) <= 8 / 255 + TOLERANCE
    assert int((on.surrogate(fooled).argmax(1) != on.labels).sum()) == COUNT
    assert float(on.images.min()) == 0 and float(on.images.max()) == 1
