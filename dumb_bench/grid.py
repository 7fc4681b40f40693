"""A grid file: TOML in, typed values out. Every message names the file, the key and what is allowed.

What only plugins can tell (their parameters, the range of a strength) is checked by the plan, which loads them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError, unknown

MAX_FILE_BYTES = 1_000_000
CONTROLS = ("identity", "sign_noise", "delta_swap")
"""Every grid gets these without asking."""

_T = TypeVar("_T")


class Choice(NamedTuple):
    """A plugin named in a grid: `"point"`, or `{ name = "csgld", cycles = 5 }`."""

    name: str
    params: tuple[tuple[str, Any], ...] = ()


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _distinct(values: list[_T]) -> list[_T]:
    seen: list[_T] = []
    for value in values:
        if value in seen:
            shown = value.name if isinstance(value, Choice) else value
            raise ValueError(f"{shown!r} is given twice")
        seen.append(value)
    return values


def _as_choice(value: Any) -> Choice:
    if isinstance(value, str):
        return Choice(value)
    if isinstance(value, dict):
        if not isinstance(value.get("name"), str):
            raise ValueError('expected a table with a `name`, as in { name = "csgld", cycles = 5 }')
        rest = {key: entry for key, entry in value.items() if key != "name"}
        return Choice(value["name"], tuple(sorted((key, _plain(entry)) for key, entry in rest.items())))
    raise ValueError(f"expected a name or a table with a `name`, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_plain(entry) for entry in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"expected a number, text, true, false or a list of them, got {value!r}")


def _as_strength(value: Any) -> float:
    if isinstance(value, str):
        if not re.fullmatch(r"\s*\d+(\.\d+)?\s*(/\s*\d+(\.\d+)?\s*)?", value):
            raise ValueError(f'expected a number or a fraction such as "8/255", got {value!r}')
        upper, _, lower = value.partition("/")
        if lower and Fraction(lower.strip()) == 0:
            raise ValueError(f"division by zero in {value!r}")
        return float(Fraction(upper.strip()) / Fraction(lower.strip() or "1"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'expected a number or a fraction such as "8/255", got {value!r}')
    if not abs(value) < float("inf"):
        raise ValueError(f"expected a finite number, got {value!r}")
    return float(value)


Axis = Annotated[list[_T], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_distinct)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
PluginName = Annotated[Choice, BeforeValidator(_as_choice)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Strength = Annotated[float, BeforeValidator(_as_strength)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ModelAxes(_Table):
    """The axes of models in one role; an axis that is absent in a role is taken from `[models]`."""

    source: Axis[PluginName] | None = None
    subset: Axis[Literal["all"]] | None = None
    architecture: Axis[PluginName] | None = None
    init: Axis[Literal["random"]] | None = None
    balance: Axis[str] | None = None
    defence: Axis[PluginName] | None = None
    posterior: Axis[PluginName] | None = None
    recipe: Axis[PluginName] | None = None
    seed: Axis[Seed] | None = None


class SurrogateAxes(ModelAxes):
    """What differs for the attacker."""

    aggregation: Axis[str] = ["mean_logits"]
    modifier: Axis[Literal["none"]] = ["none"]


class Images(_Table):
    """The images attacked. source: whose test images: the surrogate's, the victim's, or those of all sources."""

    per_class: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    source: Literal["surrogate", "victim", "all"] = "surrogate"
    deliveries: Axis[str] = ["uint8"]


class Training(_Table):
    """The recipe of every model, and how a balance is made."""

    recipe: PluginName = Choice("small")
    balance_mode: Literal["paper", "fixed_total"] = "paper"


class Output(_Table):
    """What is stored. margins: each image's margin on each victim, beside its label."""

    margins: bool = True


class Report(_Table):
    """What the report's page says and which contrast was declared beforehand, as `attack@strength`."""

    primary: str | None = None
    title: Annotated[str, Field(max_length=200)] | None = None
    description: Annotated[str, Field(max_length=5_000)] | None = None
    notes: list[Annotated[str, Field(max_length=2_000)]] = []


class AttackEntry(_Table):
    """One attack of the grid; without `strength` its default strengths are used."""

    name: str
    strength: Axis[Strength] | None = None
    params: dict[str, Any] = {}
    attack_seed: Axis[Seed] = [0]
    chunk: Annotated[int, Field(ge=1, le=4096)] = 64


class Grid(_Table):
    """A whole grid file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)]
    task: Axis[Name]
    models: ModelAxes
    surrogates: SurrogateAxes = SurrogateAxes()
    victims: ModelAxes = ModelAxes()
    images: Images = Images()
    training: Training = Training()
    output: Output = Output()
    report: Report = Report()
    attacks: Annotated[list[AttackEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _attacks_differ(self) -> Grid:
        seen: set[str] = set()
        for number, entry in enumerate(self.attacks):
            if entry.name in CONTROLS:
                raise ValueError(
                    f"attacks[{number}].name: {entry.name!r} is a control, which every grid gets without asking"
                )
            identity = f"{entry.name} {sorted(entry.params.items(), key=str)} {entry.chunk}"
            if identity in seen:
                raise ValueError(
                    f"attacks[{number}].name: {entry.name!r} is given twice with the same parameters; "
                    "list its strengths in one entry"
                )
            seen.add(identity)
        return self

    def axis(self, role: Literal["surrogates", "victims"], name: str) -> list[Any]:
        """Return an axis of a role: its own, else that of `[models]`, else the default."""
        own = getattr(getattr(self, role), name)
        shared = getattr(self.models, name)
        defaults: dict[str, list[Any]] = {
            "subset": ["all"],
            "init": ["random"],
            "balance": ["50/50"],
            "defence": [Choice("none")],
            "posterior": [Choice("point")],
            "recipe": [self.training.recipe],
            "seed": [0],
        }
        chosen = own if own is not None else shared if shared is not None else defaults.get(name)
        if chosen is None:
            raise InputError(f"models.{name}: missing; name at least one {name}")
        return list(chosen)


def read_grid(path: Path, catalogue: Catalogue) -> tuple[Grid, str]:
    """Read a grid file; return it with its text.

    Raises:
        InputError: one line for each thing that is wrong.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a grid file (TOML)")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes, this is no grid file")
        text = path.read_text(encoding="utf-8")
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
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{where}: is not TOML: {error}") from None
    try:
        grid = Grid.model_validate(data)
        _check_names(grid, catalogue)
    except ValidationError as error:
        lines = list(dict.fromkeys(f"{where}: {_sentence(item)}" for item in error.errors()))
        raise InputError("\n".join(lines)) from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return grid


def _check_names(grid: Grid, catalogue: Catalogue) -> None:
    """Check every plugin's name without importing a leaf."""
    for section in ("models", "surrogates", "victims"):
        axes = getattr(grid, section)
        for axis, kind in (
            ("source", "sources"),
            ("architecture", "architectures"),
            ("defence", "defences"),
            ("posterior", "posteriors"),
        ):
            for choice in getattr(axes, axis) or ():
                members = choice.name.split("+") if (section, axis) == ("surrogates", "architecture") else [choice.name]
                for name in members:
                    _known(f"{section}.{axis}", kind, name, catalogue)
    for name in grid.images.deliveries:
        _known("images.deliveries", "deliveries", name, catalogue)
    for number, entry in enumerate(grid.attacks):
        _known(f"attacks[{number}].name", "attacks", entry.name, catalogue)


def _known(where: str, kind: str, name: str, catalogue: Catalogue) -> None:
    names = [known for known in catalogue.names(kind) if kind != "attacks" or known not in CONTROLS]
    if name not in names:
        raise InputError(
            f"{where}: {unknown(kind.removesuffix('ies') + 'y' if kind.endswith('ies') else kind[:-1], name, names)}"
        )


def _where(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _fields_at(location: Sequence[int | str]) -> list[str]:
    """Return the keys allowed in the table that a location lies in."""
    table: Any = Grid
    for part in location:
        if isinstance(part, int):
            continue
        table = _TABLES.get(part, table)
    return list(table.model_fields)


_TABLES: dict[str, type[_Table]] = {
    "models": ModelAxes,
    "surrogates": SurrogateAxes,
    "victims": ModelAxes,
    "images": Images,
    "training": Training,
    "output": Output,
    "report": Report,
    "attacks": AttackEntry,
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
    "literal_error": lambda item: f"expected {item['ctx']['expected']}, got {item['input']!r}",
    "greater_than_equal": lambda item: f"expected at least {item['ctx']['ge']}, got {item['input']!r}",
    "less_than_equal": lambda item: f"expected at most {item['ctx']['le']}, got {item['input']!r}",
    "less_than": lambda item: f"expected less than {item['ctx']['lt']}, got {item['input']!r}",
    "string_pattern_mismatch": lambda item: (
        f"expected lower-case letters, digits, '_' and '-' only, got {item['input']!r}"
    ),
    "string_too_long": lambda item: f"longer than {item['ctx']['max_length']} characters",
    "value_error": lambda item: str(item["ctx"]["error"]),
}


def _sentence(item: ErrorDetails) -> str:
    kind = item["type"]
    location = item["loc"][:-1] if kind == "extra_forbidden" else item["loc"]
    if kind in _TYPES:
        shown = repr(item["input"])
        message = f"expected {_TYPES[kind]}, got {shown if len(shown) < 80 else shown[:77] + '...'}"
    elif kind in _SENTENCES:
        message = _SENTENCES[kind](item)
    else:
        message = item["msg"]
    where = _where(location)
    return f"{where}: {message}" if where else message
