"""`dumb-bench list`: what a grid can name, from the plugins themselves."""

from __future__ import annotations

from typing import Any

from dumb_bench.catalogue import KINDS, Catalogue, all_params
from dumb_bench.data.tasks import known_tasks
from dumb_bench.errors import InputError, unknown


def listing(kind: str, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return one row a name.

    Raises:
        InputError: there is no such kind.
    """
    if kind == "tasks":
        return [
            {
                "name": task.name,
                "classes": list(task.classes),
                "image_shape": list(task.image_shape),
                "summary": task.summary,
            }
            for task in known_tasks(catalogue).values()
        ]
    if kind not in KINDS:
        raise InputError(unknown("kind", kind, [*KINDS, "tasks"]))
    rows = []
    for name in catalogue.names(kind):
        entry = catalogue.get(kind, name)
        row: dict[str, Any] = {"name": name}
        if kind == "attacks":
            info = entry.info
            row |= {
                "norm": info.norm, "strength": info.strength, "unit": info.unit or None,
                "default": list(info.default_strengths), "uses": info.uses, "targeted": info.targeted,
                "library": info.library, "paper": info.paper or None,
            }  # fmt: skip
        elif kind == "sources":
            row |= {"tasks": list(entry.info.tasks), "data": entry.info.origin}
        if kind != "figures":
            row["parameters"] = {
                key: str(value) if not _plain(value) else value for key, value in all_params(entry, {}).items()
            }
        rows.append({**row, "from": entry.origin, "summary": entry.summary})
    return rows


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
