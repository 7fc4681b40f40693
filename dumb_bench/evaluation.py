"""Networks asked for labels: predictions, margins and the counts of a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dumb_bench.generators import forked, reseed

BATCH = 128
"""Images a forward pass when scoring. Part of the protocol: another batch size may change the last bit of a logit."""

MOST_HALVINGS = 4
"""How often a batch may be halved where memory runs out: down to 8 images."""

_halvings: ContextVar[int] = ContextVar("halvings", default=0)

Labels = npt.NDArray[np.int64]


@contextmanager
def halved(times: int) -> Iterator[None]:
    """Score in batches of 128 / 2**times meanwhile, for memory that ran out.

    The same logits but for rounding (to 1e-5 of their size); a network that draws random numbers keeps its batches,
    since other ones would meet other draws.
    """
    token = _halvings.set(times)
    try:
        yield
    finally:
        _halvings.reset(token)


def reduced_batch(whole: int = BATCH) -> int | None:
    """Return the images of a batch inside `halved`, `whole` elsewhere; None where batches are as ever."""
    return max(whole >> _halvings.get(), 1) if _halvings.get() else None


def _batch_of(network: nn.Module, image: Tensor, whole: int) -> int:
    """Return the images of one forward pass. whole: those where memory suffices."""
    times = _halvings.get()
    return whole if times == 0 or _draws(network, image) else max(whole >> times, 1)


def _draws(network: nn.Module, image: Tensor) -> bool:
    """Whether a network uses PyTorch's global generator; the caller puts it back."""
    generator = torch.cuda.default_generators[image.device.index or 0] if image.is_cuda else torch.default_generator
    before = generator.get_state()
    network(image)
    return not torch.equal(before, generator.get_state())


def logits_of(network: nn.Module, images: Tensor, seed: int = 0, batch: int = BATCH) -> Tensor:
    """Return the logits (N, K) float32 of images (N, C, H, W) in [0, 1], in batches (smaller ones inside `halved`).

    A stochastic network (MC-dropout) draws from PyTorch's global generator, set to the seed meanwhile: clean and
    attacked images of one order meet the same draws.
    """
    with torch.inference_mode(), forked(images.device):
        batch = _batch_of(network, images[:1], batch)
        reseed(seed, images.device)
        return torch.cat([network(images[start : start + batch]) for start in range(0, len(images), batch)]).float()


def mean_logits_of(networks: Sequence[nn.Module], images: Tensor, seed: int = 0, batch: int = BATCH) -> Tensor:
    """Return the mean over weight samples of the logits: how a victim with several samples answers.

    seed: of the first; those of the others follow it.
    """
    total = logits_of(networks[0], images, seed, batch)
    for number, network in enumerate(networks[1:], 1):
        total = total + logits_of(network, images, seed + number, batch)
    return total if len(networks) == 1 else total / len(networks)


def margins_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the true class's logit minus the best other one, (N,); negative where the label is wrong."""
    true = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], float("-inf")).amax(1)
    return true - others


class Counts(NamedTuple):
    """The counts of one test; `class_*` hold one entry a class, in the task's order."""

    n_images: int
    n_victim_correct: int
    n_victim_correct_raw: int
    n_success: int
    n_target_success: int | None
    class_images: list[int]
    class_victim_correct: list[int]
    class_success: list[int]


def count(
    labels: Labels, raw: Labels, clean: Labels, delivered: Labels, num_classes: int, targets: Labels | None = None
) -> Counts:
    """Count one test.

    Args:
        labels: (N,) the truth. raw: (N,) the victim's labels for the clean images as they are. clean: the same under
            the test's delivery. delivered: its labels for the delivered adversarial images. targets: (N,) where the
            attack aims at a class.

    A success is an image that the victim gets right clean, under the same delivery, and wrong when attacked; a target
    success one that it gets right clean and takes for the target when attacked.
    """
    correct = clean == labels
    success = correct & (delivered != labels)

    def by_class(chosen: npt.NDArray[np.bool_]) -> list[int]:
        return [int(value) for value in np.bincount(labels[chosen], minlength=num_classes)]

    return Counts(
        n_images=len(labels),
        n_victim_correct=int(correct.sum()),
        n_victim_correct_raw=int((raw == labels).sum()),
        n_success=int(success.sum()),
        n_target_success=None if targets is None else int((correct & (delivered == targets)).sum()),
        class_images=by_class(np.ones(len(labels), dtype=bool)),
        class_victim_correct=by_class(correct),
        class_success=by_class(success),
    )
