"""The arguments and options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dumb_bench.errors import InputError
from dumb_bench.wording import printable

if TYPE_CHECKING:
    from dumb_bench.catalogue import Catalogue

GridFile = Annotated[Path, typer.Argument(metavar="GRID", help="A grid file (TOML).")]
Results = Annotated[str, typer.Argument(metavar="RESULTS", help="A result folder, as `run` names it at its end.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file with plugins; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StorePlace = Annotated[
    str | None, typer.Option(help="Folder or URI of the store of finished units [default: .store beside the results].")
]
ResultsPlace = Annotated[str | None, typer.Option(help="Folder or URI for the results [default: results/NAME].")]
MaxTests = Annotated[int, typer.Option(min=1, help="Refuse a grid of more tests than this.")]
Data = Annotated[Path, typer.Option(envvar="DUMB_BENCH_DATA", help="Folder of the sources' files.")]
Offline = Annotated[bool, typer.Option("--offline", help="Download nothing; what is missing is an error.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=FOLDER", help="Folder of the attack external.NAME's images; repeatable."),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="NAME=FILE", help="File of a checkpoint of the grid; repeatable.")
]

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
DATA = Path("data")


def catalogue_of(
    files: list[Path] | None,
    data: Path = DATA,
    download: bool = False,
    models: list[str] | None = None,
    sets: list[str] | None = None,
) -> Catalogue:
    """Return what the command line puts in reach. Raises InputError."""
    from dumb_bench.catalogue import Catalogue, DataPlace
    from dumb_bench.external_set import read_set
    from dumb_bench.plugin_file import PluginFile

    plugins = tuple(PluginFile.read(path) for path in files or ())
    place = DataPlace(data.absolute(), download)
    files_of = tuple(_bound("--model", "NAME=FILE", text) for text in models or ())
    found = tuple(read_set(*_bound("--set", "NAME=FOLDER", text)) for text in sets or ())
    return Catalogue(plugins, data=place, checkpoints=files_of, sets=found)


def _bound(option: str, form: str, text: str) -> tuple[str, Path]:
    name, _, place = text.partition("=")
    if not NAME.fullmatch(name) or not place:
        raise InputError(f"{option} {printable(text, 200)}: expected {form}, a name of the grid and where it lies")
    return name, Path(place).absolute()
