"""What a plan costs, roughly: timed forward passes of its architectures times the passes that it asks for."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.data.tasks import task_named
from dumb_bench.defences.composition import about
from dumb_bench.models.networks import blank_network
from dumb_bench.models.parts import epochs_of, passes_of, samples_of
from dumb_bench.models.training import training_counts
from dumb_bench.runner.plan import Plan
from dumb_bench.spec import AttackSpec, ModelSpec, SurrogateSpec

BACKWARD = 3.0
"""A forward and backward pass costs about three forward passes."""


class Estimate(NamedTuple):
    """CPU seconds on one core like this one; bytes.

    Upper bounds: training, which early stopping ends sooner; crafting, where a search is pruned or steps are shared.
    """

    training_seconds: float
    crafting_seconds: float
    scoring_seconds: float
    table_bytes: int
    weight_bytes: int


def estimate(plan: Plan, catalogue: Catalogue) -> Estimate:
    """Time one batch of each architecture of the plan, on images of each shape, and multiply."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        costs = {}
        for model in (*plan.models.values(), *(part.spec for part in plan.parts.values())):
            key = _kind(model, catalogue)
            if key not in costs:
                costs[key] = _seconds_an_image(model, catalogue)
    finally:
        torch.set_num_threads(threads)
    each = {name: costs[_kind(model, catalogue)][0] * _passes(model, catalogue) for name, model in plan.models.items()}
    facing: dict[tuple[str, ...], float] = {}
    training = crafting = scoring = 0.0
    weights = 0
    for part in plan.parts.values():
        seconds, parameters = costs[_kind(part.spec, catalogue)]
        images = sum(training_counts(part.spec, catalogue))
        training += seconds * BACKWARD * images * epochs_of(part, catalogue) * passes_of(part, catalogue)
        weights += 4 * parameters * samples_of(part, catalogue)
    rows = 0
    for item in plan.sets:
        images = item.spec.images.per_class * len(task_named(item.spec.images.task, catalogue).classes)
        sets = item.most * (1 + len(item.steps))
        looks = images * sets * len(plan.deliveries)
        if item.victims not in facing:
            facing[item.victims] = sum(each[name] for name in item.victims)
        scoring += looks * facing[item.victims]
        rows += sets * len(plan.deliveries) * len(item.victims) * images
        if item.spec.surrogate is not None and not item.spec.control:
            crafting += _crafting(item.spec.attack, item.spec.surrogate, images, item.most, each, catalogue)
    for tuning in plan.tunings.values():
        images = tuning.images.per_class * len(task_named(tuning.images.task, catalogue).classes)
        points = len(tuning.tune.over)
        strengths = points.bit_length() if tuning.tune.search == "bisection" else points
        crafting += _crafting(tuning.attack, tuning.surrogate, images, strengths, each, catalogue)
    table = int(30 * plan.test_rows + rows * (2.0 if plan.grid.output.margins else 0.3))
    return Estimate(training, crafting, scoring, table, weights)


def _kind(model: ModelSpec, catalogue: Catalogue) -> tuple[Hashable, ...]:
    """Return what the time of a pass depends on: an architecture, the images' shape and the number of classes."""
    task = task_named(model.task, catalogue)
    return model.architecture, task.image_shape, len(task.classes)


def _crafting(
    attack: AttackSpec,
    surrogate: SurrogateSpec,
    images: int,
    strengths: int,
    seconds: Mapping[str, float],
    catalogue: Catalogue,
) -> float:
    """Return the seconds of making a set at some strengths: a pass forward and backward a step.

    seconds: of a pass of an image through a model, by its id.
    """
    entry = catalogue.get("attacks", attack.attack.name)
    settings = all_params(entry, attack.attack.as_dict())
    steps = 0 if entry.info.uses == "nothing" else settings.get("steps", 1)
    each = sum(seconds[model.id] for model in surrogate.models)
    if surrogate.aggregation == "cycle":
        each /= sum(model.samples for model in surrogate.models)
    times = 1 if entry.info.path is not None else strengths
    return images * times * each * BACKWARD * (steps if isinstance(steps, int) else 1) * (settings.get("eot") or 1)


def _passes(model: ModelSpec, catalogue: Catalogue) -> int:
    """Return the passes of single networks that an image takes through a model as it is deployed."""
    return model.samples * about(model.defence, catalogue).passes({})


def _seconds_an_image(model: ModelSpec, catalogue: Catalogue) -> tuple[float, int]:
    """Return the time of a forward pass, of 64 images or as many as take about a second; and the parameters."""
    network = blank_network(model, catalogue).eval()
    few = torch.zeros(2, *task_named(model.task, catalogue).image_shape)
    with torch.inference_mode():
        network(few)
        batch = min(64, max(2, int(2 / _timed(network, few))))
        seconds = _timed(network, few[:1].expand(batch, -1, -1, -1))
    return seconds / batch, sum(weight.numel() for weight in network.parameters())


def _timed(network: nn.Module, images: torch.Tensor) -> float:
    started = time.perf_counter()
    network(images)
    return time.perf_counter() - started
