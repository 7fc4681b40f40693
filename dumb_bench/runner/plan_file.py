"""The plan as plain data, written beside the results: all that `status`, `report` and `compact` need of it."""

from __future__ import annotations

from typing import Any

from dumb_bench.attacks.craft import budget_norm
from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.runner.plan import Plan, PlannedSet
from dumb_bench.runner.units import CleanSet, ImagesUnit, TuneUnit
from dumb_bench.spec import UNKNOWN, ModelSpec, TuningSpec, delivery_id, digest, to_json

FORMAT = 1


def clean_sets(plan: Plan, model: ModelSpec) -> tuple[CleanSet, ...]:
    """Return the test sets on which a model is evaluated clean: of the sources attacked, and of its own."""
    found = dict.fromkeys(plan.clean_sources(model.task))
    if model.source.name != UNKNOWN:
        found[model.source] = None
    sources = sorted(found, key=lambda source: source.label)
    return tuple(CleanSet(source, delivery) for source in sources for delivery in plan.deliveries)


def tune_subject(tuning: TuningSpec, catalogue: Catalogue) -> str:
    """Return what a failure of a choice's unit is about: one sweep, shared where the attack looks at no surrogate."""
    free = catalogue.get("attacks", tuning.attack.attack.name).info.uses == "nothing"
    return TuneUnit((tuning,), free).subject


def _about(item: PlannedSet, plan: Plan, catalogue: Catalogue) -> dict[str, Any]:
    """Return what the rows of a set say of its attack, for those that nothing is computed for."""
    spec = item.spec
    entry = catalogue.get("attacks", spec.attack.attack.name)
    settings = all_params(entry, spec.attack.attack.as_dict())
    params = {"of": spec.attack.attack.name, **settings} if spec.control else settings
    return {
        "attack": spec.attack_name,
        "attack_params": to_json(params),
        "attack_library": entry.info.library,
        "attack_seed": spec.attack.seed,
        "norm": budget_norm(entry.info, settings),
        "targeted": spec.attack.targeted,
        "numerics": spec.numerics,
    }


def plan_document(plan: Plan, store: str, catalogue: Catalogue) -> dict[str, Any]:
    """Return a plan as JSON data; `digest` identifies what it asks for (not where it is stored)."""
    groups: dict[tuple[str, ...], int] = {}
    sets = []
    for item in plan.sets:
        spec = item.spec
        tuned: dict[str, Any] = {}
        if item.tunings:
            tuned = {"tunings": groups.setdefault(item.tunings, len(groups)), "about": _about(item, plan, catalogue)}
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
                **({"steps": list(item.steps)} if item.steps else {}),
                **tuned,
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
                "weights": plan.makeups[key].weights,
                "parts": [part.id for part in plan.makeups[key].needs],
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
        "image_units": [ImagesUnit(item, plan.targeted).key for item in plan.image_sets],
    }
    if plan.tunings:
        asked["tunings"] = {key: tune_subject(item, catalogue) for key, item in plan.tunings.items()}
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
