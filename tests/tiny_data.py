"""examples/tiny_data.py as a module, and a small tree in DUMB's layout with a grid of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

SMALL = {"train": 6, "val": 4, "test": 4}

GRID = """
name = "tiny"
task = "cat_dog"
[tasks.cat_dog]
size = 32
[models]
source = [{sources}]
architecture = "small_alexnet"
balance = "50/50"
[images]
per_class = {per_class}
source = "all"
[training]
recipe = {{ name = "small", epochs = 1 }}
[[attacks]]
name = "fgsm"
strength = 0.1
"""


def _script() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "examples" / "tiny_data.py"
    spec = importlib.util.spec_from_file_location("tiny_data_example", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


def grid(origins: tuple[str, ...] = ("bing",), per_class: int = 4) -> str:
    sources = ", ".join(f'{{ name = "folder", origin = "{origin}" }}' for origin in origins)
    return GRID.format(sources=sources, per_class=per_class)
