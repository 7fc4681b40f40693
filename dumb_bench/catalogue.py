"""From a name in a grid to a plugin: a leaf file of the package, an entry point, or a file the user names.

Names are found without importing a leaf (a leaf's file name is its plugin's name), so reading a grid stays cheap;
a leaf is imported when its plugin is wanted.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from dumb_bench.errors import InputError, unknown
from dumb_bench.external_set import ExternalSet
from dumb_bench.parameters import checked, parameters_of
from dumb_bench.plugin_file import PluginFile
from dumb_bench.plugin_kinds import ALIASES, FAMILIES, KINDS, NUMBERED, parted, singular
from dumb_bench.spec import Plugin

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

_Plugin = TypeVar("_Plugin", bound=Callable[..., Any])


@dataclass(frozen=True)
class PluginInfo:
    """What a decorator of a `base.py` leaves on a plugin. `info` is the kind's own description (`AttackInfo`, ...)."""

    kind: str
    name: str
    version: int = 1
    info: Any = None


@dataclass(frozen=True)
class Entry:
    """A plugin that was loaded: the callable, its description and the fingerprint of its code."""

    call: Callable[..., Any]
    plugin: PluginInfo
    fingerprint: str
    origin: str

    @property
    def info(self) -> Any:
        """The kind's own description."""
        return self.plugin.info

    @property
    def summary(self) -> str:
        """The first line of the plugin's docstring."""
        return (inspect.getdoc(self.call) or "").partition("\n")[0]


class Family(Protocol):
    """Another library's plugins under one contract: the object `FAMILY` of a family's leaf."""

    def names(self) -> tuple[str, ...]:
        """Return the library's names, without its own, sorted; those that are refused too.

        Raises:
            InputError: the library is not installed; says how to install it.
        """

    def refused(self) -> Mapping[str, str]:
        """Return the names that cannot be used, each with the reason."""

    def load(self, name: str) -> tuple[Callable[..., Any], PluginInfo, str]:
        """Return a plugin, its description (named `library.Name`) and the library's version, its fingerprint.

        Raises:
            InputError: unknown, refused (with the reason), or the library is not installed.
        """


def mark(call: _Plugin, plugin: PluginInfo) -> _Plugin:
    """Attach a plugin's description to its callable; the decorators of every `base.py` end here.

    Raises:
        InputError: the name is not lower_snake.
    """
    if not NAME.fullmatch(plugin.name):
        raise InputError(f"plugin name {plugin.name!r}: expected lower_snake letters, digits and underscores")
    call.__plugin__ = plugin  # type: ignore[attr-defined]
    return call


def _marked(module: ModuleType) -> list[tuple[Callable[..., Any], PluginInfo]]:
    """Return the plugins that a module defines."""
    found = {
        id(value): value
        for value in vars(module).values()
        if isinstance(getattr(value, "__plugin__", None), PluginInfo)
    }
    return [(value, value.__plugin__) for value in found.values() if value.__module__ == module.__name__]


@dataclass(frozen=True)
class DataPlace:
    """root: the folder in which sources look for their files. download: whether they may fetch what is missing."""

    root: Path = Path("data")
    download: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Catalogue:
    """All plugins in reach: the package's, those of installed distributions, and those of the user's files.

    data: where sources find their files on this machine; like `files` bound by the command line, and part of no id.
    checkpoints: the files of a grid's own checkpoints, by name; known to the driver alone, slots read the store.
    sets: adversarial images made elsewhere, which travel to the slots.
    """

    files: tuple[PluginFile, ...] = ()
    _loaded: dict[tuple[str, str], Entry] = field(default_factory=dict, compare=False, repr=False)
    data: DataPlace = DataPlace()
    checkpoints: tuple[tuple[str, Path], ...] = ()
    sets: tuple[ExternalSet, ...] = ()

    def __reduce__(self) -> tuple[type[Catalogue], tuple[Any, ...]]:
        return (Catalogue, (self.files, {}, self.data, (), self.sets))

    @cached_property
    def _from_files(self) -> dict[tuple[str, str], Entry]:
        found: dict[tuple[str, str], Entry] = {}
        for file in self.files:
            plugins = _marked(file.module)
            if not plugins:
                raise InputError(
                    f"--plugin {file.name}: defines no plugin; decorate a function with @attack (README: my own attack)"
                )
            for call, plugin in plugins:
                key = (plugin.kind, plugin.name)
                if (
                    key in found
                    or plugin.name in self._built_in(plugin.kind)
                    or plugin.name in self._entry_points(plugin.kind)
                    or plugin.name in ALIASES.get(plugin.kind, {})
                ):
                    raise InputError(
                        f"--plugin {file.name}: {singular(plugin.kind)} {plugin.name!r} exists already; "
                        "choose another name"
                    )
                found[key] = Entry(call, plugin, file.fingerprint, file.name)
        return found

    @staticmethod
    def _built_in(kind: str) -> frozenset[str]:
        package, support = KINDS[kind]
        spec = importlib.util.find_spec(package)
        paths = list(spec.submodule_search_locations or ()) if spec else []
        return frozenset(
            leaf.name
            for leaf in pkgutil.iter_modules(paths)
            if not leaf.ispkg and leaf.name not in support | FAMILIES.get(kind, frozenset())
        )

    @cached_property
    def _installed(self) -> dict[str, dict[str, EntryPoint]]:
        points = entry_points()
        return {kind: {point.name: point for point in points.select(group=f"dumb_bench.{kind}")} for kind in KINDS}

    def _entry_points(self, kind: str) -> dict[str, EntryPoint]:
        return self._installed[kind]

    @staticmethod
    def family(kind: str, name: str) -> Family:
        """Return the family that a leaf holds; `name` is the library's, one of `FAMILIES`."""
        found: Family = importlib.import_module(f"{KINDS[kind][0]}.{name}").FAMILY
        return found

    def external_set(self, attack: str) -> ExternalSet | None:
        """Return the set that the command line binds to an attack `external.NAME`, None for any other attack."""
        return next((item for item in self.sets if attack == f"external.{item.name}"), None)

    def knows(self, kind: str, name: str) -> bool:
        """Whether a grid may use the name, as far as can be told without an import (`library.Name` is believed)."""
        name = self.canonical(kind, name)
        if "." in name:
            return name.partition(".")[0] in FAMILIES.get(kind, ())
        return parted(kind, name) is not None or (name in self.names(kind) and name not in NUMBERED.get(kind, ()))

    @staticmethod
    def canonical(kind: str, name: str) -> str:
        """Return the name that a spec holds: the long one of a short name, every other as it is."""
        return ALIASES.get(kind, {}).get(name, name)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return every name of a kind but those of families, sorted. No leaf is imported (a user's own files are)."""
        own = {name for found, name in self._from_files if found == kind}
        return tuple(sorted(self._built_in(kind) | self._entry_points(kind).keys() | own))

    def foreign(self, kind: str) -> tuple[str, ...]:
        """Return the names of a kind that are not the package's own, sorted."""
        return tuple(name for name in self.names(kind) if name not in self._built_in(kind))

    def get(self, kind: str, name: str) -> Entry:
        """Load a plugin.

        Raises:
            InputError: no plugin of that kind has that name, or its module does not hold it.
        """
        key = (kind, self.canonical(kind, name))
        if key not in self._loaded:
            self._loaded[key] = self._load(*key)
        return self._loaded[key]

    def _load(self, kind: str, name: str) -> Entry:
        if (kind, name) in self._from_files:
            return self._from_files[kind, name]
        library, _, own = name.partition(".")
        if own and library in FAMILIES.get(kind, ()):
            if kind == "attacks" and (given := self.external_set(name)):
                call, plugin = importlib.import_module(f"{KINDS[kind][0]}.{library}").bound(given)
                return Entry(call, plugin, given.sha256[:20], library)
            call, plugin, version = self.family(kind, library).load(own)
            return Entry(call, plugin, f"{version}/{plugin.version}", library)
        if (parts := parted(kind, name)) is not None:
            return _numbered(self.get(kind, parts[0]), name, parts[1])
        if name in self._built_in(kind):
            module = importlib.import_module(f"{KINDS[kind][0]}.{name}")
            for call, plugin in _marked(module):
                if (plugin.kind, plugin.name) == (kind, name):
                    return Entry(call, plugin, str(plugin.version), "built-in")
            raise InputError(f"{module.__name__}: holds no {singular(kind)} named {name!r}")
        points = self._entry_points(kind)
        if name in points:
            return _from_entry_point(kind, points[name])
        raise InputError(unknown(singular(kind), name, self.names(kind)))

    def resolve(self, kind: str, name: str, params: Mapping[str, Any]) -> Plugin:
        """Return the spec of a plugin: parameters checked against its signature, those that equal the default left out.

        Raises:
            InputError: unknown plugin or parameter, or a value the signature does not allow.
        """
        entry = self.get(kind, name)
        given = check_params(entry, params)
        own = tuple(sorted((key, _frozen(value)) for key, value in given.items()))
        return Plugin(self.canonical(kind, name), own, entry.fingerprint)


def _numbered(entry: Entry, name: str, number: int) -> Entry:
    """Return a numbered plugin with its number.

    Raises:
        InputError: the number is not allowed.
    """
    given = check_params(entry, {entry.info.number: number})
    return Entry(partial(entry.call, **given), replace(entry.plugin, name=name), entry.fingerprint, entry.origin)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list | tuple) else value


def _from_entry_point(kind: str, point: EntryPoint) -> Entry:
    try:
        call = point.load()
    except Exception as error:
        raise InputError(f"entry point {point.value!r}: cannot be loaded ({type(error).__name__}: {error})") from error
    plugin = getattr(call, "__plugin__", None)
    if not isinstance(plugin, PluginInfo) or (plugin.kind, plugin.name) != (kind, point.name):
        raise InputError(f"entry point {point.name!r} = {point.value!r}: is not a {singular(kind)} of that name")
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    return Entry(call, plugin, f"{distribution}/{plugin.version}", distribution)


def parameters(entry: Entry) -> dict[str, inspect.Parameter]:
    """Return a plugin's own parameters: the keyword-only arguments of its signature."""
    return parameters_of(entry.call)


def all_params(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters fully resolved: those given over the signature's defaults."""
    return {name: given.get(name, item.default) for name, item in sorted(parameters(entry).items())}


def check_params(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given parameters that differ from their default, as the signature's types.

    Raises:
        InputError: names the plugin, the parameter and what is allowed.
    """
    return checked(entry.call, f"{singular(entry.plugin.kind)} {entry.plugin.name!r}", given)
