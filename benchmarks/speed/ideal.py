"""The ideal loop: each model trained once, each set made once, scored on all victims, all in memory.

What a good engineer would write for one study and one machine: no store, no ids, no guard, nothing to resume. Attacks,
norms and SSIM are the package's functions, since the same pixels are needed; everything around them is written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dumb_bench.attacks.base import AttackInfo
from dumb_bench.data.images import attacked_images, clean_test_images
from dumb_bench.perturbation import l2, linf, project, ssim
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import AttackSpec, ImagesSpec

from .clock import Clock
from .flops import Images, Work
from .folding import folded
from .plain_training import train
from .study import AdversarialSet, Model, Study
from .success import Success, Table, Test, attack_label

SCORED = 128
"""Images a forward pass when scoring, as in the harness."""


class Attacked(nn.Module):
    """What an attack is given: one network, its passes counted."""

    def __init__(self, network: nn.Module, classes: int, architecture: str, done: Images) -> None:
        super().__init__()
        self.members = nn.ModuleList([network])
        self.num_classes = classes
        self._architecture, self._done = architecture, done

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        kind = "gradient" if images.requires_grad else "forward"
        self._done[Work("crafting", self._architecture, kind)] += len(images)  # type: ignore[arg-type]
        logits: Tensor = self.members[0](images)
        return logits


class Clean(NamedTuple):
    """images: (N, C, H, W) float32 in [0, 1]. labels: (N,) int64."""

    images: Tensor
    labels: Tensor


def deliver(images: Tensor, delivery: str) -> Tensor:
    """Return images as they arrive.

    Raises:
        ValueError: the loop has no such delivery.
    """
    if delivery == "float32":
        return images
    if delivery != "uint8":
        raise ValueError(f"the ideal loop delivers uint8 and float32, not {delivery}")
    return (images * 255).round().clamp(0, 255) / 255


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the true logit minus the best other one, (N,)."""
    others = logits.scatter(1, labels[:, None], float("-inf")).amax(1)
    return logits.gather(1, labels[:, None])[:, 0] - others


@dataclass
class Ideal:
    """One run of the loop.

    weights: of every model. tests: the table of success. kept: margins and predictions of every test, and norms and
    SSIM of every set, as the harness keeps them. done: the images that went through networks.
    """

    study: Study
    clock: Clock
    weights: dict[str, Mapping[str, Tensor]] = field(default_factory=dict)
    tests: Table = field(default_factory=dict)
    kept: list[tuple[Tensor, ...]] = field(default_factory=list)
    done: Images = field(default_factory=Images)

    def run(self) -> Ideal:
        """Do all of it."""
        for _ in self.steps():
            pass
        return self

    def steps(self) -> Iterator[None]:
        """Do all of it, handing over after every model and every set."""
        torch.set_num_threads(1)
        self.networks: dict[str, nn.Module] = {}
        for key, model in self.study.models.items():
            with self.clock.running():
                self._train(key, model)
            yield
        with self.clock.running():
            self.clean = {images: self._clean(images) for images in self.study.image_sets}
            with self.clock.stage("scoring"):
                self.right = self._clean_answers()
        yield
        for made in self.study.sets:
            with self.clock.running():
                self._attack(made)
            yield

    def _train(self, key: str, model: Model) -> None:
        with self.clock.stage("training"):
            trained = train(model, self.study.catalogue)
            self.weights[key] = trained.network.state_dict()
            self.networks[key] = folded(trained.network) if self.study.fast else trained.network
        architecture = model.spec.architecture.label
        self.done[Work("training", architecture, "training")] += trained.images
        self.done[Work("training", architecture, "forward")] += trained.validated

    def _clean(self, images: ImagesSpec) -> Clean:
        split = attacked_images(self.study.catalogue, images)
        return Clean(torch.tensor(split.images).float() / 255, torch.tensor(split.labels))

    def _answer(self, model: str, images: Tensor) -> Tensor:
        """Return a model's logits, (N, K)."""
        self.done[Work("scoring", self.study.models[model].spec.architecture.label, "forward")] += len(images)
        with torch.inference_mode():
            return torch.cat([self.networks[model](part) for part in torch.split(images, SCORED)])

    def _clean_answers(self) -> dict[tuple[ImagesSpec, str], Tensor]:
        """Return which clean images each model gets right, (N,) bool, asked once.

        The whole test split is asked, as for the table of models; attacked images are its beginning, and the clean
        images are 8 bit, so that they arrive unchanged.
        """
        found = {}
        for images, clean in self.clean.items():
            split = clean_test_images(self.study.catalogue, images.task, images.source)
            every = torch.tensor(split.images).float() / 255
            for model in self.networks:
                found[images, model] = self._answer(model, every)[: len(clean.labels)].argmax(1) == clean.labels
        return found

    def _attack(self, made: AdversarialSet) -> None:
        clean = self.clean[made.images]
        strengths = list(made.strengths)
        with self.clock.stage("crafting"):
            crafted = self._crafted(made, clean, strengths)
        for strength, images in zip(strengths, crafted, strict=True):
            for form in made.strengths[strength]:
                if form:
                    with self.clock.stage("crafting"):
                        found = self._swapped(made, images, clean, strength)
                else:
                    found = images
                name = made.attack.attack.name
                label = attack_label(form, name) if form else name
                for delivery in self.study.deliveries:
                    self._score(made, label, strength, found, clean, delivery)

    def _crafted(self, made: AdversarialSet, clean: Clean, strengths: list[float | None]) -> list[Tensor]:
        """Return the images at every strength: chunk by chunk, what the strengths share computed once."""
        surrogate = None
        if made.surrogate:
            label = self.study.models[made.surrogate].spec.architecture.label
            surrogate = Attacked(self.networks[made.surrogate], self.study.classes, label, self.done)
        key = self.study.seed_key(made.surrogate, made.attack, made.images)
        pieces: list[list[Tensor]] = [[] for _ in strengths]
        chunks = zip(
            torch.split(clean.images, made.attack.chunk), torch.split(clean.labels, made.attack.chunk), strict=True
        )
        for number, (images, labels) in enumerate(chunks):
            seed = derive_seed(*key, "chunk", number)
            for place, found in enumerate(
                at_strengths(self.study, made.attack, surrogate, images, labels, strengths, seed)
            ):
                pieces[place].append(found)
        return [torch.cat(found) for found in pieces]

    def _swapped(self, made: AdversarialSet, images: Tensor, clean: Clean, strength: float | None) -> Tensor:
        """Return the control `delta_swap`: the perturbation of another image of the class, re-projected."""
        delta, swapped = images - clean.images, torch.empty_like(images)
        key = self.study.seed_key(made.surrogate, made.attack, made.images)
        generator = torch.Generator().manual_seed(derive_seed(*key, "delta_swap"))
        for label in torch.unique(clean.labels):
            members = torch.nonzero(clean.labels == label).flatten()
            order = members[torch.randperm(len(members), generator=generator)]
            swapped[order] = delta[order.roll(1)]
        return project(clean.images + swapped, clean.images, self.study.norm(made.attack), strength)

    def _score(
        self, made: AdversarialSet, label: str, strength: float | None, images: Tensor, clean: Clean, delivery: str
    ) -> None:
        """Deliver a set, describe it, and ask every victim."""
        with self.clock.stage("delivery, norms"):
            delivered = deliver(images, delivery)
            norms = [norm(found, clean.images) for norm in (linf, l2) for found in (images, delivered)]
        with self.clock.stage("SSIM"):
            similar = ssim(delivered, clean.images)
        self.kept.append((*norms, similar))
        if made.surrogate and made.surrogate not in made.victims:
            with self.clock.stage("scoring"):
                self.kept.append((self._answer(made.surrogate, delivered).argmax(1),))
        for victim in made.victims:
            with self.clock.stage("scoring"):
                logits = self._answer(victim, delivered)
                predictions = logits.argmax(1)
            right = self.right[made.images, victim]
            success = right & (predictions != clean.labels)
            classes = self.study.classes
            self.kept.append(
                (
                    predictions.to(torch.int8),
                    margins(logits, clean.labels).half(),
                    *(torch.bincount(clean.labels[chosen], minlength=classes) for chosen in (right, success)),
                )
            )
            test = Test(made.surrogate, label, strength, made.images.source.label, delivery, victim)
            self.tests[test] = Success(len(right), int(right.sum()), int(success.sum()))


def at_strengths(
    study: Study,
    spec: AttackSpec,
    surrogate: nn.Module | None,
    images: Tensor,
    labels: Tensor,
    strengths: list[float | None],
    seed: int,
) -> list[Tensor]:
    """Return one chunk's images at every strength, each from the same random numbers."""
    entry, settings = study.attack(spec)
    info: AttackInfo = entry.info

    def draws() -> torch.Generator:
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    with torch.random.fork_rng(devices=[]):
        if info.path is not None:
            at = info.path(surrogate, images, labels, generator=draws(), targets=None, **settings)
            return [at(float(strength or 0.0)).detach() for strength in strengths]
        return [
            entry.call(surrogate, images, labels, strength, generator=draws(), targets=None, **settings).detach()
            for strength in strengths
        ]
