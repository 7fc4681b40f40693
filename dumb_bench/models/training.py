"""From the spec of a model to its weight samples and the row of the table `models` that describes its training."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.balance import counts, subset_counts
from dumb_bench.data.base import Split
from dumb_bench.data.images import class_counts, load_split
from dumb_bench.defences.composition import about, defence_of, parents_of
from dumb_bench.models.chosen_images import training_ids, training_places, validation_places
from dumb_bench.models.cost import counted, record_of, total
from dumb_bench.models.fitting import Images, batches_per_epoch, fit, refresh_statistics, scaled
from dumb_bench.models.initial import SHARED, Started, start
from dumb_bench.models.networks import blank_network, fresh_network
from dumb_bench.models.parts import Part, run_of, single
from dumb_bench.models.predictor import networks
from dumb_bench.posteriors.base import EpochHook, History, OptimiserOf, Schedule, State, StepHook, WeightSamples
from dumb_bench.posteriors.point import trained_point
from dumb_bench.recipes import recipe_of
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import ModelSpec


class TrainedModel(NamedTuple):
    """record: the columns of the table `models` that training knows."""

    samples: WeightSamples
    record: dict[str, Any]


class TrainingImages(NamedTuple):
    """What a model is trained on, after subset and balance."""

    train: Split
    validation: Split


def training_images(spec: ModelSpec, catalogue: Catalogue) -> TrainingImages:
    """Return the training and validation images of a model: subset first, then balance, both drawn by seeds.

    The halves of a source are the same for every model; the balance's sub-sample is drawn by the model's own seed.
    The balance mode `fixed_total` leaves validation whole.

    Raises:
        InputError: unknown source, subset, balance or mode, or too few images for the balance.
    """
    train, validation = (load_split(catalogue, spec.task, spec.source, split) for split in ("train", "validation"))
    chosen = training_places(spec, catalogue), validation_places(spec, catalogue)
    return TrainingImages(_taken(train, chosen[0]), _taken(validation, chosen[1]))


def training_counts(spec: ModelSpec, catalogue: Catalogue) -> tuple[int, ...]:
    """Return how many training images of each class `training_images` gives, loading none if the source declares it.

    Raises:
        InputError: as `training_images`.
    """
    available = subset_counts(class_counts(catalogue, spec.task, spec.source, "train"), spec.subset)
    validation = class_counts(catalogue, spec.task, spec.source, "validation")
    if spec.balance_mode == "paper":
        counts(spec.balance, validation, spec.balance_mode)
    return counts(spec.balance, available, spec.balance_mode)


def train_model(spec: ModelSpec, catalogue: Catalogue, *, device: str = "cpu") -> TrainedModel:
    """Train all of a model's posterior in one go, in memory. Bits: as `train_part`; errors too."""
    kept: dict[str, TrainedModel] = {}
    problem = _Problem(spec, catalogue, kept, torch.device(device))
    rest = problem.timed(lambda: problem.posterior.call(problem, **spec.posterior.as_dict()))
    parts = [part.record for part in kept.values()]
    record = total([*parts, rest.record] if rest.record["epochs"] or not parts else parts)
    about = {**describe_training(spec, catalogue), "parameters": parameters_of(spec, catalogue)}
    return TrainedModel(rest.samples, {**about, **record})


def train_part(part: Part, catalogue: Catalogue, kept: Kept, *, device: str = "cpu") -> None:
    """Train a part of a model, and put it where the others are kept; parts it needs and does not find come first.

    Its bits depend on the part's spec, library versions, device type and thread count alone.

    Raises:
        InputError: a name or value of the spec is unknown or out of range.
        FloatingPointError: the loss is not finite.
    """
    problem = _Problem(part.spec, catalogue, kept, torch.device(device))
    params = part.spec.posterior.as_dict()
    length = problem.posterior.info.length
    if part.spec.posterior.name == "point":
        problem.point(part.number)
    elif length:
        problem.posterior.call(problem, **{**params, length: part.number + 1})
    else:
        kept[part.id] = problem.timed(lambda: problem.posterior.call(problem, **params))


def describe_training(spec: ModelSpec, catalogue: Catalogue) -> dict[str, Any]:
    """Return the columns of the table `models` that follow from a spec and its data, before any training."""
    train = load_split(catalogue, spec.task, spec.source, "train")
    labels = train.labels[training_places(spec, catalogue)]
    ids = sorted(training_ids(spec, catalogue))
    return {
        "recipe_params": json.dumps(recipe_of(spec.recipe).model_dump(), sort_keys=True),
        "train_images": len(ids),
        "train_counts": np.bincount(labels).tolist(),
        "train_ids_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
    }


class Kept(Protocol):
    """Where trained parts are kept, by id. `record`: `cost.Record`."""

    def get(self, name: str) -> TrainedModel | None:
        """Return a part, None where it is not there."""

    def __setitem__(self, name: str, part: TrainedModel) -> None:
        """Keep a part."""


@dataclass
class _Problem:
    """The `TrainingProblem` of a spec."""

    spec: ModelSpec
    catalogue: Catalogue
    kept: Kept
    device: torch.device
    histories: list[History] = field(default_factory=list)
    started: Started | None = None
    _inner: float = 0.0

    def __post_init__(self) -> None:
        self.recipe = recipe_of(self.spec.recipe)
        self.data = training_images(self.spec, self.catalogue)
        self.posterior = self.catalogue.get("posteriors", self.spec.posterior.name)
        self._defence = defence_of(self.spec.defence, self.catalogue)
        self._keeps_last = about(self.spec.defence, self.catalogue).keeps == "last"
        self._train, self._validation = (_on_device(split, self.device) for split in self.data)

    @property
    def train_images(self) -> int:
        return len(self.data.train.ids)

    @property
    def steps_per_epoch(self) -> int:
        return batches_per_epoch(self.train_images, self.recipe.batch)

    def seed(self, purpose: str, member: int = 0) -> int:
        return _seed(self.spec, purpose, member)

    def build(self, member: int = 0) -> nn.Module:
        network = fresh_network(self.spec, self.catalogue, self.seed("init", member))
        self.started = start(network, self.spec, self.catalogue)
        return network.to(self.device)

    def fit(
        self,
        network: nn.Module,
        *,
        member: int = 0,
        epochs: int | None = None,
        schedule: Schedule | None = None,
        optimiser: OptimiserOf | None = None,
        early_stopping: bool = True,
        on_epoch_end: EpochHook | None = None,
        on_gradients: StepHook | None = None,
        on_step_end: StepHook | None = None,
    ) -> History:
        parents = self._parents
        with counted((network, *parents)) as passed:
            history = fit(
                network,
                self._train,
                self._validation,
                self.recipe,
                self._defence,
                lambda purpose: self.seed(purpose, member),
                epochs=epochs,
                schedule=schedule,
                optimiser=optimiser,
                early_stopping=early_stopping and not self._keeps_last,
                on_epoch_end=on_epoch_end,
                on_gradients=on_gradients,
                on_step_end=on_step_end,
                parents=parents,
            )
        self.histories.append(history._replace(gradients=passed.images))
        return self.histories[-1]

    @cached_property
    def _parents(self) -> tuple[nn.Module, ...]:
        """The networks that the defence's training needs, trained now where they are not kept."""
        found: list[nn.Module] = []
        for spec in parents_of(self.spec, self.catalogue):
            part = single(spec, self.catalogue)
            started = time.perf_counter()
            trained = self.kept.get(part.id)
            if trained is None:
                train_part(part, self.catalogue, self.kept, device=str(self.device))
                self._inner += time.perf_counter() - started
                trained = self.kept.get(part.id)
            assert trained is not None
            found += networks(spec, self.catalogue, trained.samples, device=str(self.device))
        return tuple(found)

    def part(self, number: int, work: Callable[[], Sequence[State]]) -> Sequence[State]:
        return self._kept(Part(run_of(self.spec, self.catalogue), number), work)

    def point(self, member: int = 0) -> State:
        return self._kept(single(self.spec, self.catalogue, member), lambda: (trained_point(self, member),))[0]

    def _kept(self, part: Part, work: Callable[[], Sequence[State]]) -> tuple[State, ...]:
        found = self.kept.get(part.id)
        if found is None:
            found = self.timed(lambda: WeightSamples(tuple(work())))
            self.kept[part.id] = found
        return found.samples.states

    def timed(self, work: Callable[[], WeightSamples]) -> TrainedModel:
        """Do some work; record what it took, without the parts that are kept on the way."""
        outer, self.histories, self._inner = (self.histories, self._inner), [], 0.0
        started = time.perf_counter()
        samples = work()
        seconds = time.perf_counter() - started
        record = record_of(self.histories, seconds - self._inner)
        if self.started is not None:
            record["init_weights"] = json.dumps(self.started._asdict(), sort_keys=True)
        self.histories, self._inner = outer[0], outer[1] + seconds
        return TrainedModel(samples, record)

    def refresh_statistics(self, network: nn.Module) -> None:
        refresh_statistics(network, self._train, self.recipe, self.seed)

    def training_batches(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in zip(*(torch.split(tensor, batch) for tensor in self._train), strict=True):
            yield scaled(images), labels


def parameters_of(spec: ModelSpec, catalogue: Catalogue) -> int:
    """Return the number of a network's weights."""
    return sum(weight.numel() for weight in blank_network(spec, catalogue).parameters())


def _seed(spec: ModelSpec, purpose: str, member: int = 0) -> int:
    if purpose == "init" and SHARED.fullmatch(spec.init):  # neither the model's seed nor its data
        return derive_seed("init", spec.init, spec.architecture.name, member)
    return derive_seed(*spec.training_key, member, purpose)


def _taken(split: Split, indices: npt.NDArray[np.int64]) -> Split:
    return Split(split.images[indices], split.labels[indices], tuple(split.ids[index] for index in indices))


def _on_device(split: Split, device: torch.device) -> Images:
    return Images(torch.tensor(split.images, device=device), torch.tensor(split.labels, device=device))
