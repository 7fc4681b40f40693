"""One attack under trial: its parameters, its subject, and the runs that the checks share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import torch
from torch import Tensor

from dumb_bench.attacks.base import AttackInfo
from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.catalogue import Entry, check_params, parameters
from dumb_bench.conformance.network import SIDE, Subject, settings_kept, subject
from dumb_bench.errors import InputError

FEW: tuple[tuple[str, int], ...] = (
    (r"binary_search_steps|max_halving|max_doubling", 3),
    (r"(\w+_)?(steps|iter|iters|iterations|epochs)", 10),
    (r"(n_|num_|nb_)?(copies|neighbou?rs?|samples?|spectra|warps)(_\w+)?", 5),
    (r"(n_|max_|num_)?quer(y|ies)|query_limit|max_eval", 100),
    (r"(n_|num_)?restarts", 2),
    (r"init_size|init_eval|num_trial|repeats", 20),
)
"""Names of parameters that count repetitions -> how many of them are few."""


COSTLY = 20_000
"""A first run that passes more images than this through the surrogate is repeated with the fewest repetitions."""


def repetitions(entry: Entry, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return parameters with the fewest repetitions, with few, with many, and with all.

    What the caller gave is kept, as is a default that is no larger or that may not be smaller.

    Raises:
        InputError: a parameter that is unknown or not allowed.
    """
    known = check_params(entry, given)
    caps = {
        name: next((cap for pattern, cap in FEW if re.fullmatch(pattern, name)), 0)
        for name, item in parameters(entry).items()
        if name not in given and type(item.default) is int
    }
    stages: list[dict[str, Any]] = []
    for shares in ((0.2, 1, 10), (1, 10), (10,)):
        stages.append(dict(known))
        for name, cap in caps.items():
            stages[-1] |= next((cut for share in shares if (cut := _cut(entry, name, round(share * cap)))), {})
    return [*stages, known]


def _cut(entry: Entry, name: str, number: int) -> dict[str, Any]:
    """Return a parameter with fewer repetitions; nothing where they are no fewer, or not allowed."""
    if not 0 < number < parameters(entry)[name].default:
        return {}
    try:
        return check_params(entry, {name: number})
    except InputError:
        return {}


@dataclass(frozen=True)
class Trial:
    """One attack at fixed parameters.

    blind: it is given no surrogate. aimed: it is always given targets. classes: at least so many. side: of the images,
    in pixels. harm, settings: what its runs did to surrogates, and to global settings.
    """

    entry: Entry
    params: Mapping[str, Any]
    blind: bool = False
    aimed: bool = False
    classes: int = 2
    side: int = SIDE
    harm: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)

    @property
    def info(self) -> AttackInfo:
        info: AttackInfo = self.entry.info
        return info

    @property
    def strength(self) -> float | None:
        """The largest default strength."""
        return self.info.default_strengths[-1] if self.info.default_strengths else None

    def varied(self, *, entry: Entry | None = None, **params: Any) -> Trial:
        """Return a trial of another entry or with other parameters; what it harms is told here."""
        return replace(self, entry=entry or self.entry, params={**self.params, **params})

    def subject(self, classes: int = 2, channels: int = 3, **how: int) -> Subject:
        """Return images and a fresh surrogate that the attack allows, of at least so many classes and channels."""
        classes = max(classes, self.classes, self.info.min_classes)
        return subject(classes, max(channels, self.info.min_channels), self.side, **how)

    def run(
        self,
        on: Subject,
        strengths: Sequence[float | None] | None = None,
        *,
        seed: int = 0,
        targets: Tensor | None = None,
    ) -> list[Crafted]:
        """Run the attack at some strengths, by default its largest; seed and images settle the random numbers."""
        if self.aimed and targets is None:
            targets = (on.labels - 1) % on.surrogate.num_classes
        try:
            with settings_kept(self.settings):
                made = craft(
                    self.entry, None if self.blind else on.surrogate, on.images, on.labels,
                    [self.strength] if strengths is None else strengths,
                    params=self.params, chunk=64, seed_key=("conformance", seed), targets=targets,
                )  # fmt: skip
                return list(made)
        finally:
            self.harm.extend(on.surrogate.changed)

    @cached_property
    def first(self) -> tuple[Subject, Crafted]:
        """The run that most checks look at."""
        on = self.subject()
        return on, self.run(on)[0]

    @cached_property
    def repeated(self) -> bool:
        """Whether a second run at the same seed gives the same images."""
        (again,) = self.run(self.subject())
        return torch.equal(again.images, self.first[1].images)


def begin(entry: Entry, stages: Sequence[Mapping[str, Any]]) -> Trial:
    """Return a trial whose first run is done, with few repetitions, or with all where few are not allowed.

    What declares `uses="nothing"` gets a surrogate only if it fails without. What refuses (`InputError`) gets targets,
    images of 224 x 224, 1000 classes: the first of their combinations that it takes.

    Raises:
        Exception: whatever the attack raises.
    """
    fewest, few, _, everything = stages
    usual = Trial(entry, few, blind=entry.info.uses == "nothing")
    others = [replace(usual, params=everything)] + [replace(usual, blind=False)] * usual.blind
    aims = (False, True) if entry.info.targeted else (False,)
    kinds = product((2, 1000), (SIDE, 224), aims)
    try:
        trial = _first_that_runs([usual, *others])
    except InputError:
        trial = _first_that_runs(
            [replace(usual, classes=classes, side=side, aimed=aimed) for classes, side, aimed in kinds]
        )
    if trial.first[1].forwards > COSTLY:
        return _first_that_runs([replace(trial, params=fewest), trial])
    return trial


def _first_that_runs(trials: Sequence[Trial]) -> Trial:
    errors: list[Exception] = []
    for trial in trials:
        try:
            _ = trial.first
        except Exception as error:
            errors.append(error)
        else:
            return trial
    raise errors[0]
