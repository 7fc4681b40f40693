"""Reading a grid file: every message names the file, the key and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError, shown, unknown
from dumb_bench.grid import (
    CONTROLS,
    ROLES,
    AttackEntry,
    Checkpoint,
    Grid,
    Images,
    ModelAxes,
    Output,
    Report,
    SurrogateAxes,
    TaskTable,
    Training,
    Tune,
)
from dumb_bench.plugin_kinds import ALIASES, NUMBERED, singular

MAX_FILE_BYTES = 1_000_000
MAX_DOTS = 1_000
"""On one line: the parser's time grows with the square of a dotted key's parts."""
MAX_SENTENCES = 20
"""Faults named at once; the rest are counted."""


def read_grid(path: Path, catalogue: Catalogue) -> tuple[Grid, str]:
    """Read a grid file; return it with its text.

    Raises:
        InputError: one line for each thing that is wrong.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a grid file (TOML)")
        with path.open("rb") as stream:  # not by its size: a device or a pipe has none
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes, this is no grid file")
        text = data.decode().replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_grid(text, str(path), catalogue), text


def parse_grid(text: str, where: str, catalogue: Catalogue) -> Grid:
    """Parse the text of a grid file; `where` names it in messages.

    Raises:
        InputError: one line for each thing that is wrong.
    """
    if not text.strip():
        raise InputError(f"{where}: is empty, expected a grid (see grids/quickstart.toml)")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DOTS:
            raise InputError(f"{where}: line {number} has more than {MAX_DOTS:,} dots, this is no grid file")
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{where}: is not TOML: {error}") from None
    try:
        grid = Grid.model_validate(data)
        _check_names(grid, catalogue)
    except ValidationError as error:
        single = {section for section in ("surrogates", "victims") if not isinstance(data.get(section), list)}
        found = error.errors(include_url=False)
        lines = list(dict.fromkeys(f"{where}: {_sentence(item, single)}" for item in found[:MAX_SENTENCES]))
        if len(found) > MAX_SENTENCES:
            lines.append(f"{where}: and {len(found) - MAX_SENTENCES:,} more faults")
        raise InputError("\n".join(lines)) from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return grid


def _check_names(grid: Grid, catalogue: Catalogue) -> None:
    """Check every plugin's name without importing a leaf."""
    blocks = [("models", grid.models), *((role, block) for role in ROLES for block in grid.blocks(role))]
    for section, axes in blocks:
        for axis, kind in (
            ("source", "sources"),
            ("architecture", "architectures"),
            ("defence", "defences"),
            ("posterior", "posteriors"),
            ("modifier", "modifiers"),
        ):
            for choice in getattr(axes, axis, None) or ():
                joined = (section, axis) == ("surrogates", "architecture") or axis == "defence"
                members = choice.name.split("+") if joined else [choice.name]
                for name in members:
                    _known(f"{section}.{axis}", kind, name, catalogue)
    for task, table in grid.tasks.items():
        for choice in table.source or ():
            _known(f"tasks.{task}.source", "sources", choice.name, catalogue)
    for number, item in enumerate(grid.checkpoints):
        _known(f"checkpoints[{number}].architecture", "architectures", item.architecture.name, catalogue)
        if item.source is not None:
            _known(f"checkpoints[{number}].source", "sources", item.source.name, catalogue)
    for name in grid.images.deliveries:
        _known("images.deliveries", "deliveries", name, catalogue)
    for number, entry in enumerate(grid.attacks):
        _known(f"attacks[{number}].name", "attacks", entry.name, catalogue)


def _known(where: str, kind: str, name: str, catalogue: Catalogue) -> None:
    numbered = NUMBERED.get(kind, frozenset())
    names = [
        f"{known}N" if known in numbered else known
        for known in catalogue.names(kind)
        if kind != "attacks" or known not in CONTROLS
    ]
    names += ALIASES.get(kind, {})
    if not catalogue.knows(kind, name):
        raise InputError(f"{where}: {unknown(singular(kind), name, names)} A file of your own: --plugin FILE.")


def _where(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _fields_at(location: Sequence[int | str]) -> list[str]:
    """Return the keys allowed in the table that a location lies in."""
    table: type[BaseModel] = Grid
    for part in location:
        if isinstance(part, int):
            continue
        table = _TABLES.get(part, table)
    return list(table.model_fields)


_TABLES: dict[int | str, type[BaseModel]] = {
    "models": ModelAxes,
    "surrogates": SurrogateAxes,
    "victims": ModelAxes,
    "images": Images,
    "training": Training,
    "output": Output,
    "report": Report,
    "attacks": AttackEntry,
    "tune": Tune,
    "tasks": TaskTable,
    "checkpoints": Checkpoint,
}

_TYPES: dict[str, str] = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}

_SENTENCES: dict[str, Callable[[ErrorDetails], str]] = {
    "extra_forbidden": lambda item: unknown("key", str(item["loc"][-1]), _fields_at(item["loc"][:-1])),
    "missing": lambda item: "missing; this key is needed",
    "too_short": lambda item: "expected at least one value, got an empty list",
    "literal_error": lambda item: f"expected {item['ctx']['expected']}, got {shown(item['input'])}",
    "greater_than_equal": lambda item: f"expected at least {item['ctx']['ge']}, got {shown(item['input'])}",
    "less_than_equal": lambda item: f"expected at most {item['ctx']['le']}, got {shown(item['input'])}",
    "greater_than": lambda item: f"expected more than {item['ctx']['gt']}, got {shown(item['input'])}",
    "less_than": lambda item: f"expected less than {item['ctx']['lt']}, got {shown(item['input'])}",
    "string_pattern_mismatch": lambda item: (
        f"expected lower-case letters, digits, '_' and '-' only, got {shown(item['input'])}"
    ),
    "string_too_long": lambda item: f"longer than {item['ctx']['max_length']} characters",
    "value_error": lambda item: str(item["ctx"]["error"]),
}


def sentence_of(item: ErrorDetails) -> str:
    """Return an error of pydantic's as a sentence that begins with the key; for tables other than a grid's too."""
    return _sentence(item, ())


def _sentence(item: ErrorDetails, single: Collection[int | str]) -> str:
    """Return an error as a sentence. single: sections written as one table, not as a list of them."""
    kind = item["type"]
    location = item["loc"][:-1] if kind == "extra_forbidden" else item["loc"]
    if location[:1] and location[0] in single:
        location = (location[0], *location[2:])
    if kind in _TYPES:
        message = f"expected {_TYPES[kind]}, got {shown(item['input'])}"
    elif kind in _SENTENCES:
        message = _SENTENCES[kind](item)
    else:
        message = item["msg"]
    where = _where(location)
    return f"{where}: {message}" if where else message
