"""The models and surrogates of a grid: the product of its axes, every plugin and parameter checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Literal

from dumb_bench.catalogue import Catalogue
from dumb_bench.data import balance as balances_of
from dumb_bench.data.tasks import Task
from dumb_bench.errors import InputError
from dumb_bench.grid import Choice, Grid
from dumb_bench.models.networks import fresh_network
from dumb_bench.recipes import recipe_of, resolve_recipe
from dumb_bench.runner.plan_attacks import Refused, resolved
from dumb_bench.spec import ModelSpec, Plugin, SurrogateSpec


def _models(
    grid: Grid,
    role: Literal["surrogates", "victims"],
    task: Task,
    catalogue: Catalogue,
    architectures: Iterable[Choice],
) -> Iterator[ModelSpec]:
    def plugins(kind: str, axis: str, choices: Iterable[Choice]) -> list[Plugin]:
        return [resolved(f"{role}.{axis}", kind, choice, catalogue) for choice in choices]

    balances = []
    for balance in grid.axis(role, "balance"):
        try:
            balances_of.parse(balance, len(task.classes))
        except InputError as error:
            where = role if getattr(grid, role).balance is not None else "models"
            raise InputError(f"{where}.balance: {error}") from None
        balances.append(balance)
    sources = plugins("sources", "source", grid.axis(role, "source"))
    for source in sources:
        offered = catalogue.get("sources", source.name).info.tasks
        if task.name not in offered:
            raise InputError(
                f"{role}.source: {source.name!r} does not offer the task {task.name!r}, only {', '.join(offered)}"
            )
    recipes = []
    for choice in grid.axis(role, "recipe"):
        try:
            recipes.append(resolve_recipe(choice.name, dict(choice.params)))
        except InputError as error:
            raise InputError(f"training.recipe: {error}") from None
    posteriors = plugins("posteriors", "posterior", grid.axis(role, "posterior"))
    counts = {item: catalogue.get("posteriors", item.name).info.count(item.as_dict()) for item in posteriors}
    for item, recipe in product(posteriors, recipes):
        try:
            catalogue.get("posteriors", item.name).info.epochs(recipe_of(recipe), item.as_dict())
        except InputError as error:
            raise InputError(f"{role}.posterior: {error}") from None
    axes = product(
        sources,
        grid.axis(role, "subset"),
        plugins("architectures", "architecture", architectures),
        grid.axis(role, "init"),
        balances,
        plugins("defences", "defence", grid.axis(role, "defence")),
        posteriors,
        recipes,
        grid.axis(role, "seed"),
    )
    for source, subset, architecture, init, balance, defence, posterior, recipe, seed in axes:
        yield ModelSpec(
            task=task.name, source=source, architecture=architecture, balance=balance, recipe=recipe, seed=seed,
            subset=subset, init=init, balance_mode=grid.training.balance_mode, defence=defence, posterior=posterior,
            samples=counts[posterior],
        )  # fmt: skip


def victims_of(grid: Grid, task: Task, catalogue: Catalogue) -> Iterator[ModelSpec]:
    """Yield the defender's models."""
    yield from _models(grid, "victims", task, catalogue, grid.axis("victims", "architecture"))


def surrogates_of(grid: Grid, task: Task, catalogue: Catalogue, refused: list[Refused]) -> Iterator[SurrogateSpec]:
    """An architecture `"a+b"` is an ensemble of one model of each, alike in all else.

    A modifier that an architecture does not allow goes to `refused` with its reason.
    """
    modifiers = [resolved("surrogates.modifier", "modifiers", item, catalogue) for item in grid.surrogates.modifier]
    refusals: dict[tuple[Plugin, Plugin], str | None] = {}
    for choice in grid.axis("surrogates", "architecture"):
        names = choice.name.split("+")
        if len(names) > 1 and choice.params:
            raise InputError(f"surrogates.architecture: {choice.name!r} is an ensemble and takes no parameters")
        if len(set(names)) < len(names):
            raise InputError(
                f"surrogates.architecture: {choice.name!r} names an architecture twice; use seeds for that"
            )
        members = [choice._replace(name=name) for name in names]
        columns = [list(_models(grid, "surrogates", task, catalogue, [member])) for member in members]
        for models in zip(*columns, strict=True):
            for aggregation in grid.surrogates.aggregation:
                for modifier in modifiers:
                    reasons = [_refusal(model, modifier, refusals, catalogue) for model in models]
                    reason = next(filter(None, reasons), None)
                    if reason is None:
                        yield SurrogateSpec(models, aggregation, modifier)
                        continue
                    item = Refused(f"modifier {modifier.label}, surrogate {choice.name}", reason)
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
