"""A file with plugins that the user names on the command line."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

from dumb_bench.errors import InputError


@dataclass(frozen=True)
class PluginFile:
    """A file named on the command line: its text travels to the workers, its sha256 is its fingerprint."""

    name: str
    text: str
    path: str = field(default="", compare=False)

    @classmethod
    def read(cls, path: Path) -> PluginFile:
        """Read a plugin file.

        Raises:
            InputError: it cannot be read or is no Python.
        """
        try:
            text = path.read_text(encoding="utf-8")
            compile(text, str(path), "exec")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--plugin {path}: cannot be read ({error})") from None
        except (SyntaxError, ValueError) as error:
            raise InputError(f"--plugin {path}: is not valid Python ({error})") from None
        return cls(path.name, text, str(path.resolve()))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the source text, shortened."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def module(self) -> ModuleType:
        """The file's module, executed once a process."""
        name = f"dumb_bench_plugin_{self.fingerprint}"
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = self.path or self.name
        sys.modules[name] = module
        try:
            exec(compile(self.text, self.name, "exec"), module.__dict__)
        except Exception as error:
            del sys.modules[name]
            raise InputError(f"--plugin {self.name}: fails on import ({type(error).__name__}: {error})") from error
        return module

    def __reduce__(self) -> tuple[type[PluginFile], tuple[str, str, str]]:
        return (PluginFile, (self.name, self.text, self.path))
