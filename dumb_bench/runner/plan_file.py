"""The plan as plain data, written beside the results: all that `status`, `report` and `compact` need of it."""

from __future__ import annotations

from typing import Any

from dumb_bench.runner.plan import Plan
from dumb_bench.runner.units import ImagesUnit
from dumb_bench.spec import ModelSpec, Plugin, digest

FORMAT = 1


def clean_sources(plan: Plan, model: ModelSpec) -> tuple[Plugin, ...]:
    """Return the sources on whose test split a model is evaluated clean: those attacked, and its own."""
    found = dict.fromkeys(plan.clean_sources(model.task))
    found[model.source] = None
    return tuple(sorted(found, key=lambda source: source.label))


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
        "deliveries": list(plan.deliveries),
        "models": {
            key: {"task": model.task, **model.columns, "clean": [source.label for source in clean_sources(plan, model)]}
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
