"""The one guarded way to run an attack: built-in, foreign or a user's own.

Seeds are set from what is computed and every global random state is put back; gradients are on; the surrogate is
locked, compared and restored; the output is checked for shape, type and finite values; what leaves the budget or the
box is recorded as a number, then projected.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dumb_bench.attacks.base import AttackInfo
from dumb_bench.attacks.recording import Iterate, recording
from dumb_bench.attacks.shared_steps import SharedSteps, sharing
from dumb_bench.catalogue import Entry, all_params
from dumb_bench.errors import AttackError
from dumb_bench.generators import forked_and_seeded
from dumb_bench.perturbation import TOLERANCE, norm_of, project
from dumb_bench.seeding import derive_seed
from dumb_bench.surrogate import Cost, LockedSurrogate


class Crafted(NamedTuple):
    """An adversarial set at one strength.

    images: (N, C, H, W) float32 in [0, 1], within the budget. budget_violation: how far the attack's own output left
    its budget at most, before projection, in the norm's unit. box_violation: how far it left [0, 1]. budget_reached:
    whether every image's norm equals the strength to 1e-6; None where the attack does not promise it. forwards,
    backwards: images passed through the surrogate. seconds: wall time. recorded: the images after each
    intermediate step that was asked for, guarded alike; budget_reached is None there, the cost is that up to the step.
    """

    images: Tensor
    strength: float | None
    budget_violation: float
    box_violation: float
    budget_reached: bool | None
    forwards: int
    backwards: int
    seconds: float
    recorded: tuple[Crafted, ...] = ()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed Python's, NumPy's and torch's global generators and yield a fresh one; put the global ones back after."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with forked_and_seeded(seed, device):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield torch.Generator(device=device).manual_seed(seed)
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def craft(
    attack: Entry,
    surrogate: LockedSurrogate | None,
    images: Tensor,
    labels: Tensor,
    strengths: Iterable[float | None],
    *,
    params: Mapping[str, Any],
    chunk: int,
    seed_key: Sequence[str | int],
    targets: Tensor | None = None,
    steps: Sequence[int] = (),
) -> Iterator[Crafted]:
    """Make an adversarial set at every strength, one after the other, so that one at a time is in memory.

    Args:
        attack: the plugin.
        surrogate: None for an attack that uses nothing.
        images: (N, C, H, W) float32 in [0, 1]. labels: (N,) int64.
        strengths: in the attack's unit; all use the same random numbers. Each is asked for when its set is.
        params: those that differ from the attack's defaults.
        chunk: images of one call of the attack; with `seed_key` it fixes the random numbers.
        seed_key: what the seeds derive from: (surrogate, attack, image source), never strength or victim.
        targets: (N,) int64 where the attack is targeted.
        steps: after which the images are recorded too, each from 1 to below the attack's parameter `steps`; they are in
            memory together. The images and their random numbers stay the same.

    What the strengths of an attack with a `path`, or with steps that do not grow with it, share is computed with the
    first of them, and counted there.

    Raises:
        AttackError: wrong shape or type, not finite, the surrogate was changed, or its steps cannot be recorded.
    """
    info: AttackInfo = attack.info
    settings = all_params(attack, params)
    snapshot = surrogate.snapshot() if surrogate is not None else None
    parts = [slice(start, start + chunk) for start in range(0, len(images), chunk)]
    paths: dict[int, Callable[[float], Tensor]] = {}
    single = isinstance(strengths, Sized) and len(strengths) == 1
    repeatable = surrogate is not None and surrogate.repeatable and not single
    shared = [SharedSteps() if repeatable else None for _ in parts]
    name = attack.plugin.name

    def spent() -> Cost:
        return surrogate.cost if surrogate is not None else Cost(0, 0)

    def call(number: int, strength: float | None) -> Any:
        part = parts[number]
        if surrogate is not None:
            surrogate.restart()
        data = (surrogate, images[part].clone(), labels[part].clone())
        aimed = None if targets is None else targets[part].clone()
        seed = derive_seed(*seed_key, "chunk", number)
        with seeded(seed, images.device) as generator, torch.enable_grad(), sharing(shared[number]):
            if info.path is None or strength is None:
                return attack.call(*data, strength, generator=generator, targets=aimed, **settings)
            if number not in paths:
                paths[number] = info.path(*data, generator=generator, targets=aimed, **settings)
            return paths[number](strength)

    for strength in strengths:
        started = time.perf_counter()
        before = spent()
        pieces: list[Tensor] = []
        iterates: list[dict[int, Iterate]] = []
        try:
            for number, part in enumerate(parts):
                with recording(steps, spent) as found:
                    output = call(number, strength)
                pieces.append(_checked(name, output, images[part]))
                if steps:
                    iterates.append(found.handed_out(name, settings.get("steps", 0), pieces[-1]))
        finally:
            changed = snapshot.restore() if snapshot is not None else None
        if changed:
            raise AttackError(f"attack {name!r} changed its surrogate: {changed}")
        after = spent()
        forwards, backwards = after.forwards - before.forwards, after.backwards - before.backwards
        seconds = time.perf_counter() - started
        last = bounded(torch.cat(pieces), images, info, strength, settings, forwards, backwards, seconds)
        recorded = tuple(
            _recorded(name, [each.pop(step) for each in iterates], images, info, strength, settings) for step in steps
        )
        yield last._replace(recorded=recorded)


def _recorded(
    name: str,
    found: Sequence[Iterate],
    clean: Tensor,
    info: AttackInfo,
    strength: float | None,
    settings: Mapping[str, Any],
) -> Crafted:
    """Return what was recorded of each chunk after a step, guarded as what the attack returns."""
    images = _checked(name, torch.cat([each.images for each in found]), clean)
    forwards, backwards = (sum(values) for values in zip(*(each.cost for each in found), strict=True))
    seconds = sum(each.seconds for each in found)
    made = bounded(images, clean, info, strength, settings, forwards, backwards, seconds)
    return made._replace(budget_reached=None)


def _checked(name: str, output: Any, clean: Tensor) -> Tensor:
    if not isinstance(output, Tensor):
        raise AttackError(f"attack {name!r} returned {type(output).__name__}, expected a tensor of images")
    if output.shape != clean.shape:
        raise AttackError(f"attack {name!r} returned shape {tuple(output.shape)}, expected {tuple(clean.shape)}")
    if not output.is_floating_point():
        raise AttackError(f"attack {name!r} returned {output.dtype}, expected floating point images in [0, 1]")
    found: Tensor = output.detach().to(clean)
    broken = int((~torch.isfinite(found)).flatten(1).any(1).sum())
    if broken:
        raise AttackError(f"attack {name!r} returned NaN or infinite values in {broken} of {len(found)} images")
    return found


def budget_norm(info: AttackInfo, settings: Mapping[str, Any]) -> str | None:
    """Return the norm that bounds an attack: its parameter `norm` where it has one, else the declared one."""
    chosen = settings.get("norm", info.norm)
    return chosen if chosen is None else str(chosen)


def bounded(
    raw: Tensor,
    clean: Tensor,
    info: AttackInfo,
    strength: float | None,
    settings: Mapping[str, Any],
    forwards: int,
    backwards: int,
    seconds: float,
) -> Crafted:
    """Measure how far an output leaves budget and box, then project it."""
    norm = budget_norm(info, settings)
    outside = max(0.0, float(torch.maximum(-raw.amin(), raw.amax() - 1)))
    violation = 0.0
    reached = None
    promised = info.reaches_budget and norm == info.norm
    images = project(raw, clean, norm, strength)
    if norm is not None and strength is not None:
        violation = max(0.0, float((norm_of(norm, raw, clean) - strength).amax()))
        if promised:
            reached = bool((norm_of(norm, images, clean) >= strength - TOLERANCE).all())
    return Crafted(images, strength, violation, outside, reached, forwards, backwards, seconds)


def delta_swap(
    crafted: Crafted, clean: Tensor, labels: Tensor, norm: str | None, *, seed_key: Sequence[str | int]
) -> Crafted:
    """Give every image the perturbation of another image of its class, re-projected (control).

    Same size and spectrum as the attack's, nothing specific to the image. Partners are a cycle through a random order
    of each class, so that no image keeps its own.
    """
    started = time.perf_counter()
    delta = crafted.images - clean
    swapped = torch.empty_like(delta)
    generator = torch.Generator().manual_seed(derive_seed(*seed_key, "delta_swap"))
    for label in torch.unique(labels):
        members = torch.nonzero(labels == label).flatten()
        order = members[torch.randperm(len(members), generator=generator).to(members.device)]
        swapped[order] = delta[order.roll(1)]
    images = project(clean + swapped, clean, norm, crafted.strength)
    return Crafted(images, crafted.strength, 0.0, 0.0, None, 0, 0, time.perf_counter() - started)
