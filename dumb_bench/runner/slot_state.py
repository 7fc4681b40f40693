"""What a slot keeps warm between units: data, networks, clean answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import Crafted, craft
from dumb_bench.attacks.gradient_graphs import GradientGraphs
from dumb_bench.catalogue import Catalogue, Entry
from dumb_bench.data.base import Split
from dumb_bench.data.images import attacked_images, clean_test_images, targets_of
from dumb_bench.data.tasks import task_named
from dumb_bench.defences.composition import about, defence_of
from dumb_bench.evaluation import Labels, mean_logits_of, reduced_batch
from dumb_bench.models.arithmetic import arithmetic
from dumb_bench.models.chosen_images import training_ids
from dumb_bench.models.parts import Makeup, makeup
from dumb_bench.models.scoring_batches import batch_for
from dumb_bench.runner.arrivals import Arrivals
from dumb_bench.runner.half_answers import HalfAnswers, Scored
from dumb_bench.runner.pairing import Pairs
from dumb_bench.runner.stored_parts import StoredParts
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import EXACT, FAST, NONE, ImagesSpec, ModelSpec, Plugin, SetSpec, SurrogateSpec
from dumb_bench.store.store import Store
from dumb_bench.surrogate import LockedSurrogate

TF32_ABOVE = 64
"""Pixels of a side. Measured on an H100: at 224 a gradient takes 0.4 of the time, at 32 as long as before."""


class ImageSet(NamedTuple):
    """Images ready for networks.

    images: (N, C, H, W) float32 in [0, 1]. labels: (N,) int64, also as the array `truth`. targets: (N,) int64, what
    targeted attacks aim at.
    """

    images: Tensor
    labels: Tensor
    truth: Labels
    targets: Labels
    ids: tuple[str, ...]

    def aim(self, targeted: bool) -> Tensor | None:
        """Return the targets (N,) beside the images; None for an untargeted attack."""
        return torch.tensor(self.targets, device=self.labels.device) if targeted else None


def as_images(split: Split, device: torch.device, classes: int) -> ImageSet:
    """Return a split as float images on a device; level k of 255 becomes exactly k / 255."""
    images = torch.tensor(split.images, device=device).float() / 255
    labels = torch.tensor(split.labels, device=device)
    return ImageSet(images, labels, split.labels, targets_of(split, classes), split.ids)


class SlotState:
    """The warm state of one slot.

    Args:
        store: where models are read from. catalogue: the plugins. device: `cpu` or `cuda`.
    """

    def __init__(self, store: Store, catalogue: Catalogue, device: str) -> None:
        self.store = store
        self.catalogue = catalogue
        self.device = torch.device(device)
        self._sets: dict[ImagesSpec, ImageSet] = {}
        self._tests: dict[tuple[str, Plugin], ImageSet] = {}
        self.parts = StoredParts(store, catalogue, self.device)
        self._makeups: dict[str, Makeup] = {}
        self._clean: dict[tuple[str, ImagesSpec, str, str], Labels] = {}
        self.halves = HalfAnswers(self._plain)
        self._training_ids: dict[str, frozenset[tuple[str, str]]] = {}
        self._memory: dict[tuple[str, tuple[int, ...], int, str], int] = {}
        self._arrivals = Arrivals(self.deliver)
        self.pairs = Pairs(lambda model: self.makeup(model).weights, self.training_ids)

    def image_set(self, spec: ImagesSpec) -> ImageSet:
        """Return the images of an attack."""
        if spec not in self._sets:
            split = attacked_images(self.catalogue, spec)
            self._sets[spec] = as_images(split, self.device, self.classes(spec.task))
        return self._sets[spec]

    def classes(self, task: str) -> int:
        """Return the number of classes of a task."""
        return len(task_named(task, self.catalogue).classes)

    def test_split(self, task: str, source: Plugin) -> ImageSet:
        """Return the whole test split of a source, in an order that begins as every image set of it does."""
        key = (task, source)
        if key not in self._tests:
            split = clean_test_images(self.catalogue, task, source)
            self._tests[key] = as_images(split, self.device, self.classes(task))
        return self._tests[key]

    def deliver(self, images: Tensor, delivery: str) -> Tensor:
        """Return images as they arrive."""
        delivered: Tensor = self.catalogue.get("deliveries", delivery).call(images)
        return delivered

    def arrived(self, clean: Tensor, delivery: str) -> Tensor:
        """Return the clean images of an `image_set` or `test_split` under a delivery; the very tensor if unchanged."""
        return self._arrivals.of(clean, delivery)

    def model(self, spec: ModelSpec, numerics: str = EXACT) -> tuple[nn.Module, ...]:
        """Return a stored model's networks, inside its defence.

        Raises:
            DamagedFileError: weights are missing or damaged; `path` is the part's id.
        """
        loaded = self.parts.fast if numerics == FAST else self.parts.loaded
        bare = [network for share in self.makeup(spec).shares for network in loaded(share.part).chosen(share)]
        if spec.defence == NONE:
            return tuple(bare)
        defence = defence_of(spec.defence, self.catalogue)
        around = {id(network): defence.wrap(network) for network in bare}
        return tuple(around[id(network)].eval().requires_grad_(False) for network in bare)

    def answer(self, spec: ModelSpec, source: Plugin, images: Tensor, numerics: str = EXACT) -> Tensor:
        """Return a model's logits (N, K) for images of a source, clean or attacked, in the order of its test split.

        A defence that draws random numbers draws the same for an image whether it is attacked, whatever its delivery.
        """
        networks = self.model(spec, numerics)
        return mean_logits_of(networks, images, _draw(spec, source), batch_for(images, numerics, networks))

    def scored(self, spec: ModelSpec, images: ImagesSpec, delivered: Tensor, numerics: str) -> Scored:
        """Return a victim's answer to a delivered set of images, in bfloat16 where that is as good."""

        def full(asked: Tensor) -> Tensor:
            return self.answer(spec, images.source, asked, numerics)

        def clean() -> tuple[Tensor, Tensor]:
            unchanged = self.image_set(images).images
            logits = full(unchanged)
            self._clean[spec.id, images, "float32", numerics] = labels_of(logits)
            return unchanged, logits

        found = self.halves.of(spec, images, delivered, full, clean) if numerics == FAST else None
        return found or Scored(full(delivered), None)

    def scoring_batch(self, spec: ModelSpec, images: Tensor, numerics: str) -> int | None:
        """Return the images of a pass where memory ran out and batches are smaller; None where they are as ever."""
        if reduced_batch() is None:
            return None
        return reduced_batch(batch_for(images, numerics, self.model(spec, numerics)))

    def _plain(self, spec: ModelSpec) -> tuple[nn.Module, ...] | None:
        """Return a model's fast networks where nothing is around them and none draws random numbers, else None."""
        networks = self.model(spec, FAST)
        loaded = [(self.parts.fast(share.part), share) for share in self.makeup(spec).shares]
        bare = [network for part, share in loaded for network in part.chosen(share)]
        plain = all(one is other for one, other in zip(networks, bare, strict=True))
        return tuple(bare) if plain and not any(part.stochastic for part, _ in loaded) else None

    def makeup(self, spec: ModelSpec) -> Makeup:
        """Return what a model consists of."""
        if spec.id not in self._makeups:
            self._makeups[spec.id] = makeup(spec, self.catalogue)
        return self._makeups[spec.id]

    def surrogate(self, spec: SurrogateSpec, numerics: str = EXACT) -> LockedSurrogate:
        """Return what an attack is given: the networks of a surrogate's models, modified copies of them if asked."""
        members = [network for model in spec.models for network in self.model(model, numerics)]
        if spec.modifier.name != "none":
            modify = self.catalogue.get("modifiers", spec.modifier.name).call
            members = [modify(copy.deepcopy(member), **spec.modifier.as_dict()) for member in members]
        seed = derive_seed("cycle", *(model.id for model in spec.models))
        surrogate = LockedSurrogate(members, self.classes(spec.task), spec.aggregation, seed)
        surrogate.repeatable = spec.aggregation != "cycle" and not self._random(spec)
        if numerics == FAST and surrogate.repeatable:
            shape = task_named(spec.task, self.catalogue).image_shape
            surrogate.gradient_batch = batch_for(torch.empty(1, *shape, device=self.device), FAST, members)
            if self.device.type == "cuda":
                surrogate.gradient_graphs = GradientGraphs(surrogate)
        return surrogate

    def _random(self, spec: SurrogateSpec) -> bool:
        """Whether a pass draws random numbers: then other batches would meet other draws."""
        shares = (share for model in spec.models for share in self.makeup(model).shares)
        modifier = self.catalogue.get("modifiers", spec.modifier.name).info
        defences = (about(model.defence, self.catalogue).stochastic for model in spec.models)
        return modifier.stochastic or any(defences) or any(self.parts.loaded(share.part).stochastic for share in shares)

    def crafting(
        self, numerics: str, attack: Entry, surrogate: LockedSurrogate | None, images: Tensor, *asked: Any, **named: Any
    ) -> Iterator[Crafted]:
        """Yield the sets of `craft`, made in TF32 on a GPU where numerics are fast and images larger than 64 pixels.

        Smaller ones gain nothing from it.
        """
        made = craft(attack, surrogate, images, *asked, **named)
        while True:
            with arithmetic(self.device, tf32=numerics == FAST and max(images.shape[2:]) > TF32_ABOVE):
                found = next(made, None)
            if found is None:
                return
            yield found

    def own_logits(self, spec: SurrogateSpec, images: Tensor, numerics: str = EXACT) -> Tensor:
        """Return the surrogate's own answer, (N, K): the mean logits of its networks, unmodified."""
        networks = tuple(network for model in spec.models for network in self.model(model, numerics))
        return mean_logits_of(networks, images, batch=batch_for(images, numerics, networks))

    def own_labels(self, spec: SurrogateSpec, images: ImagesSpec, delivery: str, numerics: str = EXACT) -> Labels:
        """Return the surrogate's own labels for the clean images of a set under a delivery."""
        if as_victim(spec):
            return self.clean_labels(spec.models[0], images, delivery, numerics)
        arrived = self.arrived(self.image_set(images).images, delivery)
        key = ("+".join(("own", *(model.id for model in spec.models))), images, delivery, numerics)
        if key not in self._clean:
            self._clean[key] = labels_of(self.own_logits(spec, arrived, numerics))
        return self._clean[key]

    def memory_bytes(self, spec: SetSpec, surrogate: LockedSurrogate, images: Tensor) -> int:
        """Return what `surrogate` holds for a pass of images (N, C, H, W), measured once for all its sets."""
        batch = min(spec.attack.chunk, len(images), surrogate.gradient_batch or len(images))
        key = (spec.surrogate.id if spec.surrogate else "", tuple(images.shape[1:]), batch, spec.numerics)
        if key not in self._memory:
            self._memory[key] = surrogate.memory_bytes(images[:1], batch)
        return self._memory[key]

    def clean_labels(self, model: ModelSpec, images: ImagesSpec, delivery: str, numerics: str = EXACT) -> Labels:
        """Return a model's labels for the clean images of a set under a delivery (`float32`: as they are)."""
        key = (model.id, images, delivery, numerics)
        if key not in self._clean:
            sent = self.image_set(images).images
            delivered = self.arrived(sent, delivery)
            if delivery != "float32" and delivered is sent:
                return self.clean_labels(model, images, "float32", numerics)
            self._clean[key] = labels_of(self.answer(model, images.source, delivered, numerics))
        return self._clean[key]

    def training_ids(self, model: ModelSpec) -> frozenset[tuple[str, str]]:
        """Return the images that a model was trained on, as (source, id)."""
        if model.id not in self._training_ids:
            ids = training_ids(model, self.catalogue)
            self._training_ids[model.id] = frozenset((model.source.label, name) for name in ids)
        return self._training_ids[model.id]


def as_victim(spec: SurrogateSpec | None) -> str:
    """Return the id of the model whose answer as a victim is the surrogate's own, bit for bit; "" where none is.

    A defence's random draws differ between the roles.
    """
    return spec.models[0].id if spec and len(spec.models) == 1 and spec.models[0].defence == NONE else ""


def _draw(spec: ModelSpec, source: Plugin) -> int:
    """Return the seed of a defence's draws: of model and image source alone."""
    return derive_seed("defence", spec.id, source.label) if spec.defence != NONE else 0


def labels_of(logits: Tensor) -> Labels:
    """Return the label of each row of logits (N, K): the first of the largest."""
    return np.asarray(logits.argmax(1).cpu().numpy(), dtype=np.int64)
