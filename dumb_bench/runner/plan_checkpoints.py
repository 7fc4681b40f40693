"""A grid's own checkpoints: bound to files by the command line, checked before anything runs, turned into models."""

from __future__ import annotations

from collections.abc import Iterator

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.balance import parse
from dumb_bench.data.tasks import task_named
from dumb_bench.errors import InputError, unknown
from dumb_bench.grid import Checkpoint, Grid, ModelAxes
from dumb_bench.models.checkpoints import read_checkpoint
from dumb_bench.models.initial import named_weights
from dumb_bench.runner.plan_attacks import resolved
from dumb_bench.spec import UNKNOWN, ModelSpec, Plugin


def bound(grid: Grid, catalogue: Catalogue) -> Grid:
    """Return the grid with the sha256 of each checkpoint's tensors, all files read and held against their networks.

    Raises:
        InputError: a file is missing or does not fit, is not the one the grid pins, or is of no checkpoint of the grid.
    """
    files = dict(catalogue.checkpoints)
    names = [item.name for item in grid.checkpoints]
    for name in files:
        if name not in names:
            raise InputError(f"--model {name}=FILE: {unknown('checkpoint', name, names)}")
    found = []
    for number, item in enumerate(grid.checkpoints):
        where = f"checkpoints[{number}]"
        spec = checkpoint_model(item, item.task or grid.task[0], catalogue, where)
        if item.name in files:
            own = read_checkpoint(files[item.name], spec, catalogue)
            if item.sha256 not in (None, own.sha256):
                raise InputError(
                    f"{where}.sha256: {item.name!r}: expected {item.sha256}, the tensors of {files[item.name]} have "
                    f"{own.sha256}"
                )
            item = item.model_copy(update={"sha256": own.sha256})
        elif item.sha256 is None:
            raise InputError(f"{where}: {item.name!r} has no file; name it with --model {item.name}=FILE")
        found.append(item)
    return grid.model_copy(update={"checkpoints": found})


def checkpoint_model(item: Checkpoint, task: str, catalogue: Catalogue, where: str) -> ModelSpec:
    """Return the model that a checkpoint is; what the grid does not state is `unknown`.

    Raises:
        InputError: an unknown plugin or parameter, a source without the task, a bad balance, an init nobody offers.
    """
    balance, source = item.balance, Plugin(UNKNOWN)
    if balance is not None:
        try:
            parse(balance, len(task_named(task, catalogue).classes))
        except InputError as error:
            raise InputError(f"{where}.{error}") from None
    if item.source is not None:
        source = resolved(f"{where}.source", "sources", item.source, catalogue)
        info = catalogue.get("sources", source.name).info
        if not info.offers(task):
            raise InputError(f"{where}.source: {source.name!r} does not offer {task!r}, only {', '.join(info.tasks)}")
    spec = ModelSpec(
        task=task,
        source=source,
        architecture=resolved(f"{where}.architecture", "architectures", item.architecture, catalogue),
        balance=balance or UNKNOWN,
        recipe=Plugin("checkpoint"),
        seed=0,
        subset=UNKNOWN,
        init=item.init or UNKNOWN,
        balance_mode=UNKNOWN,
        checkpoint=item.sha256 or "-",
    )
    try:
        named_weights(spec, catalogue)
    except InputError as error:
        raise InputError(f"{where}.init: {error}") from None
    return spec


def checkpoints_of(grid: Grid, block: ModelAxes, task: str, catalogue: Catalogue) -> Iterator[ModelSpec]:
    """Yield the checkpoints of a block that are of a task."""
    for item in grid.checkpoints_of(block, task):
        yield checkpoint_model(item, task, catalogue, "checkpoints")
