"""A script that works as published studies do, on the harness's weights and pixels.

Its stages follow the public code of Alecci et al. (RAID 2023): train and save every model; then for each attack and
surrogate, and for each strength of the sweep, read the clean images, craft, write files, read them again, predict and
measure SSIM; then make each chosen set anew and write JPEG files; then, for each set and victim, load the victim from
its file, decode the set and predict. Nothing outlives the step that made it.

So that its tables can agree with the harness's, it differs from that code: models are behind their own preprocessing,
images are rounded to 8 bits, batches are the harness's chunks with the harness's seeds, attacks are the package's
functions (no gradient shared between the strengths of a sweep), what they return is moved into the budget (at an eps of
76.5 levels the last bit decides how a pixel is rounded), files of a sweep are lossless (BMP, quicker to write
and read than JPEG), a strength is chosen on the tuning split. SSIM is torchmetrics', as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.image import structural_similarity_index_measure

from dumb_bench.data.images import attacked_images
from dumb_bench.perturbation import project
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import AttackSpec, ImagesSpec

from .clock import Clock
from .flops import Images as Done
from .ideal import Attacked
from .plain_training import train
from .study import Study, Tuning
from .success import Success, Table, Test

CONTROLS = ("identity", "sign_noise")
SWEPT, SENT = "bmp", "jpg"


class Folder(Dataset[tuple[Tensor, int]]):
    """The image files of a folder in the order of their names, `00012_1.jpg` being of class 1."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self.paths[index]
        with Image.open(path) as picture:
            levels = torch.from_numpy(np.array(picture.convert("RGB")))
        return levels.permute(2, 0, 1).float() / 255, int(path.stem.rpartition("_")[2])


def write(folder: Path, images: Tensor, labels: Tensor, first: int, kind: str) -> None:
    """Write images (N, 3, H, W) in [0, 1] as files numbered from `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = (images * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for number, (picture, label) in enumerate(zip(levels, labels.tolist(), strict=True), first):
        Image.fromarray(picture).save(folder / f"{number:05d}_{label}.{kind}")


@dataclass
class Naive:
    """One run of the script, its files in an empty folder. by_image: DeepFool one image after the other."""

    study: Study
    clock: Clock
    folder: Path
    by_image: bool = False
    weights: dict[str, Mapping[str, Tensor]] = field(default_factory=dict)
    tests: Table = field(default_factory=dict)
    decoded: int = 0
    loaded: int = 0

    def run(self) -> Naive:
        """Do all of it."""
        torch.set_num_threads(1)
        self._write_data()
        with self.clock.running():
            self._train()
            self._baseline()
            chosen = {tuning: self._sweep(tuning) for tuning in self.study.tunings}
            for tuning, strength in chosen.items():
                if strength is not None:
                    self._evaluate(tuning.surrogate, tuning.attack, strength)
            for made in self.study.sets:
                if made.attack.attack.name not in CONTROLS:
                    self._static(made.attack, made.images)
        return self

    def _write_data(self) -> None:
        """Write the data set, which the studies have on disk already."""
        for images in (*self.study.image_sets, *(item.images for item in self.study.tunings)):
            if not self._clean(images).exists():
                split = attacked_images(self.study.catalogue, images)
                write(self._clean(images), torch.tensor(split.images) / 255, torch.tensor(split.labels), 0, SWEPT)

    def _clean(self, images: ImagesSpec) -> Path:
        return self.folder / "data" / f"{images.split}-{images.source.label}"

    def _train(self) -> None:
        (self.folder / "models").mkdir()
        for key, model in self.study.models.items():
            with self.clock.stage("training"):
                trained = train(model, self.study.catalogue)
                self.weights[key] = trained.network.state_dict()
                torch.save(self.weights[key], self.folder / "models" / key)

    def _model(self, key: str) -> nn.Module:
        with self.clock.stage("loading models"), torch.random.fork_rng(devices=[]):
            self.loaded += 1
            network = self.study.models[key].build()
            network.load_state_dict(torch.load(self.folder / "models" / key, weights_only=True))
            return network.eval().requires_grad_(False)

    def _batches(self, folder: Path, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        with self.clock.stage("files"):
            found = Folder(folder)
            self.decoded += len(found)
            batches = iter(DataLoader(found, batch))
        while True:
            with self.clock.stage("files"):
                pair = next(batches, None)
            if pair is None:
                return
            yield pair[0], pair[1]

    def _right(self, network: nn.Module, folder: Path) -> Tensor:
        """Return which images of a folder a network gets right, (N,) bool."""
        found = []
        for images, labels in self._batches(folder, 64):
            with self.clock.stage("scoring"), torch.no_grad():
                found.append(network(images).argmax(1) == labels)
        return torch.cat(found)

    def _baseline(self) -> None:
        """Predict the clean images: as they are for the choice of strengths, as JPEG files for the tests."""
        self._known: dict[tuple[str, Path], Tensor] = {}
        for images in self.study.image_sets:
            with self.clock.stage("files"):
                for number, (pictures, labels) in enumerate(self._batches(self._clean(images), 64)):
                    write(self._sent(images), pictures, labels, 64 * number, SENT)
        for key in self.study.models:
            network = self._model(key)
            for folder in {self._clean(item.images) for item in self.study.tunings if item.surrogate == key}:
                self._known[key, folder] = self._right(network, folder)
            for images in self.study.image_sets:
                self._known[key, self._sent(images)] = self._right(network, self._sent(images))

    def _sent(self, images: ImagesSpec) -> Path:
        return self.folder / "sent" / images.source.label

    def _make(
        self, network: nn.Module, surrogate: str, spec: AttackSpec, strength: float | None, images: ImagesSpec, to: Path
    ) -> None:
        """Make a set and write its files."""
        entry, settings = self.study.attack(spec)
        looks = self.study.uses_surrogate(spec)
        tuned = ("tune",) if images.split == "tuning" else ()
        key = (*self.study.seed_key(surrogate if looks else "", spec, images), *tuned)
        attacked = Attacked(network, self.study.classes, "", Done()) if looks else None
        kind = SWEPT if tuned else SENT
        alone = 1 if self.by_image and spec.attack.name == "deepfool" else spec.chunk
        for number, (pictures, labels) in enumerate(self._batches(self._clean(images), spec.chunk)):
            with self.clock.stage("crafting"), torch.random.fork_rng(devices=[]):
                seed = derive_seed(*key, "chunk", number)
                torch.manual_seed(seed)
                generator = torch.Generator().manual_seed(seed)
                made = torch.cat(
                    [
                        entry.call(attacked, some, theirs, strength, generator=generator, targets=None, **settings)
                        for some, theirs in zip(torch.split(pictures, alone), torch.split(labels, alone), strict=True)
                    ]
                )
                made = project(made.detach(), pictures, self.study.norm(spec), strength)
            with self.clock.stage("files"):
                write(to, made, labels, number * spec.chunk, kind)

    def _sweep(self, tuning: Tuning) -> float | None:
        """Make and measure every strength; return the most successful one of SSIM above the threshold."""
        network = self._model(tuning.surrogate)
        right = self._known[tuning.surrogate, self._clean(tuning.images)]
        to = self.folder / "sweep" / tuning.surrogate / tuning.attack.attack.name
        best: tuple[float, float] | None = None
        for strength in tuning.tune.over:
            self._make(network, tuning.surrogate, tuning.attack, strength, tuning.images, to)
            fooled = int((right & ~self._right(network, to)).sum())
            similar = self._similarity(to, self._clean(tuning.images))
            if similar > tuning.tune.ssim and (best is None or (fooled, strength) > best):
                best = (fooled, strength)
        return best[1] if best else None

    def _similarity(self, folder: Path, clean: Path) -> float:
        values = []
        for (images, _), (originals, _) in zip(self._batches(folder, 64), self._batches(clean, 64), strict=True):
            with self.clock.stage("SSIM"):
                found = structural_similarity_index_measure(images, originals, data_range=1.0, reduction="none")
                assert isinstance(found, Tensor)
                values.append(found)
        return float(torch.cat(values).double().mean())

    def _static(self, spec: AttackSpec, images: ImagesSpec) -> None:
        """Make a set without a strength for every model of its source, once to look at it and once to score it."""
        for key, model in self.study.models.items():
            if model.spec.source == images.source:
                to = self.folder / "sweep" / key / spec.attack.name
                network = self._model(key)
                self._make(network, key, spec, None, images, to)
                self._right(network, to)
                self._similarity(to, self._clean(images))
                self._evaluate(key, spec, None)

    def _evaluate(self, surrogate: str, spec: AttackSpec, strength: float | None) -> None:
        """Make a set again, and ask one victim after the other."""
        source = self.study.models[surrogate].spec.source
        (images,) = (item for item in self.study.image_sets if item.source == source)
        to = self.folder / "adversarial" / surrogate / spec.attack.name
        self._make(self._model(surrogate), surrogate, spec, strength, images, to)
        for victim in self.study.models:
            right = self._known[victim, self._sent(images)]
            success = right & ~self._right(self._model(victim), to)
            own = surrogate if self.study.uses_surrogate(spec) else ""
            test = Test(own, spec.attack.name, strength, source.label, "jpeg75", victim)
            self.tests[test] = Success(len(right), int(right.sum()), int(success.sum()))


def without_controls(tests: Table) -> Table:
    """Return the harness's tests that the script has, too: the controls are the harness's own."""
    return {
        test: found
        for test, found in tests.items()
        if test.attack not in CONTROLS and not test.attack.startswith("delta_swap")
    }
