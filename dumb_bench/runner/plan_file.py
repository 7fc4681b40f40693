"""The plan as plain data, written beside the results: all that `status`, `report` and `compact` need of it."""

from __future__ import annotations

from typing import Any

from dumb_bench.runner.plan import Plan
from dumb_bench.runner.units import CleanSet, ImagesUnit
from dumb_bench.spec import ModelSpec, delivery_id, digest

FORMAT = 1


def clean_sets(plan: Plan, model: ModelSpec) -> tuple[CleanSet, ...]:
    """Return the test sets on which a model is evaluated clean: of the sources attacked, and of its own."""
    found = dict.fromkeys(plan.clean_sources(model.task))
    found[model.source] = None
    sources = sorted(found, key=lambda source: source.label)
    return tuple(CleanSet(source, delivery) for source in sources for delivery in plan.deliveries)


def plan_document(plan: Plan, store: str) -> dict[str, Any]:
    """Return a plan as JSON data; `digest` identifies what it asks for (not where it is stored)."""
    groups: dict[tuple[str, ...], int] = {}
    sets = []
    for item in plan.sets:
        spec = item.spec
        sets.append(
            {
                "id": spec.id,
                "base": spec.base.id,
                "task": spec.images.task,
                "attack": spec.attack_name,
                "control": item.control,
                "image_source": spec.images.source.label,
                "strengths": list(item.strengths),
                "victims": groups.setdefault(item.victims, len(groups)),
                "surrogates": groups.setdefault(item.surrogates, len(groups)),
                "free": spec.surrogate is None,
            }
        )
    asked: dict[str, Any] = {
        "format": FORMAT,
        "deliveries": [delivery_id(delivery) for delivery in plan.deliveries],
        "margins": plan.grid.output.margins,
        "models": {
            key: {
                "task": model.task,
                **model.columns,
                "clean": [item.id(model.task) for item in clean_sets(plan, model)],
            }
            for key, model in plan.models.items()
        },
        "surrogates": {
            key: {"members": [model.id for model in item.models], "columns": item.columns}
            for key, item in plan.surrogates.items()
        },
        "groups": [list(group) for group in groups],
        "sets": sets,
        "image_units": [ImagesUnit(item).key for item in plan.image_sets],
    }
    report = plan.grid.report
    return {
        **asked,
        "name": plan.grid.name,
        "digest": digest(asked),
        "store": store,
        "counts": plan.counts,
        "refused": [item._asdict() for item in plan.refused],
        "report": {
            "primary": report.primary, "title": report.title, "description": report.description,
            "notes": list(report.notes),
        },
    }  # fmt: skip
