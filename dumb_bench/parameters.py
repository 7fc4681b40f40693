"""The parameters of a plugin: the keyword-only arguments of its function, checked against their annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from dumb_bench.errors import InputError, unknown

RESERVED = frozenset({"generator", "targets", "root", "download", "wanted"})
"""Keyword-only arguments that the harness fills in; never parameters of a grid."""


def parameters_of(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that a grid may set."""
    signature = inspect.signature(call, eval_str=True)
    kinds = signature.parameters.values()
    return {item.name: item for item in kinds if item.kind is item.KEYWORD_ONLY and item.name not in RESERVED}


def checked(call: Callable[..., Any], where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given parameters that differ from their default, as the signature's types.

    Raises:
        InputError: begins with `where` and names the parameter and what is allowed.
    """
    from pydantic import ConfigDict, ValidationError, create_model

    known = parameters_of(call)
    for name in given:
        if name not in known:
            raise InputError(f"{where}: {unknown('parameter', name, known)}")
    fields: dict[str, Any] = {
        name: (item.annotation, ... if item.default is item.empty else item.default) for name, item in known.items()
    }
    model = create_model(
        "Params", __config__=ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True), **fields
    )
    try:
        found = model(**{name: _as_annotated(value, known[name].annotation) for name, value in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        message = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"{where}: parameter {name!r}: {message}, got {first['input']!r}") from None
    values = {name: getattr(found, name) for name in given}
    return {name: value for name, value in values.items() if value != known[name].default}


def _as_annotated(value: Any, annotation: Any) -> Any:
    """Return a TOML array as a tuple where the signature says tuple; every other value as it is."""
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return tuple(value) if isinstance(value, list | tuple) and get_origin(kind) is tuple else value
