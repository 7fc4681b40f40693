"""The one training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dumb_bench.defences.base import Course, Defence
from dumb_bench.generators import forked_and_seeded
from dumb_bench.models.arithmetic import arithmetic
from dumb_bench.models.augmentation import crop_and_flip, sent
from dumb_bench.models.execution import Steps
from dumb_bench.posteriors.base import (
    Epoch,
    EpochHook,
    History,
    OptimiserOf,
    Schedule,
    State,
    StepHook,
    cosine,
    state_of,
    stepwise,
)
from dumb_bench.posteriors.optimisers import SGD, Adam
from dumb_bench.recipes import Recipe

_EVALUATION_BATCH = 256


class Images(NamedTuple):
    """images: (N, C, H, W) uint8. labels: (N,) int64. Both on the device that trains."""

    images: Tensor
    labels: Tensor


class Validation(NamedTuple):
    """loss: mean cross entropy. f1: macro F1, 0..1."""

    loss: float
    f1: float


class EarlyStopping:
    """Which epoch is kept, and when to stop.

    Kept: the highest validation F1, among equal ones the lowest validation loss, then the earliest. Stop: `patience`
    epochs have passed since F1 last rose by more than `min_delta` (a lower loss alone does not count).
    """

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience = patience
        self.min_delta = min_delta
        self.selected = 0
        self.stop = False
        self._best = (-math.inf, -math.inf)
        self._reference = -math.inf
        self._since = 0

    def update(self, epoch: int, validation: Validation) -> bool:
        """Take note of an epoch; return whether it is the best so far."""
        if validation.f1 > self._reference + self.min_delta:
            self._reference, self._since = validation.f1, 0
        else:
            self._since += 1
        self.stop = self._since >= self.patience
        score = (validation.f1, -validation.loss)
        if score <= self._best:
            return False
        self._best, self.selected = score, epoch
        return True


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global generators (CPU, and the device's) inside the block and restore them after."""
    with forked_and_seeded(seed, device):
        yield


def macro_f1(predictions: Tensor, labels: Tensor, classes: int) -> float:
    """Return the mean over classes of 2 TP / (2 TP + FP + FN), 0 for a class neither present nor predicted.

    predictions, labels: (N,) int64. torchmetrics' multiclass F1 would cost 6 s of import in every process.
    """
    table = torch.bincount(labels * classes + predictions, minlength=classes**2).view(classes, classes).double()
    return float((2 * table.diag() / (table.sum(0) + table.sum(1)).clamp(min=1)).mean())


def scaled(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1]."""
    return images.float().div_(255)


def noisy(images: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise, its standard deviation drawn for each image from U(0, noise), and clip to [0, 1].

    images: (N, C, H, W) in [0, 1]. The noise is drawn on the CPU, so it is the same on every device.
    """
    sigma = noise * torch.rand(len(images), 1, 1, 1, generator=generator)
    drawn = sigma * torch.randn(images.shape, generator=generator)
    return (images + sent(drawn, images.device)).clamp_(0, 1)


def validate(network: nn.Module, data: Images) -> Validation:
    """Return loss and macro F1 on clean images; the network is left in eval mode."""
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(scaled(images)) for images in torch.split(data.images, _EVALUATION_BATCH)])
    loss = float(nn.functional.cross_entropy(logits, data.labels))
    return Validation(loss, macro_f1(logits.argmax(1), data.labels, logits.shape[1]))


def batches_per_epoch(images: int, batch: int) -> int:
    """Return how many mini-batches an epoch has; sizes differ by one at most: none is too small for BatchNorm."""
    return math.ceil(images / batch)


def fit(
    network: nn.Module,
    train: Images,
    validation: Images,
    recipe: Recipe,
    defence: Defence,
    seed: Callable[[str], int],
    *,
    epochs: int | None = None,
    schedule: Schedule | None = None,
    optimiser: OptimiserOf | None = None,
    early_stopping: bool = True,
    on_epoch_end: EpochHook | None = None,
    on_gradients: StepHook | None = None,
    on_step_end: StepHook | None = None,
    parents: Sequence[nn.Module] = (),
) -> History:
    """Train a network in place; arguments and errors as `TrainingProblem.fit`. seed: of each purpose.

    parents: the networks that the defence's training needs, in eval mode, frozen.
    """
    total = recipe.epochs if epochs is None else epochs
    parts = batches_per_epoch(len(train.labels), recipe.batch)
    rate = schedule or _schedule(recipe, total * parts, parts)
    steps = Steps(network, recipe, train.labels.device)
    stepper = optimiser(network) if optimiser else _optimiser(network, recipe)
    order, draw = (torch.Generator().manual_seed(seed(purpose)) for purpose in ("order", "defence"))
    inputs = Inputs(train, recipe, seed)
    stopping = EarlyStopping(recipe.patience, recipe.min_delta)
    best: State = {}
    done: list[Epoch] = []
    gradients = 0
    device, tf32 = train.labels.device, recipe.precision == "tf32"
    with seeded(seed("dropout"), device), arithmetic(device, tf32=tf32):
        for number in range(1, total + 1):
            steps.train_mode()
            losses: list[Tensor] = []
            chosen = sent(torch.randperm(len(train.labels), generator=order), train.labels.device)
            for part in chosen.tensor_split(parts):
                images = steps.laid_out(inputs.of(part))
                step = (number - 1) * parts + len(losses)
                for group in stepper.param_groups:
                    group["lr"] = rate(step)
                stepper.zero_grad()
                course = Course(step / (total * parts), tuple(parents))
                with steps.autocast():
                    loss = defence.loss(network, images, train.labels[part], draw, course)
                steps.backward(loss, stepper)
                if on_gradients is not None:
                    on_gradients(step, rate(step), network)
                steps.step(stepper)
                losses.append(loss.detach() * len(part))
                gradients += len(part)
                if on_step_end is not None:
                    on_step_end(step, rate(step), network)
            mean = float(torch.stack(losses).sum()) / len(train.labels)
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"training diverged: the loss of epoch {number} is {mean}; lower the recipe's lr"
                )
            measured = validate(network, validation)
            done.append(Epoch(number, mean, measured.loss, measured.f1))
            if stopping.update(number, measured) and early_stopping:
                best = state_of(network)
            if on_epoch_end is not None:
                on_epoch_end(done[-1], network)
            if stopping.stop and early_stopping:
                break
    steps.finish()
    if early_stopping:
        network.load_state_dict(best)
    network.eval()
    return History(tuple(done), stopping.selected if early_stopping else total, gradients)


def refresh_statistics(network: nn.Module, train: Images, recipe: Recipe, seed: Callable[[str], int]) -> None:
    """Re-estimate BatchNorm's running statistics, as `TrainingProblem.refresh_statistics`. seed: of each purpose.

    Mean and (unbiased) variance of each mini-batch, averaged over one epoch of training inputs, as drawn for training;
    dropout is off, as where the statistics are used.
    """
    network.eval()
    if recipe.trainable == "head":  # what normalises stood still in training, too
        return
    layers = [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and layer.track_running_stats
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
        layer.momentum = None  # PyTorch: the plain average of all batches
    order = torch.Generator().manual_seed(seed("order"))
    inputs = Inputs(train, recipe, seed)
    chosen = torch.randperm(len(train.labels), generator=order).to(train.labels.device)
    with torch.no_grad():
        for part in chosen.tensor_split(batches_per_epoch(len(train.labels), recipe.batch)):
            network(inputs.of(part))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


class Inputs:
    """Training images as a network sees them: augmented and noisy as the recipe says. seed: of each purpose."""

    def __init__(self, train: Images, recipe: Recipe, seed: Callable[[str], int]) -> None:
        self._images = train.images
        self._recipe = recipe
        self._noise, self._augment = (torch.Generator().manual_seed(seed(name)) for name in ("noise", "augment"))

    def of(self, part: Tensor) -> Tensor:
        """Return the images numbered in `part`, (N, C, H, W) float32 in [0, 1], drawn anew at each call."""
        images = self._images[part]
        if self._recipe.augment == "crop_flip":
            images = crop_and_flip(images, self._augment)
        found = scaled(images)
        return noisy(found, self._recipe.noise, self._noise) if self._recipe.noise > 0 else found


def _schedule(recipe: Recipe, steps: int, steps_per_epoch: int) -> Schedule:
    if recipe.schedule == "cosine":
        return cosine(recipe.lr, steps)
    if recipe.schedule == "steps":
        return stepwise(recipe.lr, recipe.decay, recipe.decay_epochs * steps_per_epoch)
    return lambda step: recipe.lr


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    moving = [weight for weight in network.parameters() if weight.requires_grad]
    decay, fused = recipe.weight_decay, recipe.fused or None
    if recipe.optimiser == "adam":
        return Adam(moving, lr=recipe.lr, betas=(recipe.momentum, 0.999), weight_decay=decay, fused=fused)
    return SGD(moving, lr=recipe.lr, momentum=recipe.momentum, weight_decay=decay, fused=fused)
