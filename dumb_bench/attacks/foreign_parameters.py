"""The parameters of another library's attack, read off its constructor, as a signature that a grid is checked with."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field

from dumb_bench.attacks.foreign_rows import Follows

Size = Annotated[float, Field(gt=0)] | None


def signature_of(
    kind: type,
    left_out: frozenset[str],
    defaults: Mapping[str, Any],
    known: Mapping[str, Any],
    follows: Mapping[str, Follows],
    added: Mapping[str, Any],
) -> inspect.Signature:
    """Return an attack's signature: the contract's arguments, then the parameters that a grid can set, keyword-only.

    Parameters that only an object can give (a model, a function, an array) are left out; so are those of `left_out`.
    defaults, known: defaults and types that go before the library's. follows: parameters that are None by default.
    added: parameters of the adapter itself, with their default; their type is in `known`.
    """
    items = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("surrogate", "images", "labels", "strength")
    ]
    items += [
        inspect.Parameter("generator", inspect.Parameter.KEYWORD_ONLY),
        inspect.Parameter("targets", inspect.Parameter.KEYWORD_ONLY, default=None),
    ]
    for name, item in inspect.signature(kind.__init__).parameters.items():  # type: ignore[misc]
        if name in {"self", *left_out, *added} or item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
            continue
        default = defaults.get(name, item.default)
        if name in follows:
            default, annotation = None, Size
        elif name in known:
            annotation = known[name]
        else:
            annotation = _narrowed(_allowed(_annotation(kind, item)) or _type_of(default), default)
        if annotation is not None and default is not item.empty:
            items.append(_keyword(name, _plain(default), annotation))
    items += [_keyword(name, default, known[name]) for name, default in added.items()]
    return inspect.Signature(items)


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _annotation(kind: type, item: inspect.Parameter) -> Any:
    """Return a parameter's annotation as a type, None where the library's text cannot be resolved."""
    if item.annotation is item.empty:
        return None
    holder = type("Holder", (), {"__annotations__": {item.name: item.annotation}})
    place = vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else {}
    try:
        return inspect.get_annotations(holder, globals=place, eval_str=True)[item.name]
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None


def _allowed(annotation: Any) -> Any:
    """Return the part of a type that a grid can write: bool, int, float, str, None, literals and tuples of these."""
    if annotation in (bool, int, float, str, None, type(None)):
        return annotation
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return annotation
    if origin in (Union, types.UnionType):
        kept = [part for part in map(_allowed, parts) if part is not None]
        words = tuple(word for part in kept if get_origin(part) is Literal for word in get_args(part))
        kept = [part for part in kept if get_origin(part) is not Literal] + ([Literal[words]] if words else [])
        real = [part for part in kept if part is not type(None)]
        return Union[tuple(kept)] if real else None  # noqa: UP007
    if origin is tuple:
        entries = tuple(part if part is Ellipsis else _allowed(part) for part in parts)
        return None if None in entries else types.GenericAlias(tuple, entries)
    return None


def _type_of(default: Any) -> Any:
    """Return a default's type, where the library annotates nothing."""
    if isinstance(default, bool | int | float | str):
        return type(default)
    if isinstance(default, Sequence) and default and all(isinstance(entry, int | float) for entry in default):
        return tuple[int, ...] if all(isinstance(entry, int) for entry in default) else tuple[float, ...]
    return None


def _narrowed(annotation: Any, default: Any) -> Any:
    """Return the type int as a count: at least 1, or 0 where that is the default."""
    if annotation is int and isinstance(default, int) and default >= 0:
        return Annotated[int, Field(ge=min(default, 1))]
    return annotation


def _plain(default: Any) -> Any:
    return tuple(default) if isinstance(default, Sequence) and not isinstance(default, str) else default
