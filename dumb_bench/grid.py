"""A grid, typed: what a grid file may hold.

What only plugins can tell (their parameters, the range of a strength) is checked by the plan, which loads them.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from dumb_bench.errors import InputError

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
    seen: set[_T] = set()
    for value in values:
        if value in seen:
            shown = value.name if isinstance(value, Choice) else value
            raise ValueError(f"{shown!r} is given twice")
        seen.add(value)
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


def strength_of(value: Any) -> float:
    """Return a strength written as a number or as a fraction such as "8/255".

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        if not re.fullmatch(r"\s*\d+(\.\d+)?\s*(/\s*\d+(\.\d+)?\s*)?", value):
            raise ValueError(f'expected a number or a fraction such as "8/255", got {value!r}')
        upper, _, lower = value.partition("/")
        if lower and Fraction(lower.strip()) == 0:
            raise ValueError(f"division by zero in {value!r}")
        return _finite(Fraction(upper.strip()) / Fraction(lower.strip() or "1"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'expected a number or a fraction such as "8/255", got {value!r}')
    return _finite(value)


def _finite(value: float | Fraction) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not abs(number) < float("inf"):
        raise ValueError("expected a finite number")
    return number


def _sweep(value: Any) -> Any:
    """Return a sweep as a list: "first:last:step", or a list of strengths."""
    if not isinstance(value, str) or ":" not in value:
        return value if isinstance(value, list | tuple) else [value]
    parts = value.split(":")
    try:
        first, last, step = (Fraction(str(strength_of(part.strip()))) for part in parts)
    except ValueError:
        raise ValueError(f'expected "first:last:step", as in "0.01:0.30:0.01", got {value!r}') from None
    if step <= 0 or last < first or (last - first) / step > MAX_SWEEP:
        raise ValueError(f'expected "first:last:step" that rises in at most {MAX_SWEEP} steps, got {value!r}')
    return [float(first + number * step) for number in range(int((last - first) / step) + 1)]


MAX_SWEEP = 1000

Axis = Annotated[list[_T], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_distinct)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]


def _written(choice: Choice) -> Any:
    return {"name": choice.name, **dict(choice.params)} if choice.params else choice.name


PluginName = Annotated[Choice, BeforeValidator(_as_choice), PlainSerializer(_written)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Strength = Annotated[float, BeforeValidator(strength_of)]


def _samples(value: Any) -> Any:
    if value != "all" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000):
        raise ValueError(f'expected "all" or a whole number from 1 to 100,000, got {value!r}')
    return value


Samples = Annotated[int | str, BeforeValidator(_samples)]
"""How many of a posterior's weight samples are used: the first so many, or all."""


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
    samples: Axis[Samples] | None = None
    recipe: Axis[PluginName] | None = None
    seed: Axis[Seed] | None = None


class SurrogateAxes(ModelAxes):
    """What differs for the attacker. draw: 0 for a posterior's first samples, else the number of a random subset."""

    draw: Axis[Annotated[int, Field(ge=0, le=10_000)]] = [0]
    aggregation: Axis[Literal["mean_logits", "mean_probs", "cycle"]] = ["mean_logits"]
    modifier: Axis[PluginName] = [Choice("none")]


Role = Literal["surrogates", "victims"]
ROLES: tuple[Role, ...] = ("surrogates", "victims")

Blocks = Annotated[list[_T], BeforeValidator(_as_list), Field(min_length=1)]
"""One table `[name]`, or several `[[name]]`: the models of each block's own product of axes, together."""


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
    """What is stored. margins: each image's margin on each victim, beside its label.

    keep_adversarial: nothing of the adversarial images, a few of each set, or all; no id and no key depends on it.
    """

    margins: bool = True
    keep_adversarial: Literal["none", "sample", "all"] = "none"


class Report(_Table):
    """What the report's page says and which contrast was declared beforehand, as `attack@strength`."""

    primary: str | None = None
    title: Annotated[str, Field(max_length=200)] | None = None
    description: Annotated[str, Field(max_length=5_000)] | None = None
    notes: list[Annotated[str, Field(max_length=2_000)]] = []


class Tune(_Table):
    """A strength chosen for each surrogate on the tuning split: see `TuneSpec`. per_class: its images, at most 150."""

    ssim: Annotated[float, Field(ge=-1, lt=1)] = 0.4
    over: Annotated[list[Strength], BeforeValidator(_sweep), Field(min_length=2), AfterValidator(_distinct)] | None = (
        None
    )
    search: Literal["full", "bisection"] = "full"
    per_class: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    reference: bool = False


class AttackEntry(_Table):
    """One attack of the grid; with neither `strength` nor `tune` its default strengths are used.

    record_steps: after which the images are scored too, beside those after the last.
    """

    name: str
    strength: Axis[Strength] | None = None
    tune: Tune | None = None
    record_steps: Axis[Annotated[int, Field(ge=1)]] | None = None
    targeted: bool = False
    params: dict[str, Any] = {}
    attack_seed: Axis[Seed] = [0]
    chunk: Annotated[int, Field(ge=1, le=4096)] = 64


ClassName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$", max_length=63)]


class TaskTable(_Table):
    """What `[tasks.NAME]` changes: the classes, in order; the side of the images in pixels; the sources."""

    classes: Annotated[list[ClassName], Field(min_length=2, max_length=100), AfterValidator(_distinct)] | None = None
    size: Annotated[int, Field(ge=8, le=1024)] | None = None
    source: Axis[PluginName] | None = None


class Grid(_Table):
    """A whole grid file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)]
    task: Axis[Name]
    tasks: dict[Name, TaskTable] = {}
    models: ModelAxes
    surrogates: Blocks[SurrogateAxes] = [SurrogateAxes()]
    victims: Blocks[ModelAxes] = [ModelAxes()]
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
            identity = f"{entry.name} {sorted(entry.params.items(), key=str)} {entry.chunk} {entry.targeted}"
            if identity in seen:
                raise ValueError(
                    f"attacks[{number}].name: {entry.name!r} is given twice with the same parameters; "
                    "list its strengths in one entry"
                )
            seen.add(identity)
        return self

    def blocks(self, role: Role) -> list[Any]:
        """Return the blocks of a role: `SurrogateAxes` or `ModelAxes`."""
        return list(getattr(self, role))

    def axis(self, block: ModelAxes, name: str) -> list[Any]:
        """Return an axis of a block: its own, else that of `[models]`, else the default."""
        own = getattr(block, name)
        shared = getattr(self.models, name)
        defaults: dict[str, list[Any] | None] = {
            "subset": ["all"],
            "init": ["random"],
            "balance": ["50/50"],
            "defence": [Choice("none")],
            "posterior": [Choice("point")],
            "samples": ["all"],
            "recipe": [self.training.recipe],
            "seed": [0],
        }
        if name == "source":  # those of a task: `data.declared`; here, to bound a grid's size, the longest list
            defaults[name] = max((item.source or [] for item in self.tasks.values()), key=len, default=[]) or None
        chosen = own if own is not None else shared if shared is not None else defaults.get(name)
        if chosen is None:
            raise InputError(f"models.{name}: missing; name at least one {name}")
        return list(chosen)
