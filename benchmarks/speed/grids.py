"""The studies that are measured: grids of the project, cut to size where a round would take too long."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.grid_values import as_list

GRIDS = Path(__file__).resolve().parents[2] / "grids"


def whole(path: Path, numerics: str) -> str:
    """Return a grid file as it is."""
    return _text(_read(path), numerics)


def quick(path: Path, numerics: str) -> str:
    """Return a grid cut to one balance and one seed."""
    return _text(_cut(_read(path)), numerics)


def fourteen(
    numerics: str, *, small: bool = False, published: bool = False, search: str = "full", per_class: int = 10
) -> str:
    """Return the fourteen attacks, tuned as published and nothing else, delivered as JPEG, by six models.

    small: by the two models of one architecture. published: the attacks in their published form, too, whose steps do
    not grow with eps; otherwise the package's own. search: of strengths. per_class: images that are attacked, and as
    many tuned on.
    """
    catalogue = Catalogue()
    grid = _cut(_read(GRIDS / "dumb_fourteen_digits.toml"))
    grid["images"]["deliveries"] = ["jpeg75"]
    grid["report"]["primary"] = "pgd@tuned"
    for attack in grid["attacks"]:
        if "tune" in attack:
            attack.pop("strength", None)
            attack["tune"] = {**attack["tune"], "per_class": per_class, "search": search}
        if published and "reference" in all_params(catalogue.get("attacks", attack["name"]), {}):
            attack["params"] = {**attack.get("params", {}), "reference": True}
    grid["images"]["per_class"] = per_class
    if small:
        grid["models"]["architecture"] = ["small_alexnet"]
    return _text(grid, numerics)


def warm_up(text: str) -> str:
    """Return a study's grid with one architecture, one epoch and few images: it imports what the study imports."""
    grid = _cut(tomllib.loads(text))
    grid["models"]["architecture"] = as_list(grid["models"]["architecture"])[:1]
    grid["training"]["recipe"] = {"name": "small", "epochs": 1}
    grid["images"]["per_class"] = 2
    for attack in grid["attacks"]:
        if "tune" in attack:
            attack["tune"]["per_class"] = 2
    return tomli_w.dumps(grid)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _cut(grid: dict[str, Any]) -> dict[str, Any]:
    first = {axis: as_list(grid["models"][axis])[:1] for axis in ("balance", "seed")}
    return {**grid, "models": {**grid["models"], **first}}


def _text(grid: dict[str, Any], numerics: str) -> str:
    """Return TOML; the default of `numerics` is left out."""
    return tomli_w.dumps(grid if numerics == "exact" else {**grid, "numerics": numerics})
