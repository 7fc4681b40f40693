"""What a merged result folder says of the grids behind it: its plan and its grid files."""

from __future__ import annotations

from typing import Any

from dumb_bench.spec import digest
from dumb_bench.store.folders import Folder
from dumb_bench.store.merged_status import MERGED
from dumb_bench.wording import printable


def merged_plan(folders: list[Folder], counts: dict[str, int]) -> dict[str, Any]:
    """Return the plan document of a merged folder, without its seal.

    It names models, surrogates, images and choices of all grids; it asks for no sets, so that no run and no compaction
    makes tables from it. counts: what the grids planned, as far as it is known.
    """
    plans = [folder.plan for folder in folders if folder.plan]
    models: dict[str, Any] = {}
    for plan in reversed(plans):
        for name, model in plan["models"].items():
            clean = [*model["clean"], *models.get(name, {}).get("clean", ())]
            models[name] = {**models.get(name, {}), **model, "clean": list(dict.fromkeys(clean))}
    names = [str(folder.plan.get("name") or folder.name) for folder in folders]
    sources = [
        {"name": name, "digest": folder.plan.get("digest"), "counts": folder.plan.get("counts") or {}}
        for name, folder in zip(names, folders, strict=True)
    ]
    content = [folder.tables.folder.plan_digest() or folder.plan.get("digest") for folder in folders]
    return {
        "format": 1, "name": " + ".join(dict.fromkeys(names)), "store": "",
        "digest": digest({MERGED: [sources, content]}),
        "deliveries": sorted({name for plan in plans for name in plan["deliveries"]}),
        "margins": any(plan["margins"] for plan in plans), "models": models,
        "surrogates": {name: entry for plan in reversed(plans) for name, entry in plan["surrogates"].items()},
        "groups": [], "sets": [],
        "image_units": list(dict.fromkeys(name for plan in plans for name in plan["image_units"])),
        "tunings": {}, "counts": counts, "report": _report(plans, names), MERGED: sources,
    }  # fmt: skip


def _report(plans: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Return the `report` section: the declared contrast only where all grids declared the same one."""
    reports = [plan.get("report") or {} for plan in plans]
    declared = list(dict.fromkeys(report.get("primary") for report in reports))
    notes = [f"Merged from {len(names)} result folders: {', '.join(names)}."]
    if len(declared) > 1:
        texts = ", ".join(text or "none" for text in declared)
        notes.append(f"The grids declared different primary contrasts ({texts}), so none is declared here.")
    for report in reports:
        own = report.get("notes") or []
        notes += [str(note) for note in (own if isinstance(own, list) else [own])]
    primary = declared[0] if len(declared) == 1 else None
    return {"primary": primary, "notes": list(dict.fromkeys(notes)), "title": None, "description": None}


def grid_texts(folders: list[Folder], name: str) -> dict[str, str]:
    """Return the grid files of a merged folder: `grid.toml`, which only names them, and `grid-1.toml` and so on."""
    texts: dict[str, str] = {}
    lines = ["# Merged results: no grid to be run. The grids of the folders they come from are beside this file."]
    for number, folder in enumerate(folders, 1):
        try:
            texts[f"grid-{number}.toml"] = folder.tables.folder.read_text("grid.toml")
        except FileNotFoundError:
            lines.append(printable(f"# {folder.plan.get('name') or folder.name}: without a grid file"))
        else:
            lines.append(printable(f"# grid-{number}.toml: {folder.plan.get('name') or folder.name}"))
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    texts["grid.toml"] = "\n".join([*lines, f'name = "{printable(quoted)}"', ""])
    return texts
