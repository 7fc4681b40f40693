"""The checks that every attack must pass, built-in, another library's or a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from dumb_bench.attacks.craft import budget_norm
from dumb_bench.catalogue import Catalogue, Entry, all_params, parameters
from dumb_bench.conformance.network import SIDE, Subject, random_images
from dumb_bench.conformance.trial import Trial, begin, repetitions
from dumb_bench.errors import AttackError, InputError
from dumb_bench.perturbation import TOLERANCE, norm_of


class Check(NamedTuple):
    """One check: `passed`, `failed` or `skipped`, and why."""

    check: str
    verdict: str
    reason: str


DEFAULTS = "at its defaults"
UNMOVED = "no image was changed here"


def check_attack(catalogue: Catalogue, name: str, params: Mapping[str, Any] | None = None) -> list[Check]:
    """Check an attack on small networks and six random images of 3 x 32 x 32, at its last default strength.

    params: parameters that differ from the attack's defaults. Repetitions (steps, queries, restarts, copies) that are
    many by default are cut, unless `params` names them; the first row says so. What fails then is tried with ten times
    as many, and with all.

    Raises:
        InputError: there is no such attack or parameter.
    """
    entry = catalogue.get("attacks", name)
    stages = repetitions(entry, params or {})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are small: more would wait for one another
    try:
        return _checked(entry, stages)
    finally:
        torch.set_num_threads(threads)


def _checked(entry: Entry, stages: Sequence[Mapping[str, Any]]) -> list[Check]:
    try:
        trial = begin(entry, stages)
    except Exception as error:
        return [Check("shape and finite" if isinstance(error, AttackError) else "runs", "failed", _sentence(error))]
    rows = [Check("runs", "passed", _described(trial))]
    for title, check in _CHECKS.items():
        verdict, reason = _tried(check, trial)
        last = trial
        for params in stages[stages.index(trial.params) :]:  # a method may need its many steps
            if (verdict == "failed" or reason.startswith(UNMOVED)) and params != last.params:
                last = replace(trial, params=params)
                verdict, reason = _tried(check, last)
                reason = f"{reason} ({_described(last)})"
        rows.append(Check(title, verdict, reason))
    return rows


def _described(trial: Trial) -> str:
    """Return which parameters are not at their defaults."""
    known = all_params(trial.entry, {})
    other = [f"{key} = {value} (default {known[key]})" for key, value in trial.params.items()]
    only = ["with targets"] * trial.aimed
    if trial.side != SIDE:
        only.append(f"at {trial.side} x {trial.side}")
    if trial.classes > 2:
        only.append(f"for {trial.classes} classes")
    return ("with " + ", ".join(other) if other else DEFAULTS) + (f"; only {', '.join(only)}" if only else "")


def _tried(check: Callable[[Trial], _Said], trial: Trial) -> _Said:
    try:
        return check(trial)
    except Exception as error:
        return "failed", _sentence(error)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, AttackError | InputError) else f"{type(error).__name__}: {error}"


_Said = tuple[str, str]


def _says(holds: bool, reason: str, otherwise: str | None = None) -> _Said:
    return ("passed", reason) if holds else ("failed", reason if otherwise is None else otherwise)


def _untouched(trial: Trial) -> _Said:
    harm = "; ".join(dict.fromkeys(trial.harm))
    return _says(not harm, "weights, buffers, gradients, modes, layers and hooks as before", f"changed: {harm}")


def _settings(trial: Trial) -> _Said:
    harm = ", ".join(dict.fromkeys(trial.settings))
    return _says(not harm, "torch's settings and all random states as before", f"changed: {harm}")


def _uses(trial: Trial) -> _Said:
    on, made = trial.first
    if trial.info.uses == "nothing":
        return _says(trial.blind, "was given no surrogate", 'declares uses="nothing", but asks for the surrogate')
    reason = f"images passed: {made.forwards} forward, {made.backwards} backward"
    return _says(on.surrogate.asked, reason, 'never asked the surrogate: declare uses="nothing"')


def _box(trial: Trial) -> _Said:
    _, made = trial.first
    return _says(made.box_violation <= TOLERANCE, f"left by {made.box_violation:.2g} at most")


def _budget(trial: Trial) -> _Said:
    _, made = trial.first
    norm = budget_norm(trial.info, all_params(trial.entry, trial.params))
    if norm is None or made.strength is None:
        return "skipped", "declares no norm"
    reason = f"{norm} {made.strength:.4g} exceeded by {made.budget_violation:.2g}"
    return _says(made.budget_violation <= TOLERANCE, reason)


def _other_norm(trial: Trial) -> _Said:
    """Run at L2 length 1 what takes its norm as a parameter."""
    if "norm" not in parameters(trial.entry) or trial.info.norm == "l2" or "norm" in trial.params:
        return "skipped", "no parameter `norm`, or it is set"
    other = trial.varied(norm="l2")
    (made,) = other.run(other.subject(), [1.0])
    return _says(made.budget_violation <= TOLERANCE, f"l2 1 exceeded by {made.budget_violation:.2g}")


def _reached(trial: Trial) -> _Said:
    on, made = trial.first
    norm = budget_norm(trial.info, all_params(trial.entry, trial.params))
    if norm is None or made.strength is None:
        return "skipped", "declares no norm"
    lengths = norm_of(norm, made.images, on.images)
    if trial.info.reaches_budget:
        return _says(bool(made.budget_reached), f"promised; smallest norm {lengths.min():.6g} of {made.strength:.6g}")
    return "skipped", f"not promised; largest norm {lengths.max():.6g} of {made.strength:.6g}"


def _same(trial: Trial) -> _Said:
    return _says(trial.repeated, "two runs agree", "two runs differ")


_UNREPEATED = "skipped", "two runs at the same seed differ already"


def _stochastic(trial: Trial) -> _Said:
    if not trial.repeated:
        return _UNREPEATED
    moved = _differs_by_seed(trial, 2) or (trial.info.stochastic and _differs_by_seed(trial, 3))
    if trial.info.stochastic and not moved and torch.equal(trial.first[1].images, trial.first[0].images):
        return "skipped", UNMOVED
    found = f"another seed, {'other' if moved else 'same'} images"
    return _says(moved == trial.info.stochastic, found, f"declares stochastic={trial.info.stochastic}; {found}")


def _differs_by_seed(trial: Trial, classes: int) -> bool:
    one, other = (trial.run(trial.subject(classes), seed=seed)[0] for seed in (0, 1))
    return not torch.equal(one.images, other.images)


KEPT = 3
"""The image whose batch mates are replaced."""


def _mates(trial: Trial) -> _Said:
    if not trial.repeated:
        return _UNREPEATED
    on = trial.subject()
    classes, channels = on.surrogate.num_classes, on.images.shape[1]
    images, labels = random_images(classes, channels, trial.side, seed=2)
    images[KEPT] = on.images[KEPT]
    labels = (labels + 1) % classes
    labels[KEPT] = on.labels[KEPT]
    (among,) = trial.run(Subject(images, labels, on.surrogate))
    change = float((among.images[KEPT] - trial.first[1].images[KEPT]).abs().max())
    depends = change > TOLERANCE
    found = f"other images in the batch change an image by {change:.2g}"
    if trial.info.batch_independent:
        return _says(not depends, found, f"{found}: declare batch_independent=False")
    return ("passed", f"declared dependent; {found}") if depends else (
        "skipped", f"declared dependent; not seen here ({found})"
    )  # fmt: skip


def _targeted(trial: Trial) -> _Said:
    """Aim at two classes for each image: an untargeted attack can fall on one of them, not on both."""
    if not trial.info.targeted:
        return "skipped", "untargeted only"
    on = trial.subject(3)
    targets = [(on.labels + step) % on.surrogate.num_classes for step in (-1, 1)]
    made = [trial.run(on, targets=aim)[0].images for aim in targets]
    if all(torch.equal(images, on.images) for images in made):
        return "skipped", UNMOVED
    if torch.equal(made[0], made[1]):
        return "failed", "declares targeted=True, but targets change nothing"
    with torch.no_grad():
        before, after = (
            sum(
                float(on.surrogate(images).softmax(1).gather(1, aim[:, None]).mean()) / 2
                for images, aim in zip(several, targets, strict=True)
            )
            for several in ([on.images, on.images], made)
        )
    return _says(after > before, f"mean probability of the target {before:.3g} -> {after:.3g}")


def _zero(trial: Trial) -> _Said:
    if not trial.info.zero_is_identity:
        return "skipped", "not declared (zero_is_identity=False)"
    on = trial.subject()
    (still,) = trial.run(on, [0.0])
    moved = max(still.budget_violation, float((still.images - on.images).abs().max()))
    return _says(moved <= TOLERANCE, "strength 0 leaves the image", f"strength 0 moves the image by {moved:.2g}")


def _path(trial: Trial) -> _Said:
    if not trial.repeated:
        return _UNREPEATED
    if trial.info.path is None or trial.strength is None:
        return "skipped", "no path: each strength is made by itself"
    strengths = [max(trial.strength / 2, trial.info.minimum), trial.strength]
    shared = trial.run(trial.subject(), strengths)
    plugin = replace(trial.entry.plugin, info=trial.info._replace(path=None))
    alone = trial.varied(entry=replace(trial.entry, plugin=plugin))
    for strength, made in zip(strengths, shared, strict=True):
        (single,) = alone.run(alone.subject(), [strength])
        if not torch.equal(made.images, single.images):
            difference = float((made.images - single.images).abs().max())
            return "failed", f"at {strength:.4g} path and single call differ by {difference:.2g}"
    return "passed", "path and single calls agree, bit for bit"


def _alone(trial: Trial) -> _Said:
    on = trial.subject(channels=trial.info.min_channels, count=1, members=2)
    trial.run(on)
    return "passed", f"one image of {on.images.shape[1]} channel(s), two networks"


_CHECKS: dict[str, Callable[[Trial], _Said]] = {  # the last two look at what all runs before them did
    "shape and finite": lambda trial: ("passed", f"{tuple(trial.first[1].images.shape)}, no NaN"),
    "uses what it declares": _uses,
    "box [0, 1]": _box,
    "budget": _budget,
    "budget of norm l2": _other_norm,
    "budget reached": _reached,
    "same seed, same bits": _same,
    "stochastic as declared": _stochastic,
    "batch mates as declared": _mates,
    "targeted as declared": _targeted,
    "identity at 0": _zero,
    "path as single calls": _path,
    "a single image": _alone,
    "surrogate untouched": _untouched,
    "global state untouched": _settings,
}
