"""What a model's weights are made of: parts of training runs, each trained once and stored by itself.

A chain's cycles, an ensemble's members and the point solution that others start from are parts. Models share them: a
chain of 5 cycles holds that of 2, an ensemble's first member is the single network.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.defences.composition import about, parents_of, trained_as
from dumb_bench.posteriors.base import PosteriorInfo
from dumb_bench.recipes import recipe_of
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import ModelSpec, digest


@dataclass(frozen=True)
class Part:
    """Part `number` of a training run. spec: of the run, without the parameter that says how long it is."""

    spec: ModelSpec
    number: int = 0

    @cached_property
    def id(self) -> str:
        """The part's id; the model's where the part is a single network. Of a checkpoint: that of its weights."""
        if self.spec.checkpoint:
            held = {"checkpoint": self.spec.checkpoint, "architecture": self.spec.architecture, "task": self.spec.task}
            return digest(held)
        if self.number == 0 and self.spec.posterior.name == "point":
            return self.spec.id
        return digest({"run": self.spec.id, "part": self.number})

    @cached_property
    def before(self) -> Part | None:
        """The part whose weights this one goes on from; members of an ensemble have none."""
        if self.number == 0 or self.spec.posterior.name == "point":
            return None
        return Part(self.spec, self.number - 1)


class Share(NamedTuple):
    """Weight samples of a part that a model uses, by their places in it."""

    part: Part
    places: tuple[int, ...]


class Makeup(NamedTuple):
    """What a model consists of. shares: in the order of its samples. needs: every part whose training it took."""

    shares: tuple[Share, ...]
    needs: tuple[Part, ...]

    @property
    def weights(self) -> dict[str, list[int]]:
        """Part id -> the places of the samples used: equal entries are equal weights."""
        return {share.part.id: list(share.places) for share in self.shares}


def makeup(spec: ModelSpec, catalogue: Catalogue) -> Makeup:
    """Return what a model consists of: its first `spec.samples` samples, or those that its draw names."""
    info: PosteriorInfo = catalogue.get("posteriors", spec.posterior.name).info
    params = spec.posterior.as_dict()
    run = run_of(spec, catalogue)
    size = samples_of(Part(run), catalogue)
    places: dict[int, list[int]] = {}
    for sample in drawn(info.count(params), spec.samples, spec.draw):
        places.setdefault(sample // size, []).append(sample % size)
    if info.parents == "members":
        shares = tuple(Share(single(spec, catalogue, member), (0,)) for member in places)
        return Makeup(shares, (*_before(run, catalogue), *(share.part for share in shares)))
    shares = tuple(Share(Part(run, number), tuple(own)) for number, own in places.items())
    start = (single(spec, catalogue),) if info.parents == "start" else ()
    own = (Part(run, number) for number in range(max(places) + 1))
    return Makeup(shares, (*_before(run, catalogue), *start, *own))


def _before(spec: ModelSpec, catalogue: Catalogue) -> tuple[Part, ...]:
    """Return every part of the networks that a defence's training needs."""
    return tuple(part for parent in parents_of(spec, catalogue) for part in makeup(parent, catalogue).needs)


def drawn(count: int, samples: int, draw: int) -> list[int]:
    """Return which of `count` samples are used, ascending: the first for draw 0, else a random subset.

    The subsets of one draw lie in one another; which samples they hold depends on count and draw alone.
    """
    if draw == 0:
        return list(range(samples))
    order = sorted(range(count), key=lambda sample: derive_seed("draw", count, draw, sample))
    return sorted(order[:samples])


def needs_of(part: Part, catalogue: Catalogue) -> tuple[Part, ...]:
    """Return the parts that must be there before a part can be trained."""
    info: PosteriorInfo = catalogue.get("posteriors", part.spec.posterior.name).info
    start = (single(part.spec, catalogue),) if info.parents == "start" else ()
    return (*_before(part.spec, catalogue), *(start if part.before is None else (part.before,)))


def epochs_of(part: Part, catalogue: Catalogue) -> int:
    """Return what training a part costs at most, in epochs."""
    info: PosteriorInfo = catalogue.get("posteriors", part.spec.posterior.name).info
    recipe = recipe_of(part.spec.recipe)
    params = part.spec.posterior.as_dict() | ({info.length: 1} if info.length else {})
    return info.epochs(recipe, params) - (recipe.epochs if info.parents == "start" else 0)


def passes_of(part: Part, catalogue: Catalogue) -> int:
    """Return how many passes forward and backward a training image takes in an epoch of a part, at most."""
    return about(part.spec.defence, catalogue).training_passes({})


def samples_of(part: Part, catalogue: Catalogue) -> int:
    """Return how many weight samples a part gives."""
    info: PosteriorInfo = catalogue.get("posteriors", part.spec.posterior.name).info
    params = part.spec.posterior.as_dict()
    return info.part_samples(params) if info.length else info.count(params)


def run_of(spec: ModelSpec, catalogue: Catalogue) -> ModelSpec:
    """Return the spec of a model's training run: without how long it is, and without what is put around it after."""
    info: PosteriorInfo = catalogue.get("posteriors", spec.posterior.name).info
    kept = tuple((key, value) for key, value in spec.posterior.params if key != info.length)
    posterior = dataclasses.replace(spec.posterior, params=kept)
    return dataclasses.replace(
        spec, posterior=posterior, samples=1, draw=0, defence=trained_as(spec.defence, catalogue)
    )


def single(spec: ModelSpec, catalogue: Catalogue, member: int = 0) -> Part:
    """Return the network of the posterior `point` under a model's conditions, with a member's seeds."""
    point = catalogue.resolve("posteriors", "point", {})
    trained = trained_as(spec.defence, catalogue)
    return Part(dataclasses.replace(spec, posterior=point, samples=1, draw=0, defence=trained), member)
