"""The user's own checkpoints of a plan, put into the store, from where slots take them: no slot needs a path."""

from __future__ import annotations

import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.checkpoints import read_checkpoint
from dumb_bench.models.parts import Part
from dumb_bench.models.training import TrainedModel
from dumb_bench.posteriors.base import WeightSamples
from dumb_bench.runner.plan import Plan
from dumb_bench.runner.stored_parts import StoredParts
from dumb_bench.store.store import Store


def store_checkpoints(plan: Plan, store: Store, catalogue: Catalogue) -> None:
    """Store the weights of every checkpoint that the store lacks.

    Raises:
        InputError: they are neither stored nor bound to a file, or the file has changed since the plan was made.
    """
    names = {item.sha256: item.name for item in plan.grid.checkpoints}
    files = dict(catalogue.checkpoints)
    parts = StoredParts(store, catalogue, torch.device("cpu"))
    for model in plan.models.values():
        part = Part(model)
        if not model.checkpoint or store.has_artifact(part.id):
            continue
        name = names[model.checkpoint]
        if name not in files:
            raise InputError(f"checkpoint {name!r}: not in the store; name its file with --model {name}=FILE")
        own = read_checkpoint(files[name], model, catalogue)
        if own.sha256 != model.checkpoint:
            raise InputError(f"{files[name]}: has changed since the run began")
        parts[part.id] = TrainedModel(WeightSamples((own.state,)), {})
