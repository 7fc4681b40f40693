"""A grid, typed: what a grid file may hold.

What only plugins can tell (their parameters, the range of a strength) is checked by the plan, which loads them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dumb_bench.errors import InputError
from dumb_bench.grid_values import Axis, Init, Name, PluginName, Samples, Seed, Strength, T, as_list, distinct, sweep
from dumb_bench.grid_values import Choice as Choice
from dumb_bench.grid_values import strength_of as strength_of

CONTROLS = ("identity", "sign_noise", "delta_swap")
"""Every grid gets these without asking."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ModelAxes(_Table):
    """The axes of models in one role; an axis that is absent in a role is taken from `[models]`.

    checkpoint: names of `[[checkpoints]]`, which are the models of a role's block in place of trained ones.
    """

    source: Axis[PluginName] | None = None
    subset: Axis[Literal["all", "half_a", "half_b"]] | None = None
    architecture: Axis[PluginName] | None = None
    init: Axis[Init] | None = None
    balance: Axis[str] | None = None
    defence: Axis[PluginName] | None = None
    posterior: Axis[PluginName] | None = None
    samples: Axis[Samples] | None = None
    recipe: Axis[PluginName] | None = None
    seed: Axis[Seed] | None = None
    checkpoint: Axis[Name] | None = None


class SurrogateAxes(ModelAxes):
    """What differs for the attacker. draw: 0 for a posterior's first samples, else the number of a random subset."""

    draw: Axis[Annotated[int, Field(ge=0, le=10_000)]] = [0]
    aggregation: Axis[Literal["mean_logits", "mean_probs", "cycle"]] = ["mean_logits"]
    modifier: Axis[PluginName] = [Choice("none")]


Role = Literal["surrogates", "victims"]
ROLES: tuple[Role, ...] = ("surrogates", "victims")

Blocks = Annotated[list[T], BeforeValidator(as_list), Field(min_length=1)]
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
    over: Annotated[list[Strength], BeforeValidator(sweep), Field(min_length=2), AfterValidator(distinct)] | None = None
    search: Literal["full", "pruned", "bisection"] = "full"
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

    classes: Annotated[list[ClassName], Field(min_length=2, max_length=100), AfterValidator(distinct)] | None = None
    size: Annotated[int, Field(ge=8, le=1024)] | None = None
    source: Axis[PluginName] | None = None


class Checkpoint(_Table):
    """A user's own network: weights that `--model NAME=FILE` binds, or that the store holds under this sha256.

    source, balance, init: what it was trained on and started from, where that is known.
    """

    name: Name
    architecture: PluginName
    task: Name | None = None
    source: PluginName | None = None
    balance: str | None = None
    init: Init | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Grid(_Table):
    """A whole grid file.

    numerics: how networks are executed when they are attacked and scored: `exact`, as trained; `fast`, rebuilt (the
    same function but for rounding), with victims asked in bfloat16 where that cannot change a label.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)]
    task: Axis[Name]
    numerics: Literal["exact", "fast"] = "exact"
    tasks: dict[Name, TaskTable] = {}
    models: ModelAxes
    surrogates: Blocks[SurrogateAxes] = [SurrogateAxes()]
    victims: Blocks[ModelAxes] = [ModelAxes()]
    images: Images = Images()
    training: Training = Training()
    output: Output = Output()
    report: Report = Report()
    checkpoints: list[Checkpoint] = []
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

    @model_validator(mode="after")
    def _checkpoints_are_declared(self) -> Grid:
        names = [item.name for item in self.checkpoints]
        if len(set(names)) < len(names):
            raise ValueError("checkpoints: two have the same name")
        if self.models.checkpoint is not None:
            raise ValueError("models.checkpoint: name checkpoints in [surrogates] or [victims]")
        used = [(role, block, name) for role in ROLES for block in self.blocks(role) for name in block.checkpoint or ()]
        for role, block, name in used:
            if name not in names:
                known = ", ".join(names) or "none"
                raise ValueError(f"{role}.checkpoint: {name!r} is not declared in [[checkpoints]]. Available: {known}.")
            beside = [
                axis for axis in ModelAxes.model_fields if axis != "checkpoint" and getattr(block, axis) is not None
            ]
            if beside:
                raise ValueError(
                    f"{role}.{beside[0]}: not beside `checkpoint`, which trains nothing; write a second [[{role}]]"
                )
        unused = [name for name in names if name not in {name for _, _, name in used}]
        if unused:
            raise ValueError(f"checkpoints: {unused[0]!r} is named in neither [surrogates] nor [victims]")
        for item in self.checkpoints:
            if item.task is None and len(self.task) > 1:
                raise ValueError(f"checkpoints: {item.name!r}: missing task; the grid has {', '.join(self.task)}")
            if item.task is not None and item.task not in self.task:
                raise ValueError(f"checkpoints: {item.name!r}: task {item.task!r} is none of the grid's")
        return self

    def checkpoints_of(self, block: ModelAxes, task: str) -> list[Checkpoint]:
        """Return the checkpoints that a block names and that are of a task."""
        by_name = {item.name: item for item in self.checkpoints}
        return [by_name[name] for name in block.checkpoint or () if by_name[name].task in (None, task)]

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
