"""What a plan document must look like before anything is read out of it: a valid seal proves who wrote it, not what."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dumb_bench.errors import DamagedFileError, SchemaError
from dumb_bench.store.schema import TESTS
from dumb_bench.wording import printable

_Index = Annotated[int, Field(ge=0)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Model(_Shape):
    id: str
    task: str
    source: str
    subset: str
    architecture: str
    init: str
    balance: str
    balance_mode: str
    defence: str
    recipe: str
    seed: int
    samples: Annotated[int, Field(ge=1)]
    clean: list[str]
    parts: list[str] = []
    weights: dict[str, list[int]] | None = None


class _Surrogate(_Shape):
    members: Annotated[list[str], Field(min_length=1)]
    columns: dict[str, Any]


class _Set(_Shape):
    id: str
    base: str
    attack: str
    image_source: str
    control: bool
    free: bool
    strengths: list[float | None]
    victims: _Index
    surrogates: _Index
    steps: list[int] = []
    tunings: _Index | None = None
    about: dict[str, Any] = {}


class _Plan(_Shape):
    name: str
    digest: str
    store: str
    deliveries: list[str]
    margins: bool
    models: dict[str, _Model]
    surrogates: dict[str, _Surrogate]
    groups: list[list[str]]
    sets: list[_Set]
    image_units: list[str]
    tunings: dict[str, str] = {}


def checked_plan(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a plan document as it is.

    Raises:
        DamagedFileError: a key is missing or of another type, or names a model, surrogate or choice that is not there.
    """
    try:
        plan = _Plan.model_validate(document)
        fault = _lost(plan)
        _check_columns(document)
    except ValidationError as error:
        first = error.errors()[0]
        fault = f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg']}"
    except (SchemaError, pa.ArrowException, ValueError, TypeError, OverflowError, KeyError) as error:
        fault = " ".join(str(error).split())[:200]
    if fault:
        raise DamagedFileError(path, f"is sealed, but is no plan: {printable(fault)}")
    return document


def _lost(plan: _Plan) -> str:
    """Return what the plan names and does not hold, or nothing."""
    for surrogate in plan.surrogates.values():
        if not plan.models.keys() >= set(surrogate.members):
            return "a surrogate's models are not among its models"
    held = {"victims": plan.models.keys(), "surrogates": plan.surrogates.keys(), "tunings": plan.tunings.keys()}
    seen: set[tuple[str, int]] = set()
    for item in plan.sets:
        if item.tunings is not None and not item.about:
            return "a set with choices says nothing of its attack"
        for role, number in (("victims", item.victims), ("surrogates", item.surrogates), ("tunings", item.tunings)):
            if number is None or (role, number) in seen:
                continue
            if number >= len(plan.groups) or not held[role] >= set(plan.groups[number]):
                return f"a set's {role} are not among its {role}"
            seen.add((role, number))
        if item.tunings is not None and len(plan.groups[item.tunings]) != len(plan.groups[item.surrogates]):
            return "a set has another number of choices than of surrogates"
    return ""


def _check_columns(plan: dict[str, Any]) -> None:
    """See that what becomes columns of `tests` can: raises what Arrow or the schema say.

    In plain Python: Arrow imports pandas to look at values, which would cost `status` a second.
    """
    apart = ("task", "clean", "weights", "parts")
    models = [{key: value for key, value in model.items() if key not in apart} for model in plan["models"].values()]
    rows = [{f"victim_{key}": value for key, value in model.items()} for model in models]
    rows += [{f"surrogate_{key}": value for key, value in model.items()} for model in models]
    rows += [
        {f"surrogate_{key}": value for key, value in item["columns"].items()} for item in plan["surrogates"].values()
    ]
    rows += [item["about"] for item in plan["sets"] if item.get("about")]
    values = {(key, value) for row in rows for key, value in row.items()}
    for key, value in values:
        if key not in TESTS.names:
            raise SchemaError(f"tests: unknown column {key!r}")
        if value is not None and not _fits(value, TESTS.field(key).type):
            raise SchemaError(f"tests: column {key!r} holds {TESTS.field(key).type}, got {str(value)[:80]!r}")


def _fits(value: Any, kind: pa.DataType) -> bool:
    if pa.types.is_boolean(kind) or isinstance(value, bool):
        return pa.types.is_boolean(kind) and isinstance(value, bool)
    if pa.types.is_integer(kind):
        return isinstance(value, int) and abs(value) < 2 ** (kind.bit_width - 1)
    return isinstance(value, int | float) if pa.types.is_floating(kind) else isinstance(value, str)
