"""Which images of its source a model is trained and validated on, drawn once in a process, no image copied."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.balance import subsample, subset_members
from dumb_bench.data.images import load_split
from dumb_bench.seeding import derive_seed
from dumb_bench.spec import ModelSpec, Plugin

MOST_KEPT = 128
"""Choices that a process keeps: models of other posteriors and defences share one."""

Places = npt.NDArray[np.int64]
"""Places in a split, ascending."""


def training_places(spec: ModelSpec, catalogue: Catalogue) -> Places:
    """Return a model's training images: subset first, then balance, as `training.training_images`; its errors too."""
    halves = derive_seed(spec.task, spec.source.name, "halves")
    seed = derive_seed(*spec.training_key, 0, "subsample")
    return _balanced(
        catalogue, spec.task, spec.source, "train", spec.subset, halves, spec.balance, spec.balance_mode, seed
    )


def validation_places(spec: ModelSpec, catalogue: Catalogue) -> Places:
    """Return a model's validation images: under `paper` balanced as those of training, else all. Raises as above."""
    if spec.balance_mode != "paper":
        return np.arange(len(load_split(catalogue, spec.task, spec.source, "validation").labels))
    seed = derive_seed(*spec.training_key, 0, "validation")
    return _balanced(catalogue, spec.task, spec.source, "validation", "all", 0, spec.balance, spec.balance_mode, seed)


def training_ids(spec: ModelSpec, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the ids of a model's training images. Raises as `training_places`."""
    ids = load_split(catalogue, spec.task, spec.source, "train").ids
    return tuple(ids[place] for place in training_places(spec, catalogue))


@lru_cache(maxsize=MOST_KEPT)
def _balanced(
    catalogue: Catalogue,
    task: str,
    source: Plugin,
    split: str,
    subset: str,
    halves: int,
    balance: str,
    mode: str,
    seed: int,
) -> Places:
    """Draw a subset by the seed `halves`, then a balance by `seed`."""
    labels = load_split(catalogue, task, source, split).labels
    members = subset_members(labels, subset, halves)
    found = members[subsample(labels[members], balance, mode, seed)]
    found.flags.writeable = False
    return found
