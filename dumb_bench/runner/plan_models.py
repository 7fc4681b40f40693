"""The models and surrogates of a grid: the product of its axes, every plugin and parameter checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

from dumb_bench.catalogue import Catalogue
from dumb_bench.data import balance as balances_of
from dumb_bench.data.declared import sources_for
from dumb_bench.data.tasks import Task
from dumb_bench.defences.composition import resolve_defence
from dumb_bench.errors import InputError
from dumb_bench.grid import Choice, Grid, ModelAxes, Role, SurrogateAxes
from dumb_bench.models.networks import fresh_network
from dumb_bench.recipes import recipe_of, resolve_recipe
from dumb_bench.runner.plan_attacks import Refused, resolved
from dumb_bench.runner.plan_checkpoints import checkpoints_of
from dumb_bench.spec import UNKNOWN, ModelSpec, Plugin, SurrogateSpec

_OVER_ALL_WEIGHTS = frozenset({"vi", "laplace"})
"""Posteriors that need every weight to move."""


class _Block(NamedTuple):
    """One table of a role, and its name in messages."""

    grid: Grid
    axes: ModelAxes
    name: str

    def axis(self, name: str) -> list[Any]:
        """Return an axis."""
        return self.grid.axis(self.axes, name)


def _blocks(grid: Grid, role: Role) -> list[_Block]:
    blocks = grid.blocks(role)
    return [
        _Block(grid, block, role if len(blocks) == 1 else f"{role}[{number}]") for number, block in enumerate(blocks)
    ]


def _models(
    block: _Block, task: Task, catalogue: Catalogue, architectures: Iterable[Choice], refused: list[Refused]
) -> Iterator[ModelSpec]:
    role = block.name

    def plugins(kind: str, axis: str, choices: Iterable[Choice]) -> list[Plugin]:
        return [resolved(f"{role}.{axis}", kind, choice, catalogue) for choice in choices]

    balances = []
    for balance in block.axis("balance"):
        try:
            balances_of.parse(balance, len(task.classes))
        except InputError as error:
            where = role if block.axes.balance is not None else "models"
            raise InputError(f"{where}.balance: {error}") from None
        balances.append(balance)
    sources = plugins("sources", "source", sources_for(block.grid, block.axes, task))
    for source in sources:
        info = catalogue.get("sources", source.name).info
        if not info.offers(task.name):
            raise InputError(
                f"{role}.source: {source.name!r} does not offer the task {task.name!r}, only {', '.join(info.tasks)}"
            )
    recipes = []
    for choice in block.axis("recipe"):
        try:
            recipes.append(resolve_recipe(choice.name, dict(choice.params)))
        except InputError as error:
            raise InputError(f"training.recipe: {error}") from None
    posteriors = plugins("posteriors", "posterior", block.axis("posterior"))
    counts = {item: catalogue.get("posteriors", item.name).info.count(item.as_dict()) for item in posteriors}
    for item, recipe in product(posteriors, recipes):
        if recipe_of(recipe).trainable == "head" and item.name in _OVER_ALL_WEIGHTS:
            raise InputError(f'{role}.posterior: {item.name!r} is over all weights, not with trainable = "head"')
        try:
            catalogue.get("posteriors", item.name).info.epochs(recipe_of(recipe), item.as_dict())
        except InputError as error:
            raise InputError(f"{role}.posterior: {error}") from None
    defences = [_defence(f"{role}.defence", choice, catalogue) for choice in block.axis("defence")]
    drawn = [
        (posterior, samples, draw)
        for posterior in posteriors
        for samples, draw in _draws(block, posterior, counts[posterior], refused)
    ]
    axes = product(
        sources,
        block.axis("subset"),
        plugins("architectures", "architecture", architectures),
        block.axis("init"),
        balances,
        defences,
        drawn,
        recipes,
        block.axis("seed"),
    )
    mode = block.grid.training.balance_mode
    for source, subset, architecture, init, balance, defence, (posterior, samples, draw), recipe, seed in axes:
        yield ModelSpec(
            task=task.name, source=source, architecture=architecture, balance=balance, recipe=recipe, seed=seed,
            subset=subset, init=init, balance_mode=mode, defence=defence, posterior=posterior, samples=samples,
            draw=draw,
        )  # fmt: skip


def _defence(where: str, choice: Choice, catalogue: Catalogue) -> Plugin:
    try:
        return resolve_defence(choice.name, dict(choice.params), catalogue)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _draws(block: _Block, posterior: Plugin, count: int, refused: list[Refused]) -> Iterator[tuple[int, int]]:
    """Yield (samples, draw) of a posterior that has `count` samples; all of them are one draw."""
    draws = block.axes.draw if isinstance(block.axes, SurrogateAxes) else [0]
    for asked in block.axis("samples"):
        samples = count if asked == "all" else asked
        if samples > count:
            item = Refused(f"{block.name}: {samples} samples of {posterior.label}", f"it has {count}")
            if item not in refused:
                refused.append(item)
            continue
        for draw in draws if samples < count else [0]:
            yield samples, draw


def victims_of(grid: Grid, task: Task, catalogue: Catalogue, refused: list[Refused]) -> Iterator[ModelSpec]:
    """Yield the defender's models; samples that a posterior does not have go to `refused`."""
    for block in _blocks(grid, "victims"):
        if block.axes.checkpoint is not None:
            yield from checkpoints_of(grid, block.axes, task.name, catalogue)
        else:
            yield from _models(block, task, catalogue, block.axis("architecture"), refused)


def sources_attacked(
    grid: Grid, task: Task, surrogates: list[SurrogateSpec], victims: list[ModelSpec], catalogue: Catalogue
) -> list[Plugin]:
    """Return the sources whose test images are attacked, by the rule `images.source`.

    A checkpoint of unknown source has no images of its own: it takes part in those of all other models' sources, and
    where there are none, of `models.source`.

    Raises:
        InputError: no source is known.
    """
    rule = grid.images.source
    attackers = [model for surrogate in surrogates for model in surrogate.models]
    models = (attackers if rule != "victim" else []) + (victims if rule != "surrogate" else [])
    if any(model.source.name == UNKNOWN for model in models):
        models += attackers + victims
    found = dict.fromkeys(model.source for model in models if model.source.name != UNKNOWN)
    if not found:
        chosen = [resolved("models.source", "sources", item, catalogue) for item in grid.models.source or ()]
        found = dict.fromkeys(item for item in chosen if catalogue.get("sources", item.name).info.offers(task.name))
    if not found:
        raise InputError(
            f"models.source: missing; no checkpoint of task {task.name!r} states its source, so name whose images are "
            "attacked"
        )
    return list(found)


def surrogates_of(grid: Grid, task: Task, catalogue: Catalogue, refused: list[Refused]) -> Iterator[SurrogateSpec]:
    """An architecture `"a+b"` is an ensemble of one model of each, alike in all else.

    A modifier that an architecture does not allow goes to `refused` with its reason, as do samples that a posterior
    does not have.
    """
    refusals: dict[tuple[Plugin, Plugin], str | None] = {}
    for block in _blocks(grid, "surrogates"):
        yield from _surrogates(block, task, catalogue, refused, refusals)


def _surrogates(
    block: _Block,
    task: Task,
    catalogue: Catalogue,
    refused: list[Refused],
    refusals: dict[tuple[Plugin, Plugin], str | None],
) -> Iterator[SurrogateSpec]:
    asked: SurrogateAxes = block.axes  # type: ignore[assignment]
    modifiers = [resolved(f"{block.name}.modifier", "modifiers", item, catalogue) for item in asked.modifier]
    if asked.checkpoint is not None:
        for model in checkpoints_of(block.grid, asked, task.name, catalogue):
            yield from _used((model,), model.architecture.name, asked, modifiers, catalogue, refused, refusals)
        return
    for choice in block.axis("architecture"):
        names = [catalogue.canonical("architectures", name) for name in choice.name.split("+")]
        if len(names) > 1 and choice.params:
            raise InputError(f"{block.name}.architecture: {choice.name!r} is an ensemble and takes no parameters")
        if len(set(names)) < len(names):
            raise InputError(
                f"{block.name}.architecture: {choice.name!r} names an architecture twice; use seeds for that"
            )
        members = [choice._replace(name=name) for name in names]
        columns = [list(_models(block, task, catalogue, [member], refused)) for member in members]
        for models in zip(*columns, strict=True):
            yield from _used(models, choice.name, asked, modifiers, catalogue, refused, refusals)


def _used(
    models: tuple[ModelSpec, ...],
    shown: str,
    asked: SurrogateAxes,
    modifiers: list[Plugin],
    catalogue: Catalogue,
    refused: list[Refused],
    refusals: dict[tuple[Plugin, Plugin], str | None],
) -> Iterator[SurrogateSpec]:
    """Yield the surrogates that some models are, one for each way to combine and to modify them."""
    for aggregation in asked.aggregation:
        for modifier in modifiers:
            reasons = [_refusal(model, modifier, refusals, catalogue) for model in models]
            reason = next(filter(None, reasons), None)
            if reason is None:
                yield SurrogateSpec(models, aggregation, modifier)
                continue
            item = Refused(f"modifier {modifier.label}, surrogate {shown}", reason)
            if item not in refused:
                refused.append(item)


def _refusal(
    model: ModelSpec, modifier: Plugin, known: dict[tuple[Plugin, Plugin], str | None], catalogue: Catalogue
) -> str | None:
    """Return why a modifier cannot change an architecture; None where it can."""
    key = (model.architecture, modifier)
    if modifier.name != "none" and key not in known:
        network = fresh_network(model, catalogue, seed=0).eval().requires_grad_(False)
        try:
            catalogue.get("modifiers", modifier.name).call(network, **modifier.as_dict())
            known[key] = None
        except InputError as error:
            known[key] = str(error)
    return known.get(key)
