"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="NAME=FILE", help="File of a checkpoint of the grid; repeatable.")
]
