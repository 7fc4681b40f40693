"""`dumb-bench list`: what a grid can name, from the plugins themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter
from typing import Any, NamedTuple

from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.data.tasks import known_tasks
from dumb_bench.errors import InputError, unknown
from dumb_bench.plugin_kinds import ALIASES, FAMILIES, KINDS

DETAILS = ("default", "parameters", "paper", "usable", "reason", "from")
"""What only `list --json` shows: a terminal has no room for it."""


class AttackName(NamedTuple):
    """The name of an attack, or of a family that is not installed. reason: why it cannot be used, None if it can."""

    name: str
    reason: str | None


def family_names(catalogue: Catalogue, library: str) -> Iterator[AttackName]:
    """Yield every attack of a family.

    Raises:
        InputError: the library is not installed; says how to install it.
    """
    family = catalogue.family("attacks", library)
    refused = family.refused()
    for own in family.names():
        name = f"{library}.{own}"
        yield AttackName(name, refused.get(own) or _obstacle(catalogue, name))


def _obstacle(catalogue: Catalogue, name: str) -> str | None:
    """Return why an attack cannot be loaded: one that needs a package which is not installed, say."""
    try:
        catalogue.get("attacks", name)
    except InputError as error:
        return str(error)
    return None


def attack_names(catalogue: Catalogue) -> Iterator[AttackName]:
    """Yield every attack in reach: the package's, the user's, and those of each family, installed or not."""
    for name in catalogue.names("attacks"):
        yield AttackName(name, None)
    for library in sorted(FAMILIES["attacks"]):
        try:
            yield from family_names(catalogue, library)
        except InputError as error:
            yield AttackName(library, str(error))


def chosen_attacks(catalogue: Catalogue, words: Sequence[str], everything: bool) -> list[AttackName]:
    """Return the attacks that a command line names: by name, by the name of a family, or all.

    Raises:
        InputError: nothing is named, or something that does not exist or cannot be used.
    """
    if everything and words:
        raise InputError(f"--all checks every attack; leave {' '.join(words)} out")
    if everything:
        return list(attack_names(catalogue))
    if not words:
        raise InputError("name an attack, a family of attacks (torchattacks), or --all")
    found: list[AttackName] = []
    for word in dict.fromkeys(words):
        if word in FAMILIES["attacks"]:
            found += family_names(catalogue, word)
        else:
            catalogue.get("attacks", word)
            found.append(AttackName(word, None))
    return found


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
    if kind == "attacks":
        return [_attack_row(item, catalogue) for item in attack_names(catalogue)]
    if kind not in KINDS:
        raise InputError(unknown("kind", kind, [*KINDS, "tasks"]))
    rows = []
    for name in (*catalogue.names(kind), *(_networks(catalogue) if kind == "architectures" else ())):
        entry = catalogue.get(kind, name)
        row: dict[str, Any] = {"name": name}
        if kind == "architectures":
            short = [own for own, long in ALIASES[kind].items() if long == name]
            row |= {"also": ", ".join(short), "init": ", ".join(("random", "shared_0", *entry.info.inits))}
        if kind == "sources":
            row |= {"tasks": list(entry.info.tasks), "data": entry.info.origin}
        if kind != "figures":
            row["parameters"] = _shown(all_params(entry, {}))
        rows.append({**row, "from": entry.origin, "summary": entry.summary})
    return rows


def _networks(catalogue: Catalogue) -> Iterator[str]:
    """Yield the networks of torchvision; those of timm, more than a thousand, are named in the documentation only."""
    family = catalogue.family("architectures", "torchvision")
    refused = family.refused()
    yield from (f"torchvision.{name}" for name in family.names() if name not in refused)


def _attack_row(item: AttackName, catalogue: Catalogue) -> dict[str, Any]:
    """Return the row of an attack; where it cannot be used, only its name, its library and the reason are known."""
    row: dict[str, Any] = dict.fromkeys(
        ("name", "norm", "strength", "unit", "default", "targeted", "uses", "library", "paper", "usable", "reason",
         "parameters", "from", "summary")
    )  # fmt: skip
    if item.reason is not None:
        return row | {
            "name": item.name, "library": item.name.partition(".")[0], "usable": False, "reason": item.reason,
            "summary": f"cannot be used: {item.reason}",
        }  # fmt: skip
    entry = catalogue.get("attacks", item.name)
    info = entry.info
    return row | {
        "name": item.name, "norm": info.norm, "strength": info.strength, "unit": info.unit or None,
        "default": list(info.default_strengths), "targeted": info.targeted, "uses": info.uses,
        "library": info.library, "paper": info.paper or None, "usable": True,
        "parameters": _shown(all_params(entry, {})), "from": entry.origin, "summary": entry.summary,
    }  # fmt: skip


def _shown(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: "required" if value is Parameter.empty else value if _plain(value) else str(value)
        for key, value in params.items()
    }


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


MOST_CELLS = 20
"""Entries of a list that a terminal shows."""

PIPED = 240
"""Characters of a line where no terminal says how many there are."""


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table for a terminal, without what only JSON shows."""
    from rich.console import Console
    from rich.table import Table

    columns = [column for column in (rows[0] if rows else ()) if column not in DETAILS]
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPED)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and len(value) > MOST_CELLS:
        return f"{value[0]}, {value[1]}, ... {value[-1]} ({len(value):,})"
    return "" if value is None else str(value)
